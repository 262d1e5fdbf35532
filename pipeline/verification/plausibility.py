"""What a case shows by itself, without others to compare it with: faults that would make a
prediction wrong without a word.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from ..core.grid import Grid
from ..formats.background import air_within
from .outliers import LARGEST_BRAIN_LITRES

FILLED = 0.95
"""Share of a grid that no brain fills: around it is air, unless the images were cropped into the
brain.
"""

FEWEST_VALUES = 16
"""Distinct values that an image of MR has at least: less is a mask or a drawing."""

_SAMPLES = 40  # along an axis


class Fault(NamedTuple):
    """Something to look at.

    Attributes
    ----------
    what : str
        The fault and what to do, the same words for every case that has it.
    found : str
        What was found in this case.
    """

    what: str
    found: str


class Read(Protocol):
    """A modality as it was read, before anything was resampled (`pipeline.formats.volume.Volume`)."""

    voxels: np.ndarray
    grid: Grid
    air: float


def faults(volumes: Mapping[str, Read], grid: Grid, brain_voxels: int | None) -> list[Fault]:
    """List what a case shows by itself.

    Parameters
    ----------
    volumes : mapping of str to Read
        Its modalities by name.
    grid : Grid
        Of the case.
    brain_voxels : int or None
        How many differ from air in any modality, which `preprocess.foreground: nonzero` takes for
        the brain; None if that rule is not used.

    Returns
    -------
    list of Fault
        Of its grid, its air, and its intensities.
    """
    filled = [] if brain_voxels is None else _no_air(grid, brain_voxels)
    return [*_lost_affine(volumes), *_other_air(volumes), *filled, *_drawings(volumes)]


def _lost_affine(volumes: Mapping[str, Read]) -> list[Fault]:
    lost = [
        name for name, volume in volumes.items() if np.array_equal(volume.grid.affine, np.eye(4))
    ]
    if not lost:
        return []
    return [
        Fault(
            "the affine is the identity, as of files saved without their header: voxels of 1 mm,"
            " left and right are taken from it. If that is not so, copy the affine of the original"
            " files",
            f"{', '.join(lost)}: identity",
        )
    ]


def _other_air(volumes: Mapping[str, Read]) -> list[Fault]:
    others = {name: volume.air for name, volume in volumes.items() if volume.air}
    within = {name: air_within(volume.voxels, volume.air) for name, volume in volumes.items()}
    padded = {name: value for name, value in within.items() if value is not None}
    constant = Fault(
        "air is a constant other than 0, as of images normalised with their background; it was"
        " taken off, to tell the brain from it",
        ", ".join(f"{name} {air:.4g}" for name, air in others.items()),
    )
    double = Fault(
        "air has two values, as of images that were normalised and then padded: both would count as"
        " brain. Set both to 0 in the files",
        ", ".join(
            f"{name} {volumes[name].air:.4g} and {value:.4g}" for name, value in padded.items()
        ),
    )
    return [*([constant] if others else []), *([double] if padded else [])]


def _no_air(grid: Grid, brain_voxels: int) -> list[Fault]:
    share = brain_voxels / float(np.prod(grid.shape))
    litres = brain_voxels * float(np.prod(grid.spacing_mm)) / 1e6
    is_slice = min(grid.shape) == 1
    if is_slice or (share <= FILLED and litres <= LARGEST_BRAIN_LITRES):
        return []
    return [
        Fault(
            f"more than a brain differs from air ({LARGEST_BRAIN_LITRES} litres, or {FILLED:.0%} of"
            " the grid): the skull is on, or air is not even. For training set"
            " preprocess.foreground: head, or extract the brain (native.enabled: true); for"
            " `predict` add --native; or set air to 0 in the files",
            f"{litres:.2f} litres, {share:.0%} of the grid",
        )
    ]


def _drawings(volumes: Mapping[str, Read]) -> list[Fault]:
    counts = {}
    for name, volume in volumes.items():
        steps = [max(1, length // _SAMPLES) for length in volume.voxels.shape]
        counts[name] = len(
            np.unique(volume.voxels[tuple(slice(None, None, step) for step in steps)])
        )
    few = {name: count for name, count in counts.items() if count < FEWEST_VALUES}
    if not few:
        return []
    return [
        Fault(
            "a modality has too few different values for an image: it may be a mask. Look at it,"
            " and put the image in its place",
            ", ".join(f"{name}: {count} values" for name, count in few.items()),
        )
    ]
