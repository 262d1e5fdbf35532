"""What a case shows by itself, without others to compare it with: faults that would make a prediction wrong without a word."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.domain.case import Case
from pipeline.domain.oddities import LARGEST_BRAIN_LITRES

FILLED = 0.95
"""Share of a grid that no brain fills: around it is air, unless the images were cropped into the brain."""

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


def faults(case: Case, airs: Mapping[str, float], brain_voxels: int | None) -> list[Fault]:
    """List what a case shows by itself.

    Parameters
    ----------
    case : Case
        As read, air about 0.
    airs : mapping of str to float
        Modalities in the order of its channels, and the air that was taken off of each.
    brain_voxels : int or None
        How many differ from 0 in any modality, which `preprocess.foreground: nonzero` takes for the brain; None if that rule is not used.

    Returns
    -------
    list of Fault
        Of its grid, its air, and its intensities.
    """
    filled = [] if brain_voxels is None else _no_air(case, brain_voxels)
    return [*_lost_affine(case), *_other_air(airs), *filled, *_drawings(case, tuple(airs))]


def _lost_affine(case: Case) -> list[Fault]:
    if not np.array_equal(case.grid.affine, np.eye(4)):
        return []
    return [
        Fault(
            "the affine is the identity, as of files saved without their header: voxels of 1 mm, left and right are taken from it. "
            "If that is not so, copy the affine of the original files",
            "identity",
        )
    ]


def _other_air(airs: Mapping[str, float]) -> list[Fault]:
    others = {name: air for name, air in airs.items() if air}
    if not others:
        return []
    return [
        Fault(
            "air is a constant other than 0, as of images normalised with their background; it was taken off, to tell the brain from it",
            ", ".join(f"{name} {air:.4g}" for name, air in others.items()),
        )
    ]


def _no_air(case: Case, brain_voxels: int) -> list[Fault]:
    share = brain_voxels / float(np.prod(case.grid.shape))
    litres = brain_voxels * float(np.prod(case.grid.spacing_mm)) / 1e6
    is_slice = min(case.grid.shape) == 1
    if is_slice or (share <= FILLED and litres <= LARGEST_BRAIN_LITRES):
        return []
    return [
        Fault(
            f"more than a brain differs from air ({LARGEST_BRAIN_LITRES} litres, or {FILLED:.0%} of the grid): the skull is on, or air is "
            "not even. For training set preprocess.foreground: head, or extract the brain (native.enabled: true); for `predict` add "
            "--native; or set air to 0 in the files",
            f"{litres:.2f} litres, {share:.0%} of the grid",
        )
    ]


def _drawings(case: Case, modalities: Sequence[str]) -> list[Fault]:
    sparse = case.image[tuple(slice(None, None, max(1, length // _SAMPLES)) for length in case.grid.shape)]
    counts = {name: len(np.unique(sparse[..., channel])) for channel, name in enumerate(modalities)}
    few = {name: count for name, count in counts.items() if count < FEWEST_VALUES}
    if not few:
        return []
    return [
        Fault(
            "a modality has too few different values for an image: it may be a mask. Look at it, and put the image in its place",
            ", ".join(f"{name}: {count} values" for name, count in few.items()),
        )
    ]
