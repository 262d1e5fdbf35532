"""A case prepared for viewing: upright, cropped to the brain, in greys, cut into planes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from nibabel.affines import from_matvec

from ...core.boxes import bounding_box
from ...core.case import Case
from ...core.grid import canonical_affine, canonical_spacing_mm, to_canonical
from ...core.schema import Schema
from .palette import MISSED, MISTAKEN, SURPLUS

WINDOW_PERCENTILES = (0.5, 99.7)
_MARGIN_VOXELS = 2


@dataclass(frozen=True)
class Plane:
    """A way to cut a volume.

    Attributes
    ----------
    name : str
        What radiologists call it.
    axis : int
        The canonical axis across it.
    left, right, top, bottom : str
        Sides of the patient at the edges of the picture, in radiological convention: the patient is
        seen from the feet and from the front, with the right side on the left; a sagittal cut faces
        left.
    """

    name: str
    axis: int
    left: str
    right: str
    top: str
    bottom: str


PLANES = (
    Plane("axial", 2, "R", "L", "A", "P"),
    Plane("coronal", 1, "R", "L", "S", "I"),
    Plane("sagittal", 0, "A", "P", "S", "I"),
)
CONVENTION = "Radiological convention: the patient's right is on the left."
_NO_CONVENTION = "Single slices: their orientation in the patient is unknown, so no side is named."
DISAGREEMENT = {"missed": MISSED, "false alarm": SURPLUS, "other label": MISTAKEN}
"""Ways in which a prediction can differ, and the colour of each; 1 to 3 in `disagreement`."""


@dataclass(frozen=True, eq=False)
class View:
    """One case as its pictures show it, on canonical axes (RAS+).

    Attributes
    ----------
    grey : (X, Y, Z, C) uint8 array
        Each modality between `WINDOW_PERCENTILES` of its brain.
    brain : (X, Y, Z) bool array
        Where any modality differs from 0.
    reference, prediction : (X, Y, Z) uint8 array
        Class indices.
    offset, raw_shape : tuple of 3 int
        First voxel of the crop and shape before it, to number the slices.
    affine : (4, 4) float64 array
        Voxel indices of the crop to RAS+ millimetres.
    uncertainty : (X, Y, Z) uint8 array or None
        In percent, if known.
    """

    case: str
    modalities: tuple[str, ...]
    grey: np.ndarray
    brain: np.ndarray
    reference: np.ndarray
    prediction: np.ndarray
    spacing_mm: tuple[float, float, float]
    offset: tuple[int, int, int]
    raw_shape: tuple[int, int, int]
    affine: np.ndarray
    uncertainty: np.ndarray | None = None

    @property
    def tumour(self) -> np.ndarray:
        """(X, Y, Z) bool: tumour of the reference, or of the prediction where that has none."""
        return self.reference > 0 if self.reference.any() else self.prediction > 0

    def size_mm(self, plane: Plane) -> tuple[float, float]:
        """Width and height of a cut."""
        width, height = np.delete(
            np.multiply(self.reference.shape, self.spacing_mm), plane.axis
        ).tolist()
        return width, height

    def busiest_slice(self, plane: Plane) -> int:
        """`busiest_cut` of the tumour across a plane."""
        return busiest_cut(self.tumour, plane.axis)

    def slice_name(self, plane: Plane, index: int) -> str:
        """Number of a cut in the whole volume, from 1 at the patient's left, back or bottom."""
        return f"slice {index + self.offset[plane.axis] + 1} of {self.raw_shape[plane.axis]}"

    def cut_name(self, plane: Plane, index: int) -> str:
        """Name of the plane and number of the cut; the name alone where it is the only one."""
        only = self.raw_shape[plane.axis] == 1
        return plane.name if only else f"{plane.name}, {self.slice_name(plane, index)}"


