"""How many voxels of a reference and a prediction agree, and what these counts are read as."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

import numpy as np

from pipeline.domain.bounding_box import bounding_box

READINGS = ("dice", "iou", "precision", "sensitivity", "specificity")


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one reference mask against one prediction mask.

    Each reading lies in [0, 1] and is NaN where its denominator is 0; what an empty mask counts for
    is decided elsewhere (`pipeline.domain.scores.EMPTY_RULES`). Formulas: Taha and Hanbury, "Metrics for
    evaluating 3D medical image segmentation", BMC Medical Imaging 15:29 (2015), section "Overlap based metrics".

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
        return _ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)

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
        """TN / (TN + FP). Near 1 for any small structure in a large image: it says little about a tumour."""
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
    return _from_totals(both, np.count_nonzero(reference), np.count_nonzero(prediction), reference.size)


def confusion(reference: np.ndarray, prediction: np.ndarray, class_count: int) -> np.ndarray:
    """Count voxels by reference class and predicted class, in one pass from which every overlap follows.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices, 0 for background, on the same grid.
    class_count : int
        Classes with background, K + 1.

    Returns
    -------
    (K + 1, K + 1) int64 array
        Row: reference class; column: predicted class.

    Raises
    ------
    ValueError
        If the shapes differ or a class index is K + 1 or more.
    """
    _require_equal_shapes(reference, prediction)
    box = bounding_box(reference | prediction)
    rows, columns = reference[box], prediction[box]
    highest = max(rows.max(initial=0), columns.max(initial=0))
    if highest >= class_count:
        raise ValueError(f"class index {highest} found, but there are {class_count} classes with background")
    pairs = rows * np.uint16(class_count) + columns  # one number per (row, column)
    counts = np.bincount(pairs.ravel(order="K"), minlength=class_count**2).reshape(class_count, class_count)
    counts[0, 0] += reference.size - rows.size
    return counts


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
    totals = counts[np.ix_(inside, inside)].sum(), counts[inside].sum(), counts[:, inside].sum(), counts.sum()
    return _from_totals(*map(int, totals))


def _from_totals(both: int, in_reference: int, in_prediction: int, voxels: int) -> Overlap:
    return Overlap(both, in_prediction - both, in_reference - both, voxels - in_reference - in_prediction + both)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else nan


def _require_equal_shapes(reference: np.ndarray, prediction: np.ndarray) -> None:
    if reference.shape != prediction.shape:
        raise ValueError(f"reference and prediction must lie on one grid, got shapes {reference.shape} and {prediction.shape}")
