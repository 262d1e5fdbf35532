"""Confusion matrices: voxels counted by reference class and predicted class."""

from collections.abc import Iterable
from math import nan

import numpy as np

from .boxes import bounding_box


def confusion(reference: np.ndarray, prediction: np.ndarray, class_count: int) -> np.ndarray:
    """Count voxels by reference class and predicted class.

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
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must lie on one grid, got shapes {reference.shape} and"
            f" {prediction.shape}"
        )
    box = bounding_box(reference | prediction)
    rows, columns = reference[box], prediction[box]
    highest = max(rows.max(initial=0), columns.max(initial=0))
    if highest >= class_count:
        raise ValueError(
            f"class index {highest} found, but there are {class_count} classes with background"
        )
    pairs = rows * np.uint16(class_count) + columns  # one number per (row, column)
    counts = np.bincount(pairs.ravel(order="K"), minlength=class_count**2)
    counts = counts.reshape(class_count, class_count)
    counts[0, 0] += reference.size - rows.size
    return counts


def dice_of_classes(counts: np.ndarray, members: Iterable[int]) -> float:
    """Dice 2 TP / (2 TP + FP + FN) of the class indices that make up a mask, from the counts of
    `confusion`; NaN where neither reference nor prediction has a voxel.
    """
    inside = list(members)
    marked = int(counts[inside].sum() + counts[:, inside].sum())
    return 2 * int(counts[np.ix_(inside, inside)].sum()) / marked if marked else nan
