"""Diameters of lesions: the longest one within a slice and the longest perpendicular to it, as RANO
measures them.

Wen et al., "RANO 2.0", J Clin Oncol 41 (2023): lesions are measured by the product of the longest
diameter and the longest diameter perpendicular to it, both in one slice.

Diameters run from border to border of a lesion, not between voxel centres: the border is the
contour of marching squares at 0.5, whose corners are the midpoints between a voxel of the lesion
and a neighbour outside of it. So a single voxel measures its own width, and n voxels in a row n of
them; between centres it would be one less, and between corners of voxels a disc would be more than
a voxel too long.

Lines may cross a hole or a bay, as callipers laid on a ring of enhancement do, but both of their
ends lie on the border of the same island: voxels that are connected within the slice, edges and
corners included.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from ..core.boxes import Box, bounding_box
from .components import cropped, labelled

EQUAL = 1e-9
"""Lengths in mm, and ratios, that differ by less are equal."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The slice of a lesion with the largest product of diameters.

    Attributes
    ----------
    plane : int
        Axis of voxels that is normal to the slice.
    index : int
        Number of the slice along this axis.
    long_axis_mm : float
        Longest distance between two points of the border of one island of the slice.
    short_axis_mm : float
        Longest distance between two points of the same border on a line that is perpendicular to
        the long axis; at most `long_axis_mm`.
    product_mm2 : float
        Their product.
    long_ends, short_ends : (2, 3) float64 array
        End points of the two lines in voxel coordinates; voxel centres have integer ones.
    """

    plane: int
    index: int
    long_axis_mm: float
    short_axis_mm: float
    product_mm2: float
    long_ends: np.ndarray
    short_ends: np.ndarray


@dataclass(frozen=True, eq=False)
class Lesion:
    """A connected component of a mask (26 neighbours).

    Attributes
    ----------
    box : tuple of 3 slices
        Its bounding box in the image.
    mask : (x, y, z) bool array
        Its voxels within the box.
    volume_mm3 : float
    measured : Measured
        Its diameters, in voxel coordinates of the image.
    """

    box: Box
    mask: np.ndarray
    volume_mm3: float
    measured: Measured


def measured(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], axis: int = 2
) -> Measured | None:
    """Measure the slice with the largest product of the longest diameter and the longest diameter
    perpendicular to it.

    Parameters
    ----------
    mask : (X, Y, Z) bool array
        One lesion or several; of several the one with the largest product is measured.
    spacing_mm : tuple of 3 floats
        Edge lengths of a voxel.
    axis : int
        Axis normal to the slices, 2 for the slices of a series as acquired.

    Returns
    -------
    Measured or None
        None if the mask is empty. Of slices with equal products the one of the lowest index; of
        equally long diameters in a slice the one with the longest perpendicular.
    """
    box = bounding_box(mask)
    slices = np.moveaxis(mask[box], axis, 0)
    along = [other for other in range(3) if other != axis]
    step_mm = np.array([spacing_mm[other] for other in along])
    corner = np.array([box[other].start for other in along])
    islands = [
        _Island(box[axis].start + place, segments + corner, step_mm)
        for place, one in enumerate(slices)
        for segments in _islands(one)
    ]
    best: tuple[float, _Island, np.ndarray, np.ndarray] | None = None
    for island in sorted(islands, key=lambda island: (-island.bound_mm2, island.index)):
        if best and island.bound_mm2 < best[0] - EQUAL:
            break
        product, long_ends, short_ends = island.lines()
        tied = best is not None and abs(product - best[0]) <= EQUAL
        if best is None or (island.index < best[1].index if tied else product > best[0]):
            best = product, island, long_ends, short_ends
    if best is None:
        return None
    product, island, long_ends, short_ends = best
    return Measured(
        axis,
        island.index,
        _length(long_ends * step_mm),
        _length(short_ends * step_mm),
        product,
        np.insert(long_ends, axis, island.index, axis=1),
        np.insert(short_ends, axis, island.index, axis=1),
    )


def lesions(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], axis: int = 2, least_mm3: float = 0.0
) -> list[Lesion]:
    """Measure every connected component of a mask, the largest volume first.

    Parameters
    ----------
    mask, spacing_mm, axis
        As for `measured`.
    least_mm3 : float
        Smaller components are left out.
    """
    crop, place = cropped(mask, 0)
    components, voxel_mm3 = labelled(crop, place), float(np.prod(spacing_mm))
    found = []
    for number in components.numbers.tolist():
        volume_mm3 = float(components.voxels[number]) * voxel_mm3
        if volume_mm3 >= least_mm3:
            box = components.box_of(number)
            own = components.within(box) == number
            lines = measured(own, spacing_mm, axis)
            assert lines is not None
            found.append(Lesion(box, own, volume_mm3, _moved(lines, box)))
    return sorted(found, key=lambda lesion: -lesion.volume_mm3)


def _moved(lines: Measured, box: Box) -> Measured:
    """Diameters in a box of the image, in voxel coordinates of the image."""
    start = np.array([side.start for side in box])
    return Measured(
        lines.plane,
        lines.index + box[lines.plane].start,
        lines.long_axis_mm,
        lines.short_axis_mm,
        lines.product_mm2,
        lines.long_ends + start,
        lines.short_ends + start,
    )


def _islands(one: np.ndarray) -> Iterator[np.ndarray]:
    """(S, 2, 2) segments of the border of every connected part of an (x, y) slice."""
    parts, count = ndimage.label(one, np.ones((3, 3)))
    for number in range(1, count + 1):
        yield border(parts == number)


def border(one: np.ndarray) -> np.ndarray:
    """The contour of marching squares at 0.5 around a 2D mask, in which voxels that touch by a
    corner are connected.

    Parameters
    ----------
    one : (x, y) bool array

    Returns
    -------
    (S, 2, 2) float64 array
        Segments by their two ends, in voxel coordinates, in no order.
    """
    padded = np.pad(one, 1)
    a, b, c, d = padded[:-1, :-1], padded[1:, :-1], padded[1:, 1:], padded[:-1, 1:]
    corners = a + 2 * b + 4 * c + 8 * d.astype(np.int8)
    found = []
    for (first, second), codes in _SEGMENTS.items():
        cells = np.argwhere(np.isin(corners, codes)) - 1
        found.append(np.stack([cells + _MIDPOINTS[first], cells + _MIDPOINTS[second]], axis=1))
    return np.concatenate(found)


_MIDPOINTS = {"ab": (0.5, 0.0), "bc": (1.0, 0.5), "cd": (0.5, 1.0), "da": (0.0, 0.5)}
"""Midpoints of the sides of a cell of four voxels a, b, c, d, counter-clockwise from its origin."""
_SEGMENTS = {
    ("da", "ab"): (1, 14, 10),
    ("ab", "bc"): (2, 13, 5),
    ("bc", "cd"): (4, 11, 10),
    ("cd", "da"): (8, 7, 5),
    ("ab", "cd"): (6, 9),
    ("da", "bc"): (3, 12),
}
"""Which cells a line between two sides crosses, by the sum of 1, 2, 4, 8 of its voxels in the mask.
Where two opposite voxels are in it (5, 10), the lines cut off the other two."""


class _Island:
    """A connected part of a slice.

    Attributes
    ----------
    index : int
        Number of the slice.
    bound_mm2 : float
        At least the product of its diameters: the longest diameter times the widest extent
        perpendicular to it.
    """

    def __init__(self, index: int, segments: np.ndarray, step_mm: np.ndarray) -> None:
        self.index, self._step_mm = index, step_mm
        self._points, ends = np.unique(segments.reshape(-1, 2), axis=0, return_inverse=True)
        self._ends = ends.reshape(-1, 2)
        self._pairs = self._longest()
        self.bound_mm2 = max(_length(pair) * float(np.ptp(v)) for pair, _, v in self._turned())

    def _longest(self) -> np.ndarray:
        """(P, 2) int array: pairs of points that lie farthest apart, several where equally far."""
        points_mm = self._points * self._step_mm
        hull = ConvexHull(points_mm).vertices
        apart = np.linalg.norm(points_mm[hull, None] - points_mm[hull], axis=2)
        firsts, seconds = np.nonzero(np.triu(apart >= apart.max() * (1 - EQUAL)))
        return np.sort(np.stack([hull[firsts], hull[seconds]], axis=1), axis=1)

    def _turned(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For every longest diameter its ends in mm, and the coordinates in mm of all points along
        it and perpendicular to it.
        """
        points_mm = self._points * self._step_mm
        for pair in self._pairs:
            ends = points_mm[pair]
            way = (ends[1] - ends[0]) / _length(ends)
            yield ends, points_mm @ way, points_mm @ (-way[1], way[0])

    def lines(self) -> tuple[float, np.ndarray, np.ndarray]:
        """The product of the diameters in mm2, and the ends of both, (2, 2) each, in voxel
        coordinates.
        """
        best = -1.0, np.empty((2, 2)), np.empty((2, 2))
        for ends_mm, along, across in self._turned():
            where, low, high = _widest(along[self._ends], across[self._ends], along)
            product = _length(ends_mm) * (high - low)
            if product > best[0] * (1 + EQUAL):
                way = (ends_mm[1] - ends_mm[0]) / _length(ends_mm)
                normal = np.array([-way[1], way[0]])
                short_mm = np.array([where * way + side * normal for side in (low, high)])
                best = product, ends_mm / self._step_mm, short_mm / self._step_mm
        return best


