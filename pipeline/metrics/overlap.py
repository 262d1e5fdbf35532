"""How many voxels of a reference and a prediction agree, and what these counts are read as."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

import numpy as np

READINGS = ("dice", "iou", "precision", "sensitivity", "specificity")


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one reference mask against one prediction mask.

    Each reading lies in [0, 1] and is NaN where its denominator is 0; what an empty mask counts for
    is decided elsewhere (`pipeline.metrics.scores.EMPTY_RULES`). Formulas: Taha and Hanbury,
    "Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 15:29 (2015),
    section "Overlap based metrics".

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
        return _ratio(2 * self.true_positives, self.reference_voxels + self.prediction_voxels)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), the Jaccard index."""
        return _ratio(
            self.true_positives, self.true_positives + self.false_positives + self.false_negatives
        )

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _ratio(self.true_positives, self.prediction_voxels)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), also called recall."""
        return _ratio(self.true_positives, self.reference_voxels)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP). Near 1 for any small structure in a large image: it says little about a
        tumour.
        """
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    def readings(self) -> dict[str, float]:
        """All of `READINGS` by name."""
        return {name: getattr(self, name) for name in READINGS}


def overlap(reference: np.ndarray, prediction: np.ndarray) -> Overlap:
    """Count how two masks agree.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid.

    Returns
    -------
    Overlap

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _require_equal_shapes(reference, prediction)
    both = np.count_nonzero(reference & prediction)
    return _from_totals(
        both, np.count_nonzero(reference), np.count_nonzero(prediction), reference.size
    )


def class_overlap(counts: np.ndarray, members: Iterable[int]) -> Overlap:
    """Read the overlap of a set of classes out of a confusion matrix.

    Parameters
    ----------
    counts : (K + 1, K + 1) int64 array
        As `confusion` gives it.
    members : iterable of int
        The class indices that make up the mask: one for a label, several for a region.

    Returns
    -------
    Overlap
        Equal to that of the two masks of these classes.
    """
    inside = list(members)
    totals = (
        counts[np.ix_(inside, inside)].sum(),
        counts[inside].sum(),
        counts[:, inside].sum(),
        counts.sum(),
    )
    return _from_totals(*map(int, totals))


def _from_totals(both: int, in_reference: int, in_prediction: int, voxels: int) -> Overlap:
    return Overlap(
        both,
        in_prediction - both,
        in_reference - both,
        voxels - in_reference - in_prediction + both,
    )


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else nan


def _require_equal_shapes(reference: np.ndarray, prediction: np.ndarray) -> None:
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must lie on one grid, got shapes {reference.shape} and"
            f" {prediction.shape}"
        )
