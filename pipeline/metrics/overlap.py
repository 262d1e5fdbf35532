"""Overlap of a reference and a prediction in voxels, and the ratios of these counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import nan

import numpy as np

_FITS = 0.5
_FLIPS = [axes for count in (1, 2, 3) for axes in combinations(range(3), count)]


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one reference mask against one prediction mask.

    Each ratio is NaN where its denominator is 0; `pipeline.metrics.registry` holds the values that
    empty masks count for. Formulas: Taha and Hanbury, "Metrics for evaluating 3D medical image
    segmentation", BMC Medical Imaging 15:29 (2015), section "Overlap based metrics".

    Attributes
    ----------
    true_positives, false_positives, false_negatives, true_negatives : int
        Voxels in both masks, in the prediction alone, in the reference alone, in neither.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def reference_voxels(self) -> int:
        """TP + FN."""
        return self.true_positives + self.false_negatives

    @property
    def prediction_voxels(self) -> int:
        """TP + FP."""
        return self.true_positives + self.false_positives

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return ratio(2 * self.true_positives, self.reference_voxels + self.prediction_voxels)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), the Jaccard index."""
        return ratio(self.true_positives, self.reference_voxels + self.false_positives)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return ratio(self.true_positives, self.prediction_voxels)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), also called recall."""
        return ratio(self.true_positives, self.reference_voxels)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP). Near 1 for any small structure in a large image: it says little about a
        tumour.
        """
        return ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def relative_error(self) -> float:
        """(FP - FN) / (TP + FN), the relative error of the volume; -1 or more."""
        return ratio(self.false_positives - self.false_negatives, self.reference_voxels)

    @property
    def empty(self) -> str:
        """Which mask is empty: "both_empty", "reference_empty", "prediction_empty" or ""."""
        if not self.reference_voxels:
            return "reference_empty" if self.prediction_voxels else "both_empty"
        return "" if self.prediction_voxels else "prediction_empty"


def overlap(reference: np.ndarray, prediction: np.ndarray) -> Overlap:
    """Count the voxels in which two (X, Y, Z) bool masks agree and differ; ValueError if their
    shapes differ.
    """
    require_equal_shapes(reference, prediction)
    both, one, other = (
        int(np.count_nonzero(mask)) for mask in (reference & prediction, reference, prediction)
    )
    return _from_totals(both, one, other, reference.size)


def class_overlap(counts: np.ndarray, members: Iterable[int]) -> Overlap:
    """Read the overlap of the masks of some classes, one of a label, several of a region, out of a
    (K + 1, K + 1) int64 confusion matrix.
    """
    inside = list(members)
    both = int(counts[np.ix_(inside, inside)].sum())
    return _from_totals(
        both, int(counts[inside].sum()), int(counts[:, inside].sum()), int(counts.sum())
    )


def _from_totals(both: int, in_reference: int, in_prediction: int, voxels: int) -> Overlap:
    return Overlap(
        both,
        in_prediction - both,
        in_reference - both,
        voxels - in_reference - in_prediction + both,
    )


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, NaN where the denominator is 0."""
    return numerator / denominator if denominator else nan


def require_equal_shapes(reference: np.ndarray, prediction: np.ndarray) -> None:
    """Raise ValueError if two arrays are not of one shape."""
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must lie on one grid, got shapes {reference.shape} and"
            f" {prediction.shape}"
        )


def looks_mirrored(reference: np.ndarray, prediction: np.ndarray) -> str:
    """Detect a prediction that was written with its axes reversed.

    Returns
    -------
    str
        Such as ``along X and Y: Dice 0.91 instead of 0.02``; empty where no flip at least doubles
        the Dice and reaches 0.5.
    """
    own = overlap(reference, prediction).dice
    if not own < _FITS:  # NaN: both are empty
        return ""
    dices = {axes: overlap(reference, np.flip(prediction, axes)).dice for axes in _FLIPS}
    best = max(dices, key=dices.__getitem__)
    if dices[best] < max(_FITS, 2 * own):
        return ""
    return (
        f"along {' and '.join('XYZ'[axis] for axis in best)}: Dice {dices[best]:.2f} instead of"
        f" {own:.2f}"
    )