def busiest_cut(tumour: np.ndarray, axis: int) -> int:
    """Index of the cut across an axis with the largest area of a mask (X, Y, Z), the middle one of
    equals; of an empty mask the middle of all.
    """
    area = tumour.sum(axis=tuple(other for other in range(3) if other != axis))
    largest = np.flatnonzero(area == area.max())
    return int(largest[len(largest) // 2])


def view_of(
    case: Case,
    prediction: np.ndarray,
    modalities: tuple[str, ...],
    uncertainty: np.ndarray | None = None,
) -> View:
    """Turn, crop and window a case.

    Parameters
    ----------
    prediction : (X, Y, Z) uint8 array
        Class indices on the raw grid.
    uncertainty : (X, Y, Z) uint8 array, optional
        In percent, on the raw grid.

    Raises
    ------
    ValueError
        If the case has no reference.
    """
    if case.classes is None:
        raise ValueError(f"case {case.name} has no reference")
    image, reference, prediction = (
        to_canonical(voxels, case.grid.affine) for voxels in (case.image, case.classes, prediction)
    )
    shown = np.asarray(image.any(axis=-1))
    box = bounding_box(shown | (reference > 0) | (prediction > 0), _MARGIN_VOXELS)
    offset, brain = tuple(span.start for span in box), shown[box]
    if uncertainty is not None:
        uncertainty = to_canonical(uncertainty, case.grid.affine)[box]
    greys = [_windowed(voxels[box], brain) for voxels in np.moveaxis(image, -1, 0)]
    return View(
        case=case.name,
        modalities=modalities,
        grey=np.stack(greys, axis=-1),
        brain=brain,
        reference=reference[box],
        prediction=prediction[box],
        spacing_mm=canonical_spacing_mm(case.grid.affine),
        offset=offset,
        raw_shape=image.shape[:3],
        affine=canonical_affine(case.grid) @ from_matvec(np.eye(3), offset),
        uncertainty=uncertainty,
    )


def planes_of(view: View, schema: Schema) -> tuple[Plane, ...]:
    """The planes in which a view is shown."""
    return planes_through(view.reference.shape, schema)


def planes_through(shape: Sequence[int], schema: Schema) -> tuple[Plane, ...]:
    """The planes in which a picture has two dimensions: one for a single slice, else three. Where
    cases are single slices it has no name but ``slice``, and no sides.
    """
    planes = tuple(plane for plane in PLANES if min(np.delete(shape, plane.axis)) > 1)
    if schema.dimensions == 3:
        return planes
    return (replace(planes[0], name="slice", left="", right="", top="", bottom=""),)


def convention(schema: Schema) -> str:
    """The orientation of the pictures, in a sentence."""
    return CONVENTION if schema.dimensions == 3 else _NO_CONVENTION


def _windowed(voxels: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Greys 0..255 of one modality; what lies outside the brain stays black."""
    low, high = np.percentile(voxels[brain][::8], WINDOW_PERCENTILES)
    scaled = (voxels - low) * (255 / max(high - low, 1e-8))
    return (np.clip(scaled, 0, 255) * brain).astype(np.uint8)


def cut(volume: np.ndarray, plane: Plane, index: int) -> np.ndarray:
    """One cut of an (X, Y, Z) volume on canonical axes, as a (height, width) view whose edges are
    those of the plane.
    """
    return volume[(slice(None),) * plane.axis + (index,)].T[::-1, ::-1]


def disagreement(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mark where and how two arrays of class indices differ: uint8, 0 where they agree, else the
    place in `DISAGREEMENT`, from 1.
    """
    ways = (reference == prediction, prediction == 0, reference == 0)
    return np.select(ways, (0, 1, 2), 3).astype(np.uint8)


def telling_modalities(view: View, schema: Schema) -> tuple[int, ...]:
    """Choose the channels in which the outermost and the innermost region contrast most with their
    surroundings.

    Returns
    -------
    tuple of int
        One or two channels; the first channel where neither region has a voxel. Contrast is the
        difference of the mean greys of the region and its surroundings, the brain for the outermost
        region and the outermost region for the innermost, divided by the standard deviation of the
        greys of the brain.
    """
    classes = view.reference if view.reference.any() else view.prediction
    surroundings, chosen = view.brain, []
    for region in dict.fromkeys((next(iter(schema.regions)), next(reversed(schema.regions)))):
        inside = np.isin(classes, schema.classes_of(region))
        rest = surroundings & ~inside
        if inside.any() and rest.any():
            greys = np.moveaxis(view.grey, -1, 0)
            contrasts = [_contrast(grey, view.brain, inside, rest) for grey in greys]
            chosen.append(int(np.argmax(contrasts)))
        surroundings = inside
    return tuple(dict.fromkeys(chosen)) or (0,)


def _contrast(grey: np.ndarray, brain: np.ndarray, inside: np.ndarray, rest: np.ndarray) -> float:
    apart = abs(float(grey[inside].mean()) - float(grey[rest].mean()))
    return apart / max(float(grey[brain].std()), 1e-8)
