"""From a raw case to the network's input, and from its output back to the raw grid."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator
from scipy import ndimage

from ..core.boxes import bounding_box
from ..core.case import Case
from ..core.errors import InputError
from ..core.grid import canonical_spacing_mm, to_canonical
from ..core.strict import Strict
from .resample import resample_classes, resample_linear

Number = TypeVar("Number", int, float)
Millimetres = Annotated[float, Field(gt=0)]
Percentile = Annotated[float, Field(ge=0, le=100)]


class PreprocessingConfig(Strict):
    """How a case is prepared: the section `preprocess`, carried by the model card.

    Attributes
    ----------
    spacing_mm : tuple of 3 floats or None
        Target voxel size along right, front, top; None keeps the raw grid's.
    foreground : {"nonzero", "head"}
        What counts as brain: where any modality differs from 0, as in skull-stripped data, or the
        head, where any exceeds its Otsu threshold, with all that this encloses in an axial slice.
    margin_voxels : int
        Kept around the brain when cropping, in raw voxels.
    clip_percentiles : tuple of 2 floats
        Intensities of the brain are clipped to these, per modality.
    dtype : {"float16", "float32"}
        Of the stored image.

    Raises
    ------
    pydantic.ValidationError
        If the first percentile is not below the second.
    """

    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] | None
    foreground: Literal["nonzero", "head"]
    margin_voxels: Annotated[int, Field(ge=0)]
    clip_percentiles: tuple[Percentile, Percentile]
    dtype: Literal["float16", "float32"]

    @model_validator(mode="after")
    def _leaves_a_range(self) -> Self:
        if not self.clip_percentiles[0] < self.clip_percentiles[1]:
            raise ValueError(
                "clip_percentiles must be the lower, then the upper, got"
                f" {list(self.clip_percentiles)}"
            )
        return self


class Geometry(Strict):
    """The inverse transform: what `prepare` did to the grid.

    Attributes
    ----------
    raw_shape : tuple of int
        Voxels along the raw axes.
    raw_affine : 4 rows of 4
        Raw voxel indices to RAS+ millimetres.
    box : tuple of 3 (start, stop)
        The crop, in raw voxels on canonical axes.
    shape : tuple of int
        Of the prepared image.
    spacing_mm : tuple of float
        Of the prepared image.
    """

    raw_shape: tuple[int, int, int]
    raw_affine: tuple[tuple[float, float, float, float], ...]
    box: tuple[tuple[int, int], ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network sees of a case.

    Attributes
    ----------
    image : (X, Y, Z, C) float16 or float32 array
        On canonical axes, z-scored inside the brain, exactly 0 outside.
    classes : (X, Y, Z) uint8 array or None
        Class indices on the same grid.
    geometry : Geometry
        For `restore`.
    """

    image: np.ndarray
    classes: np.ndarray | None
    geometry: Geometry


def prepare(case: Case, config: PreprocessingConfig) -> Prepared:
    """Orient, crop to the brain, resample and normalise a case.

    Parameters
    ----------
    case : Case
        As read and checked.
    config : PreprocessingConfig
        How.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        If the target voxels are so large that less than half of each is brain.

    Notes
    -----
    Percentiles and z-score are those of the brain (or head), per case and modality; percentiles are
    read off every eighth voxel of it. Otsu: IEEE Transactions on Systems, Man, and Cybernetics 9
    (1979), eq. 18.
    """
    image = to_canonical(case.image, case.grid.affine)
    brain = _foreground(image, config.foreground)
    inside = bounding_box(brain, config.margin_voxels)
    box = tuple((span.start, span.stop) for span in inside)
    image, brain = image[inside], brain[inside]
    spacing_mm = canonical_spacing_mm(case.grid.affine)
    shape = _target_shape(image.shape[:3], spacing_mm, config.spacing_mm)
    classes = None if case.classes is None else to_canonical(case.classes, case.grid.affine)[inside]
    if shape != image.shape[:3]:
        brain = resample_linear(brain.astype(np.float32), shape) >= 0.5
        classes = None if classes is None else resample_classes(classes, shape)
    if not brain.any():
        raise InputError(
            f"case {case.name}: no voxel of the brain is left at spacing_mm {config.spacing_mm}."
            " Choose a smaller spacing."
        )
    prepared = np.zeros((*shape, image.shape[-1]), config.dtype)
    for channel in range(image.shape[-1]):
        voxels = image[..., channel]
        voxels = resample_linear(voxels, shape) if shape != voxels.shape else voxels
        prepared[..., channel] = _normalised(voxels, brain, config.clip_percentiles)
    geometry = Geometry(
        raw_shape=case.grid.shape,
        raw_affine=tuple(
            (float(x), float(y), float(z), float(t)) for x, y, z, t in case.grid.affine
        ),
        box=box,
        shape=shape,
        spacing_mm=_three(
            s * (b - a) / n for s, (a, b), n in zip(spacing_mm, box, shape, strict=True)
        ),
    )
    return Prepared(
        prepared, classes if classes is None else np.ascontiguousarray(classes), geometry
    )


def brain_of(case: Case, rule: str) -> np.ndarray:
    """Voxels of the brain (or head) of a case.

    Parameters
    ----------
    case : Case
        As read.
    rule : {"nonzero", "head"}
        The config's ``foreground``.

    Returns
    -------
    (X, Y, Z) bool array
        On the raw axes.
    """
    brain = np.empty(case.grid.shape, bool)
    to_canonical(brain, case.grid.affine)[:] = _foreground(
        to_canonical(case.image, case.grid.affine), rule
    )
    return brain


def _foreground(image: np.ndarray, rule: str) -> np.ndarray:
    """Voxels of the brain or head of an image on canonical axes, (X, Y, Z) bool."""
    brain = np.zeros(image.shape[:3], bool)
    for channel in range(image.shape[-1]):
        voxels = image[..., channel]
        brain |= voxels != 0 if rule == "nonzero" else voxels > _otsu(voxels)
    if rule == "head":
        for level in np.moveaxis(brain, 2, 0):  # views
            level[:] = ndimage.binary_fill_holes(level)
    return brain


def _otsu(voxels: np.ndarray) -> float:
    """The threshold between dark and bright with the largest variance between the two."""
    counts, edges = np.histogram(voxels, 256)
    below, total = counts.cumsum(), (counts * (edges[:-1] + edges[1:]) / 2).cumsum()
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.nan_to_num(below * above * (total / below - (total[-1] - total) / above) ** 2)
    return float(edges[1:][between.argmax()])


def _three(values: Iterable[Number]) -> tuple[Number, Number, Number]:
    x, y, z = values
    return x, y, z


def _target_shape(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], wanted_mm: tuple[float, ...] | None
) -> tuple[int, int, int]:
    if wanted_mm is None:
        return _three(shape)
    return _three(
        max(round(n * s / w), 1) for n, s, w in zip(shape, spacing_mm, wanted_mm, strict=True)
    )


def _normalised(
    voxels: np.ndarray, brain: np.ndarray, percentiles: tuple[float, float]
) -> np.ndarray:
    """Clip and z-score inside the brain, 0 outside; (X, Y, Z) float32."""
    inside = voxels[brain]
    low, high = np.percentile(inside[::8], percentiles)
    inside = np.clip(inside, low, high)
    inside -= inside.mean(dtype=np.float64)
    inside /= max(inside.std(dtype=np.float64), 1e-8)
    result = np.zeros(voxels.shape, np.float32)
    result[brain] = inside
    return result
