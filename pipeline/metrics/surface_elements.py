"""Surface elements of two masks, their areas and the distances between them; metrics that weight
each element by its area.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from math import inf, nan

import numpy as np
from scipy.spatial import cKDTree

from ..core.boxes import bounding_box

ROUNDING_MM = 1e-6
"""A distance beyond the tolerance by less than this is within it: voxel edges of 1 mm read from a
file's 32-bit affine may be 1.0000001.
"""

_NEAR = 122
"""Number of nearest neighbours that are looked up one by one before a tree is searched: on equal
spacing those within 3 voxels.
"""

_NORMALS: dict[int, dict[int, list[tuple[int, ...]]]] = {
    2: {0b0001: [(4, 4)], 0b0011: [(8, 0)], 0b0110: [(4, 4), (4, 4)]},
    3: {
        0b00000001: [(1, 1, 1)],
        0b00000011: [(2, 2, 0), (2, 2, 0)],
        0b00000110: [(1, 1, 1), (1, 1, 1)],
        0b00000111: [(4, 0, 0), (2, 2, 2), (1, 1, 1)],
        0b00001111: [(4, 0, 0), (4, 0, 0)],
        0b00010110: [(1, 1, 1), (1, 1, 1), (1, 1, 1)],
        0b00010111: [(1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1)],
        0b00011000: [(1, 1, 1), (1, 1, 1)],
        0b00011001: [(0, 2, 2), (0, 2, 2), (1, 1, 1)],
        0b00011011: [(0, 2, 2), (2, 2, 2), (2, 2, 2), (2, 0, 2)],
        0b00011110: [(4, 0, 0), (2, 2, 2), (1, 1, 1), (1, 1, 1)],
        0b00111100: [(2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)],
        0b01101001: [(1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)],
    },
}
"""Triangles of marching cubes in each kind of neighbourhood: number of axes, then code of one such
neighbourhood, then of each triangle (on two axes, line) the absolute normal, in eighths, as long as
its area. All other neighbourhoods are rotations, reflections or complements of these.
"""


@dataclass(frozen=True)
class SurfelDistances:
    """Surface elements of two masks.

    Attributes
    ----------
    reference_mm : (N,) float64 array
        From each element of the reference to the nearest of the prediction; infinite where the
        prediction has none.
    reference_areas : (N,) float64 array
        Areas of the reference's elements in mm2; lengths in mm in an image of one slice.
    prediction_mm, prediction_areas : (M,) float64 array
        The same the other way round.
    """

    reference_mm: np.ndarray
    reference_areas: np.ndarray
    prediction_mm: np.ndarray
    prediction_areas: np.ndarray


def surfel_distances(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: tuple[float, float, float],
    at_most_mm: float = inf,
) -> SurfelDistances:
    """Find the surface elements of two masks and measure from each to the nearest of the other
    mask.

    An element lies where the 2x2x2 voxels around a corner of the voxel grid are neither all in the
    mask nor all outside. Beyond the image border is outside; singleton axes are ignored, and the
    elements of a slice are parts of the outline in the plane. They and their areas are those of
    Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for radiotherapy",
    J Med Internet Res 23(7) (2021), as published in DeepMind's surface-distance.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid. Crops give the same as whole images as long as they hold both masks and
        are thicker than one voxel wherever the image is.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.
    at_most_mm : float
        Elements farther away than this may get an infinite distance, which takes less time.

    Returns
    -------
    SurfelDistances

    Raises
    ------
    ValueError
        If the shapes differ, fewer than two axes are longer than 1, or a spacing is not a positive
        number.
    """
    one, other, steps_mm = crops(reference, prediction, spacing_mm)
    return surfels_between(one, other, steps_mm, at_most_mm)


def surface_dice(distances: SurfelDistances, tolerance_mm: float) -> float:
    """Normalised surface Dice: the share of both surfaces' area within a tolerance of the other.

    It equals ``compute_surface_dice_at_tolerance`` of surface-distance.

    Parameters
    ----------
    distances : SurfelDistances
        Measured at least as far as the tolerance.
    tolerance_mm : float
        Largest distance in mm that counts as none, but for `ROUNDING_MM`.

    Returns
    -------
    float
        In [0, 1]; 0 if one mask is empty, NaN if both are.
    """
    within = distances.reference_areas[distances.reference_mm <= tolerance_mm + ROUNDING_MM].sum()
    within += distances.prediction_areas[
        distances.prediction_mm <= tolerance_mm + ROUNDING_MM
    ].sum()
    area = distances.reference_areas.sum() + distances.prediction_areas.sum()
    return float(within / area) if area else nan


def robust_hausdorff_mm(distances: SurfelDistances, percent: float = 95) -> float:
    """Robust Hausdorff distance: the larger of the two directed distances within which a share of
    a surface's area lies.

    It equals ``compute_robust_hausdorff`` of surface-distance, which gives infinity where this
    gives NaN. Where an element reaches the share to the last bit, rounding decides between it and
    the next in both, and on voxels that are not cubes the decisions may differ.

    Parameters
    ----------
    distances : SurfelDistances
        Measured without a bound.
    percent : float
        Share of each surface's area in percent; 100 gives the Hausdorff distance between the
        elements.

    Returns
    -------
    float
        Distance in mm, 0 or more; NaN if a mask is empty.
    """
    if not len(distances.reference_mm) or not len(distances.prediction_mm):
        return nan
    return max(
        _weighted_percentile(distances.reference_mm, distances.reference_areas, percent),
        _weighted_percentile(distances.prediction_mm, distances.prediction_areas, percent),
    )


def _weighted_percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """The first value at which the share is reached, summed in the order of surface-distance so
    that rounding is the same.
    """
    order = np.lexsort((weights, values))
    weights = weights[order]
    place = int(np.searchsorted(np.cumsum(weights) / weights.sum(), percent / 100))
    return float(values[order[min(place, len(values) - 1)]])


def crops(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Crop both masks to their common bounding box, padded by a voxel, without singleton axes.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.

    Returns
    -------
    one, other : bool array of 3 dimensions, or fewer
        The crops, of one shape.
    steps_mm : tuple of float
        Spacing along the remaining axes.

    Raises
    ------
    ValueError
        If the shapes differ, no axis is longer than 1, or a spacing is not a positive number.
    """
    if reference.shape != prediction.shape or max(reference.shape) == 1:
        raise ValueError(
            f"two masks on one grid of several voxels are needed; got shapes {reference.shape} and"
            f" {prediction.shape}"
        )
    if not all(0 < step < inf for step in spacing_mm):
        raise ValueError(f"voxel edges are positive lengths in mm; got spacing {tuple(spacing_mm)}")
    boxes = [box for box in map(bounding_box, (reference, prediction)) if box[0].stop] or [
        (slice(0, 0),) * reference.ndim
    ]
    box = tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )
    flat = tuple(axis for axis, length in enumerate(reference.shape) if length == 1)
    one, other = (
        _framed(np.asarray(mask[box].any(axis=flat)), 1) for mask in (reference, prediction)
    )
    return (
        one,
        other,
        tuple(float(step) for axis, step in enumerate(spacing_mm) if axis not in flat),
    )


