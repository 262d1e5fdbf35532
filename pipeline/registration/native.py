"""Registration of series as acquired to the space of BraTS, and the inverse transform of masks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import ndimage

from ..core.errors import InputError
from ..core.grid import Grid, Matrix, rows_of
from ..core.strict import Strict
from .bias_field import correct_bias
from .brain_extraction import extract_brain
from .mutual_information import (
    Registered,
    Sampled,
    centre_of_mass_mm,
    register,
    resample,
    rigid_part,
)
from .params import NativeRecipe

REFERENCES = ("t1c", "t1n", "t2f", "t2w")
"""The first of these that a case has is what the others are registered to."""
BRATS_GRID = Grid(
    (240, 240, 155), np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])
)
MNI_AFFINE = np.array([[1.0, 0, 0, -98], [0, 1, 0, -134], [0, 0, 1, -72], [0, 0, 0, 1]])
BRATS_PITCH_DEG = 13.9
BRATS_CENTRE_MM = (-118.5, 104.0, 74.0)
"""Where the centre of the MNI brain is mapped to; this and the pitch are about the means of seven
BraTS cases on MNI152 (pitch 11 to 19 degrees); their roll and yaw, means of 1 and 2 degrees, are
set to 0.
"""
STRETCHES = (0.95, 1.35)
"""Plausible stretches of a head onto the template; seven glioma cases had 0.99 to 1.23. A skull
mistaken for the brain needs less.
"""


class SeriesPlace(Strict):
    """The grid of one series and its transform.

    Attributes
    ----------
    shape, affine
        Of its grid as acquired.
    to_template : 4 rows of 4
        Its RAS+ millimetres to those of the common grid.
    mutual_information : float
        With the reference series, in nats; of the reference series, with the template.
    overlap : float
        Share of the fixed foreground in its field of view, 0 to 1.
    """

    shape: tuple[int, int, int]
    affine: Matrix
    to_template: Matrix
    mutual_information: float
    overlap: Annotated[float, Field(ge=0, le=1)]

    @property
    def grid(self) -> Grid:
        """Of the series as acquired."""
        return Grid(self.shape, np.array(self.affine))


class Native(Strict):
    """The record of the registration of a case, which gives the inverse transform.

    Attributes
    ----------
    reference : str
        The modality that the others were registered to.
    template : str
        The name of what that was registered to.
    shape, affine
        Of the common grid.
    series : dict of str to SeriesPlace
        Per modality.
    steps : tuple of str
    """

    reference: str
    template: str
    shape: tuple[int, int, int]
    affine: Matrix
    series: dict[str, SeriesPlace]
    steps: tuple[str, ...]

    @property
    def grid(self) -> Grid:
        """The common grid."""
        return Grid(self.shape, np.array(self.affine))


@dataclass(frozen=True, eq=False)
class Template:
    """A head to register to, without its skull.

    Attributes
    ----------
    name : str
    t1 : Sampled
        T1-weighted, 0 outside the brain.
    pose : (4, 4) array
        Its millimetres to those of `grid`, rigid.
    grid : Grid
        The common grid.
    """

    name: str
    t1: Sampled
    pose: np.ndarray
    grid: Grid

    @property
    def brain(self) -> np.ndarray:
        """(X, Y, Z) bool on the template's own grid."""
        return ndimage.binary_fill_holes(self.t1.voxels > 0)


@dataclass(frozen=True, eq=False)
class Aligned:
    """A case on the common grid.

    Attributes
    ----------
    images : dict of str to (X, Y, Z) float32 array
        Per modality; 0 outside the brain if that was extracted.
    brain : (X, Y, Z) bool array
        The extracted brain; else where any modality is not 0.
    native : Native
    """

    images: dict[str, np.ndarray]
    brain: np.ndarray
    native: Native


