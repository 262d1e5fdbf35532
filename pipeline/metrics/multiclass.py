"""One table of numbers for a whole class map, computed soundly: averages over classes with and
without background.

The project's origin reports accuracy, mean IoU, Dice, precision, sensitivity and specificity of
softmax outputs pooled over batches. The same names here are taken from hard labels, per case, on
the raw grid.
"""

from math import nan
from typing import Any

import numpy as np

from ..core.confusion import confusion
from ..core.schema import Schema
from .overlap import READINGS, class_overlap
from .scores import EMPTY_RULES, apply_empty_rule

NAMES = {
    "dice": "mean_dice",
    "iou": "mean_iou",
    "precision": "precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def score_classes(
    reference: np.ndarray, prediction: np.ndarray, schema: Schema
) -> dict[str, float | int]:
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
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid.
    schema : Schema
        Gives K and the empty rule.

    Returns
    -------
    dict
        ``accuracy``, ``mean_iou``, ``mean_dice``, ``precision``, ``sensitivity``, ``specificity``,
        each with the endings ``_with_background`` and ``_without_background``, in [0, 1], NaN if no
        class defines it; ``classes_filled``, in how many classes the empty rule gave a reading;
        ``classes_undefined``, in how many a reading was left undefined and so out of its average.

    Raises
    ------
    ValueError
        If the shapes differ or a class index is beyond the schema's labels.
    """
    counts = confusion(reference, prediction, len(schema.labels) + 1)
    classes = [_class_readings(counts, index, schema.empty_rule) for index in range(len(counts))]
    readings = [values for values, _ in classes]
    row: dict[str, float | int] = {}
    for ending, members in (("with_background", readings), ("without_background", readings[1:])):
        row[f"accuracy_{ending}"] = _accuracy(
            counts, ending == "with_background", schema.empty_rule
        )
        for reading in READINGS:
            row[f"{NAMES[reading]}_{ending}"] = _mean_defined(
                [values[reading] for values in members]
            )
    row["classes_filled"] = sum(filled != "" for _, filled in classes)
    row["classes_undefined"] = sum(
        any(value != value for value in values.values()) for values in readings
    )
    return row


def confusion_rows(counts: np.ndarray, schema: Schema) -> list[dict[str, Any]]:
    """A confusion matrix as a table.

    Parameters
    ----------
    counts : (K + 1, K + 1) int64 array
        Voxels by reference class and predicted class, of one case or summed over several.
    schema : Schema
        Names the classes.

    Returns
    -------
    list of dict
        One row per pair of classes, the reference's first: ``reference``, ``prediction``,
        ``voxels``.
    """
    names = ["background", *schema.labels]
    return [
        {"reference": reference, "prediction": prediction, "voxels": int(counts[row, column])}
        for row, reference in enumerate(names)
        for column, prediction in enumerate(names)
    ]


def _class_readings(counts: np.ndarray, index: int, rule: str) -> tuple[dict[str, float], str]:
    agreement = class_overlap(counts, [index])
    return apply_empty_rule(agreement.readings(), agreement, rule)


def _accuracy(counts: np.ndarray, with_background: bool, rule: str) -> float:
    ignored = 0 if with_background else counts[0, 0]
    right, voxels = np.trace(counts) - ignored, counts.sum() - ignored
    if voxels == 0:  # neither calls a voxel tumour
        return EMPTY_RULES[rule].get("both_empty", {}).get("accuracy", nan)
    return float(right / voxels)


def _mean_defined(values: list[float]) -> float:
    defined = [value for value in values if value == value]
    return sum(defined) / len(defined) if defined else nan
