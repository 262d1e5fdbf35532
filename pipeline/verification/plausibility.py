"""Faults that a case shows by itself, and that would make its prediction silently wrong."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..core.grid import Grid
from ..formats.background import air_within
from ..formats.volume import Volume
from .fingerprints import air, foreground

STRIPPED_RIM = 0.5
"""Least share of zeros in the rim around a skull-stripped brain; measured: at least 0.95 around
brains, at most 0.25 around heads.
"""

LARGEST_BRAIN_LITRES = 2.3
"""Above any brain with its fluid, below the head of an adult."""

FILLED = 0.95
"""Largest share of a grid that a brain fills, unless the images were cropped into it."""

FEWEST_VALUES = 16
"""Least number of distinct values of an MR image: fewer mean a mask or a drawing."""

_SAMPLES = 40  # along an axis
_CELL_MM, _RIM_MM = 3.0, 9.0


class Fault(NamedTuple):
    """A fault and its remedy, in the same words for every case; what was found in this one; and
    whether its labels cannot be trusted.
    """

    name: str
    remedy: str
    found: str
    is_grave: bool

    @property
    def what(self) -> str:
        """The fault and its remedy."""
        return f"{self.name}. {self.remedy}" if self.remedy else self.name


def faults(volumes: Mapping[str, Volume], grid: Grid, brain_voxels: int | None) -> list[Fault]:
    """List the faults of a case's grid, air and intensities.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Its modalities as read, before any resampling.
    grid : Grid
        Of the case.
    brain_voxels : int or None
        Voxels that differ from air in any modality, the brain by `preprocess.foreground: nonzero`;
        None if that rule is not used.
    """
    lost = ", ".join(
        name for name, volume in volumes.items() if np.array_equal(volume.grid.affine, np.eye(4))
    )
    within = {name: air_within(volume.voxels, volume.air) for name, volume in volumes.items()}
    counts = {name: _distinct_values(volume.voxels) for name, volume in volumes.items()}
    found = [
        Fault(
            "the affine is the identity, as of files saved without their header: it defines"
            " spacing, left and right",
            "If that is wrong, copy the affine of the original files",
            f"{lost}: identity" if lost else "",
            is_grave=False,
        ),
        Fault(
            "air is a constant other than 0, as of images normalised with their background; it was"
            " subtracted",
            "",
            ", ".join(f"{name} {volume.air:.4g}" for name, volume in volumes.items() if volume.air),
            is_grave=False,
        ),
        Fault(
            "air has two values, as of images that were normalised and then padded: both would"
            " count as brain",
            "Set both to 0 in the files",
            ", ".join(
                f"{name} {volumes[name].air:.4g} and {inner:.4g}"
                for name, inner in within.items()
                if inner is not None
            ),
            is_grave=True,
        ),
        Fault(
            f"more than a brain differs from air ({LARGEST_BRAIN_LITRES} litres, or {FILLED:.0%} of"
            " the grid): the skull is on, or air is not even",
            "For training set preprocess.foreground: head, or extract the brain (native.enabled:"
            " true); for `predict` add --native; or set air to 0 in the files",
            _more_than_a_brain(grid, brain_voxels),
            is_grave=True,
        ),
        Fault(
            "a modality has too few different values for an image: it may be a mask",
            "Check it, and replace it with the image",
            ", ".join(
                f"{name}: {count} values" for name, count in counts.items() if count < FEWEST_VALUES
            ),
            is_grave=True,
        ),
    ]
    return [fault for fault in found if fault.found]


def _more_than_a_brain(grid: Grid, brain_voxels: int | None) -> str:
    if brain_voxels is None or min(grid.shape) == 1:
        return ""
    share = brain_voxels / float(np.prod(grid.shape))
    litres = brain_voxels * float(np.prod(grid.spacing_mm)) / 1e6
    is_brain = share <= FILLED and litres <= LARGEST_BRAIN_LITRES
    return "" if is_brain else f"{litres:.2f} litres, {share:.0%} of the grid"


def _distinct_values(voxels: np.ndarray) -> int:
    steps = [max(1, length // _SAMPLES) for length in voxels.shape]
    return len(np.unique(voxels[tuple(slice(None, None, step) for step in steps)]))


def skull_stripped(voxels: np.ndarray, spacing_mm: Sequence[float]) -> bool | None:
    """Whether everything but the brain was set to 0 in an (X, Y, Z) array; None of a single slice.

    True if most of the rim around the foreground, about 1 cm wide, is exactly 0, where a head has
    noise, and the foreground is no larger than a brain: scanners and defacing may clear the air
    around a head as well.
    """
    if min(voxels.shape) == 1:
        return None
    factors = [max(1, round(_CELL_MM / spacing)) for spacing in spacing_mm]
    samples = voxels[tuple(slice(None, None, factor) for factor in factors)].astype(np.float32)
    cells_mm = [factor * spacing for factor, spacing in zip(factors, spacing_mm, strict=True)]
    inside = foreground(samples - air(samples))
    reach = [2 * max(1, round(_RIM_MM / length)) + 1 for length in cells_mm]
    rim = ndimage.maximum_filter(inside, reach, mode="constant") & ~inside
    litres = np.count_nonzero(inside) * float(np.prod(cells_mm)) / 1e6
    return bool(
        rim.any() and np.mean(samples[rim] == 0) > STRIPPED_RIM and litres < LARGEST_BRAIN_LITRES
    )