def _framed(mask: np.ndarray, margins: int | np.ndarray) -> np.ndarray:
    """A copy in the order of C, padded on every side."""
    framed = np.zeros(np.add(mask.shape, 2 * np.asarray(margins)), bool)
    inner = zip(np.broadcast_to(margins, mask.ndim).tolist(), mask.shape, strict=True)
    framed[tuple(slice(margin, margin + length) for margin, length in inner)] = mask
    return framed


def surfels_between(
    one: np.ndarray, other: np.ndarray, steps_mm: tuple[float, ...], at_most_mm: float
) -> SurfelDistances:
    """Do the work of `surfel_distances` on what `crops` gives."""
    areas = areas_mm(steps_mm)
    codes = [_neighbourhoods(mask) for mask in (one, other)]
    elements = [(code != 0) & (code != len(areas) - 1) for code in codes]
    reference_mm, prediction_mm = nearest_mm(elements[0], elements[1], steps_mm, at_most_mm)
    reference_areas, prediction_areas = (
        areas[code[element]] for code, element in zip(codes, elements, strict=True)
    )
    return SurfelDistances(reference_mm, reference_areas, prediction_mm, prediction_areas)


def _neighbourhoods(mask: np.ndarray) -> np.ndarray:
    """Which voxels around each inner corner are in the mask: bits in the order of C, the first
    voxel the highest; uint8.
    """
    codes = mask.view(np.uint8)
    for turn, axis in enumerate(reversed(range(mask.ndim))):
        along = np.moveaxis(codes, axis, 0)
        codes = np.moveaxis(along[:-1] << 2**turn | along[1:], 0, axis)
    return codes


