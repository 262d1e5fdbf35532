"""All classes of a case in one row: averages over classes with and without background.

They are of hard labels, per case, on the raw grid, not of softmax outputs pooled over batches.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..core.schema import Schema
from . import registry
from .overlap import class_overlap


def score_classes(counts: np.ndarray, schema: Schema) -> dict[str, float | int]:
    """Score one case over all its classes.

    With M[i, j] the voxels of reference class i predicted as j, and 0 the background:

    - accuracy with background: sum_c M[c, c] / sum M, the share of all voxels that are right;
    - accuracy without background: sum_{c>0} M[c, c] / (sum M - M[0, 0]), the share that is right
      among the voxels that the reference or the prediction calls tumour;
    - mean Dice, mean IoU, precision, sensitivity, specificity: computed for each class against all
      others (`pipeline.metrics.overlap.Overlap`), filled by the cohort's empty rule, then averaged
      over classes with equal weight (macro average), over 0..K with background and over 1..K
      without.

    Parameters
    ----------
    counts : (K + 1, K + 1) int64 array
        M, as `pipeline.core.confusion.confusion` gives it.

    Returns
    -------
    dict
        ``accuracy``, ``mean_iou``, ``mean_dice``, ``precision``, ``sensitivity``, ``specificity``,
        each with the endings ``_with_background`` and ``_without_background``, in [0, 1], NaN if no
        class defines it; ``classes_filled``, in how many classes the empty rule gave a reading;
        ``classes_undefined``, in how many a reading was left undefined and so out of its average.
    """
    by_rule = schema.empty_rule == "brats"
    readings, filled = [], 0
    for index in range(len(counts)):
        agreement = class_overlap(counts, [index])
        filling = registry.applied(agreement.empty, schema.empty_rule)
        fills = registry.fills("multiclass", filling)
        defined = registry.readings("multiclass", agreement)
        readings.append({name: fills.get(name, value) for name, value in defined.items()})
        filled += bool(fills)
    row: dict[str, float | int] = {}
    for ending, members in (("with_background", readings), ("without_background", readings[1:])):
        row[f"accuracy_{ending}"] = _accuracy(counts, ending == "with_background", by_rule)
        for name in members[0]:
            row[f"{name}_{ending}"] = _mean_defined([values[name] for values in members])
    row["classes_filled"] = filled
    row["classes_undefined"] = sum(
        any(value != value for value in values.values()) for values in readings
    )
    return row


def confusion_rows(counts: np.ndarray, schema: Schema) -> list[dict[str, Any]]:
    """A confusion matrix, of one case or summed over several, as a table: one row per pair of
    classes with ``reference``, ``prediction``, ``voxels``.
    """
    names = ["background", *schema.labels]
    return [
        {"reference": reference, "prediction": prediction, "voxels": int(counts[row, column])}
        for row, reference in enumerate(names)
        for column, prediction in enumerate(names)
    ]


def exchanged_labels(counts: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, str]:
    """Find labels that a prediction has under each other's names, in rows of `confusion_rows`.

    Returns
    -------
    dict of str to str
        Label to the name that most of its voxels have in the prediction, of labels for which this
        differs; empty unless the best assignment of names more than doubles the agreement.
    """
    voxels = {(row["reference"], row["prediction"]): row["voxels"] for row in counts}
    table = np.array([[voxels[one, other] for other in labels] for one in labels])
    best = linear_sum_assignment(table, maximize=True)
    if table[best].sum() <= 2 * np.trace(table):
        return {}
    pairs = zip(*best, strict=True)
    return {labels[one]: labels[other] for one, other in pairs if one != other}


def _accuracy(counts: np.ndarray, with_background: bool, by_rule: bool) -> float:
    ignored = 0 if with_background else counts[0, 0]
    right, voxels = np.trace(counts) - ignored, counts.sum() - ignored
    if voxels == 0:  # neither calls a voxel tumour
        return registry.fills("multiclass", "both_empty")["accuracy"] if by_rule else nan
    return float(right / voxels)


def _mean_defined(values: list[float]) -> float:
    defined = [value for value in values if value == value]
    return sum(defined) / len(defined) if defined else nan