def _widest(
    along: np.ndarray, across: np.ndarray, places: np.ndarray
) -> tuple[float, float, float]:
    """The longest chord perpendicular to a direction, between the outermost points of a border.

    Between two corners of the border the chord's length is a convex function of its place (the
    largest of linear functions less the smallest), so the longest chord runs through a corner.

    Parameters
    ----------
    along, across : (S, 2) float64 array
        Ends of the segments of the border, along the direction and perpendicular to it.
    places : (P,) float64 array
        Corners of the border, along the direction.

    Returns
    -------
    place, low, high : float
        Where the chord lies along the direction, and its two ends perpendicular to it.
    """
    places = np.unique(places)[:, None]
    start, run = along[:, 0], np.diff(along, axis=1)[:, 0]
    flat = np.abs(run) < EQUAL
    share = np.where(flat, 0.0, (places - start) / np.where(flat, 1.0, run))
    crossed = (places >= along.min(axis=1) - EQUAL) & (places <= along.max(axis=1) + EQUAL)
    heights = across[:, 0] + np.clip(share, 0, 1) * np.diff(across, axis=1)[:, 0]
    low = np.where(crossed, heights, np.inf).min(axis=1)
    high = np.where(crossed, heights, -np.inf).max(axis=1)
    longest = int(np.argmax(high - low))
    return float(places[longest, 0]), float(low[longest]), float(high[longest])


def _length(ends: np.ndarray) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))
