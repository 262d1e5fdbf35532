"""Rigid registration of visits to each other, and how well it went."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid
from ..registration.mutual_information import Sampled, head, isotropic, register, resample

CHECKED_MM = 2.0
"""Isotropic spacing at which the registration is checked."""
BINS = 64
LEAST_HEAD_DICE = 0.9
LEAST_NMI = 1.02
"""Two patients have less: 1.007 were measured, and 1.05 for visits of a phantom."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """The transform of a visit to the reference visit.

    Attributes
    ----------
    matrix : (4, 4) float64 array
        RAS+ mm of the visit to RAS+ mm of the reference.
    shift_mm, turn_deg : float
        How far it moves the centre of the reference's field of view, and its angle.
    nmi_before, nmi_after : float
        Normalised mutual information of both images within both heads, 1 to 2 (Studholme et al.,
        Pattern Recognition 32, 1999), by scanner coordinates and after registration.
    dice_before, dice_after : float
        Overlap of the heads, or of the brains where the skull was removed, 0 to 1.
    """

    matrix: np.ndarray
    shift_mm: float
    turn_deg: float
    nmi_before: float
    nmi_after: float
    dice_before: float
    dice_after: float

    @property
    def poor(self) -> str:
        """What speaks against the registration; empty if nothing does."""
        found = []
        if self.dice_after < LEAST_HEAD_DICE:
            found.append(f"the heads overlap by Dice {self.dice_after:.2f}, not {LEAST_HEAD_DICE}")
        if self.nmi_after < LEAST_NMI:
            found.append(
                f"normalised mutual information is {self.nmi_after:.3f}, not {LEAST_NMI}, as"
                " between two people"
            )
        return " and ".join(found)


def align(moving: Sampled, fixed: Sampled, name: str) -> Aligned:
    """Register a visit to the reference visit; one that agrees better as it lies is not moved.

    Raises
    ------
    InputError
        If no alignment was found; names the visit.
    """
    try:
        found = register(moving, fixed, name)
    except InputError as error:
        raise InputError(f"{error} Or move this visit out of the folder of the patient.") from None
    grid = isotropic(fixed.grid, CHECKED_MM)
    before, after = (_agreement(moving, fixed, grid, way) for way in (np.eye(4), found.matrix))
    if before[0] >= after[0]:  # registered already: interpolation can but blur
        return Aligned(np.eye(4), 0.0, 0.0, before[0], before[0], before[1], before[1])
    shift, turn = _motion(found.matrix, fixed.grid)
    return Aligned(found.matrix, shift, turn, before[0], after[0], before[1], after[1])


def unmoved() -> Aligned:
    """The reference visit itself."""
    return Aligned(np.eye(4), 0.0, 0.0, *(float("nan"),) * 4)


def _motion(matrix: np.ndarray, grid: Grid) -> tuple[float, float]:
    centre = grid.affine @ [*(np.array(grid.shape) / 2 - 0.5), 1]
    shift_mm = float(np.linalg.norm((matrix @ centre - centre)[:3]))
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)
    return shift_mm, float(np.degrees(np.arccos(cosine)))


def _agreement(
    moving: Sampled, fixed: Sampled, grid: Grid, matrix: np.ndarray
) -> tuple[float, float]:
    """Normalised mutual information and Dice of the heads on a grid of the fixed volume."""
    one = resample(fixed, grid, np.eye(4), "linear")
    other = resample(moving, grid, matrix, "linear")
    ours = _resampled_head(fixed, grid, np.eye(4))
    theirs = _resampled_head(moving, grid, matrix)
    both, total = ours & theirs, np.count_nonzero(ours) + np.count_nonzero(theirs)
    dice = 2 * np.count_nonzero(both) / total if total else 0.0
    return normalised_mutual_information(one[both], other[both]), dice


def _resampled_head(volume: Sampled, grid: Grid, matrix: np.ndarray) -> np.ndarray:
    return resample(Sampled(head(volume), volume.grid), grid, matrix, "nearest")


def normalised_mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """(H(A) + H(B)) / H(A, B) of the values of two images, 1 for independent ones to 2 for equal
    ones; 1 where there is nothing to compare.
    """
    if not one.size:
        return 1.0
    joint = np.histogram2d(one, other, BINS)[0] / one.size
    entropies = [_entropy(joint.sum(axis)) for axis in (0, 1)]
    together = _entropy(joint.ravel())
    return sum(entropies) / together if together else 1.0


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