def mni_template(t1: np.ndarray) -> Template:
    """The MNI152 2009a brain in the pose and on the grid of BraTS: 240 x 240 x 155 voxels of 1 mm,
    LPS, the affine that BraTS files carry.

    Parameters
    ----------
    t1 : (197, 233, 189) array
        As nilearn ships it: RAS+, 1 mm, stripped of the skull.

    Notes
    -----
    BraTS lies in the space of SRI24 (Rohlfing et al., Human Brain Mapping 31, 2010), which is not
    redistributed here; its pose relative to MNI152 was measured on cases.
    """
    template = Sampled(t1, Grid(tuple(t1.shape), MNI_AFFINE))
    centre = centre_of_mass_mm(ndimage.binary_fill_holes(t1 > 0), template.grid)
    cosine, sine = np.cos(np.radians(BRATS_PITCH_DEG)), np.sin(np.radians(BRATS_PITCH_DEG))
    pose = np.eye(4)
    pose[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    pose[:3, 3] = BRATS_CENTRE_MM - pose[:3, :3] @ centre
    return Template("MNI152 2009a in the pose of BraTS", template, pose, BRATS_GRID)


def align(series: Mapping[str, Sampled], template: Template, recipe: NativeRecipe) -> Aligned:
    """Register the series of one examination to one grid.

    Parameters
    ----------
    series : mapping of str to Sampled
        Per modality, each on its own grid.
    template : Template
    recipe : NativeRecipe

    Raises
    ------
    InputError
        If there is no series, or one cannot be registered; the message names it.

    Notes
    -----
    Register each modality to the reference, the reference to the template, compose, resample once;
    then N4, then brain extraction, then mask all modalities. The affine fit to the template always
    carries the template's brain to the head; under "rigid" the head itself is moved by that fit's
    nearest rotation alone.
    """
    reference = next((modality for modality in REFERENCES if modality in series), None)
    if reference is None:
        raise InputError(
            f"none of {', '.join(REFERENCES)} is there to register to, only {sorted(series)}. Name"
            " the modalities like these."
        )
    fit = _to_template(series[reference], template, reference)
    head_to_grid = _head_to_grid(fit, template, recipe)
    images, places = {}, {}
    for name, volume in series.items():
        found = fit if name == reference else register(volume, series[reference], name)
        matrix = head_to_grid if name == reference else head_to_grid @ found.matrix
        images[name] = resample(volume, template.grid, matrix, recipe.interpolation)
        places[name] = SeriesPlace(
            shape=volume.grid.shape,
            affine=rows_of(volume.grid.affine),
            to_template=rows_of(matrix),
            mutual_information=found.mutual_information,
            overlap=found.overlap,
        )
    prior = resample(
        Sampled(template.brain, template.t1.grid),
        template.grid,
        head_to_grid @ np.linalg.inv(fit.matrix),
        "nearest",
    )
    steps = [
        "register",
        f"{recipe.template_transform} to template",
        f"resample {recipe.interpolation}",
    ]
    if recipe.correct_bias:
        images = {name: correct_bias(voxels, prior) for name, voxels in images.items()}
        steps.append("N4")
    brain = np.any([voxels != 0 for voxels in images.values()], axis=0)
    if recipe.extract_brain:
        brain = extract_brain(images.get("t1n", images[reference]), prior, template.grid.spacing_mm)
        images = {name: np.where(brain, voxels, np.float32(0)) for name, voxels in images.items()}
        steps.append("extract brain")
    native = Native(
        reference=reference,
        template=template.name,
        shape=template.grid.shape,
        affine=rows_of(template.grid.affine),
        series=places,
        steps=tuple(steps),
    )
    return Aligned(images, brain, native)


def _to_template(reference: Sampled, template: Template, name: str) -> Registered:
    """The affine fit to the template; the mask includes a rim of dark skull, so that the metric
    penalises a head that shrinks into the brain.
    """
    found = register(
        reference,
        template.t1,
        name,
        "affine",
        ndimage.binary_dilation(template.brain, iterations=4),
    )
    stretches = np.linalg.svd(found.matrix[:3, :3], compute_uv=False)
    if stretches.max() > STRETCHES[1] or stretches.min() < STRETCHES[0]:
        sizes = ", ".join(f"{stretch:.2f}" for stretch in stretches)
        raise InputError(
            f"{name}: its fit to {template.name} stretches it by {sizes}, expected"
            f" {STRETCHES[0]} to {STRETCHES[1]}: the skull was mistaken for the brain. Register the"
            " case to the template by another tool, or extract the brain first."
        )
    return found


def _head_to_grid(fit: Registered, template: Template, recipe: NativeRecipe) -> np.ndarray:
    if recipe.template_transform == "affine":
        return template.pose @ fit.matrix
    there = np.linalg.inv(fit.matrix)
    return template.pose @ np.linalg.inv(
        rigid_part(there, centre_of_mass_mm(template.brain, template.t1.grid))
    )


def labels_to_series(labels: np.ndarray, native: Native, modality: str) -> np.ndarray:
    """Resample a label map or mask from the common grid to a series, by nearest neighbour.

    Returns
    -------
    array of the series' shape
        In the same dtype; no new value appears, 0 where the common grid does not reach.
    """
    place = native.series[modality]
    return resample(
        Sampled(labels, native.grid), place.grid, np.linalg.inv(place.to_template), "nearest"
    )


def maps_to_series(voxels: np.ndarray, native: Native, modality: str) -> np.ndarray:
    """Resample a map, such as probabilities, from the common grid to a series, linearly.

    Returns
    -------
    float32 array of the series' shape
        0 where the common grid does not reach.
    """
    place = native.series[modality]
    return resample(
        Sampled(voxels, native.grid), place.grid, np.linalg.inv(place.to_template), "linear"
    )


def labels_from_series(labels: np.ndarray, native: Native, modality: str) -> np.ndarray:
    """Resample a label map from a series to the common grid, by nearest neighbour; the inverse of
    `labels_to_series`.
    """
    place = native.series[modality]
    return resample(
        Sampled(labels, place.grid), native.grid, np.array(place.to_template), "nearest"
    )