@cache
def areas_mm(steps_mm: tuple[float, ...]) -> np.ndarray:
    """Area of the surface in each of the neighbourhoods that voxels can form.

    By marching cubes (Lorensen and Cline, SIGGRAPH 1987): the surface crosses each edge between a
    voxel inside and one outside half way, and each face of the cube in the lines that cut off its
    voxels of the rarer kind; these lines close to loops. A loop that is not flat can be filled in
    several ways; `_NORMALS` has the fan of triangles that is largest in a cube of equal edges,
    which gives the areas of surface-distance in all 256 neighbourhoods.

    Parameters
    ----------
    steps_mm : tuple of 2 or 3 float
        Voxel edge lengths in mm.

    Returns
    -------
    (16,) or (256,) float64 array
        Lengths in mm, or areas in mm2. The index has one bit for each voxel, in the order of C, the
        first the highest.

    Raises
    ------
    ValueError
        If there are neither 2 nor 3 axes.
    """
    axes = len(steps_mm)
    if axes not in _NORMALS:
        raise ValueError(
            "surface elements are defined on 2 or 3 axes longer than one voxel, not on"
            f" {len(steps_mm)}"
        )
    corners = list(product((0, 1), repeat=axes))
    bit = {corner: 1 << place for place, corner in enumerate(reversed(corners))}
    # the component of a normal along an axis grows with the edges along the other axes
    across = np.prod(steps_mm) / np.array(steps_mm) if axes == 3 else np.array(steps_mm[::-1])
    areas = np.zeros(2 ** len(corners))
    for code, normals in _NORMALS[axes].items():
        inside = [corner for corner in corners if bit[corner] & code]
        for order in permutations(range(axes)):
            scaled = np.array(normals)[:, order] / 8 * across
            area = sum(np.linalg.norm(scaled, axis=1).tolist())
            for flips in product((0, 1), repeat=axes):
                turned = sum(
                    bit[tuple(corner[axis] ^ flip for axis, flip in zip(order, flips, strict=True))]
                    for corner in inside
                )
                areas[[turned, len(areas) - 1 - turned]] = area
    areas.flags.writeable = False
    return areas


def nearest_mm(
    one: np.ndarray, other: np.ndarray, steps_mm: tuple[float, ...], at_most_mm: float = inf
) -> tuple[np.ndarray, np.ndarray]:
    """Measure from each marked point of a lattice to the nearest marked point of another, and back.

    Parameters
    ----------
    one, other : bool array
        Marked points; one shape.
    steps_mm : tuple of float
        Distances between neighbouring points along each axis in mm.
    at_most_mm : float
        Points farther away than this may get an infinite distance, which takes less time.

    Returns
    -------
    one_to_other_mm : (N,) float64 array
        One distance per marked point of `one`, in the order of C; infinite where the other lattice
        has no marked point.
    other_to_one_mm : (M,) float64 array
        One per marked point of `other`.
    """
    reach = np.max([offsets.max(axis=0) for _, offsets in _shells(steps_mm)[0]], axis=0)
    one, other = _framed(one, reach), _framed(other, reach)
    return _directed_mm(one, other, steps_mm, at_most_mm), _directed_mm(
        other, one, steps_mm, at_most_mm
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
