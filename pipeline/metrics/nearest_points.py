"""Distances in mm from each marked point of a lattice to the nearest of another."""

from functools import cache
from math import inf

import numpy as np
from scipy.spatial import cKDTree

_NEAR = 122
"""Number of nearest neighbours that are looked up one by one before a tree is searched: on equal
spacing those within 3 voxels.
"""


def nearest_mm(
    one: np.ndarray, other: np.ndarray, steps_mm: tuple[float, ...], at_most_mm: float = inf
) -> tuple[np.ndarray, np.ndarray]:
    """Measure from each marked point of one lattice to the nearest of the other, and back.

    Parameters
    ----------
    one, other : bool array
        Marked points; one shape.
    steps_mm : tuple of float
        Distances between neighbouring points along each axis.
    at_most_mm : float
        Points farther away than this may get an infinite distance, which takes less time.

    Returns
    -------
    one_to_other_mm, other_to_one_mm : (N,) and (M,) float64 array
        One distance per marked point, in the order of C; infinite where the other lattice has none.
    """
    reach = np.max([offsets.max(axis=0) for _, offsets in _shells(steps_mm)[0]], axis=0)
    margins = [(margin, margin) for margin in reach.tolist()]
    one, other = (np.pad(np.ascontiguousarray(mask), margins) for mask in (one, other))
    return (
        _directed_mm(one, other, steps_mm, at_most_mm),
        _directed_mm(other, one, steps_mm, at_most_mm),
    )


def _directed_mm(
    start: np.ndarray, goal: np.ndarray, steps_mm: tuple[float, ...], at_most_mm: float
) -> np.ndarray:
    """Look at the nearest neighbours of all points, then search a tree for the rest. The margins of
    both arrays are as wide as the neighbours reach.
    """
    marked, strides = goal.ravel(), np.array(goal.strides)
    points = np.flatnonzero(start)
    distances, left = np.full(len(points), inf), np.arange(len(points))
    if not marked.any():
        return distances
    shells, beyond_mm = _shells(steps_mm)
    for length_mm, offsets in shells:
        if length_mm > at_most_mm or not len(left):
            return distances
        reached = np.zeros(len(left), bool)
        for offset in (offsets @ strides).tolist():
            reached |= marked.take(points[left] + offset)
        distances[left[reached]] = length_mm
        left = left[~reached]
    if beyond_mm > at_most_mm or not len(left):
        return distances
    far = np.stack(np.unravel_index(points[left], start.shape), axis=1)
    distances[left] = _by_tree_mm(far, np.argwhere(goal), steps_mm, at_most_mm)
    return distances


def _by_tree_mm(
    start: np.ndarray, goal: np.ndarray, steps_mm: tuple[float, ...], at_most_mm: float
) -> np.ndarray:
    """From each of (N, axes) indices to the nearest of (M, axes); infinite for what is not found
    within the bound.
    """
    tree = cKDTree(goal * steps_mm, leafsize=32, compact_nodes=False, balanced_tree=False)
    nearest = tree.query(start * steps_mm, distance_upper_bound=1.001 * at_most_mm)[1]
    distances, found = np.full(len(start), inf), nearest < len(goal)
    distances[found] = _lengths_mm(goal[nearest[found]] - start[found], steps_mm)
    return distances


def _lengths_mm(offsets: np.ndarray, steps_mm: tuple[float, ...]) -> np.ndarray:
    """From index offsets, not coordinates: three steps of 0.1 mm are 0.3 mm wherever they start."""
    return np.sqrt(((offsets * steps_mm) ** 2).sum(axis=1))


@cache
def _shells(steps_mm: tuple[float, ...]) -> tuple[list[tuple[float, np.ndarray]], float]:
    """The nearest neighbours of a lattice point, itself first, and the distance of the next ones.

    Each shell is a distance and the (K, axes) offsets of all neighbours at that distance.
    """
    radius_mm, lengths = min(steps_mm), np.zeros(1)
    while lengths[-1] <= lengths[: _NEAR + 1][-1]:
        radius_mm *= 1.25
        widths = np.ceil(radius_mm / np.array(steps_mm)).astype(int)
        offsets = np.indices((2 * widths + 1).tolist()).reshape(len(widths), -1).T - widths
        lengths = _lengths_mm(offsets, steps_mm)
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] <= radius_mm]
        offsets, lengths = offsets[order], lengths[order]
    distances, first = np.unique(
        lengths[: 1 + np.searchsorted(lengths, lengths[_NEAR], "right")], return_index=True
    )
    return list(
        zip(distances[:-1].tolist(), np.split(offsets[: first[-1]], first[1:-1]), strict=True)
    ), float(distances[-1])
