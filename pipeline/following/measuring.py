"""Diameters of lesions in the slices as acquired, never across a resection cavity."""

from dataclasses import dataclass, replace

import nibabel.orientations as orientations
import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates

from ..core.boxes import bounding_box
from ..core.grid import Grid
from ..metrics.diameters import Measured, border, measured

LEAST_MM = 10.0
THICK_MM = 5.0
"""Slices thicker than this need diameters of twice their thickness."""
LEAST_SLICES = 2
THICK_RATIO = 1.5
"""The slices of a grid whose voxels are so much longer along one axis run across that axis."""
_CORNERS = 96
_SAMPLES = 64
_PERPENDICULAR = np.sin(np.radians(3))


@dataclass(frozen=True)
class Slicing:
    """The slices of a grid: the voxel axis across them, their thickness, and their plane."""

    axis: int
    thickness_mm: float
    plane: str

    @property
    def least_mm(self) -> float:
        """What both diameters of a measurable lesion reach."""
        return max(LEAST_MM, 2 * self.thickness_mm if self.thickness_mm > THICK_MM else 0.0)


def slicing_of(grid: Grid) -> Slicing:
    """The slices of a grid as acquired; the axial ones where its voxels are nearly cubes."""
    spacing = np.array(grid.spacing_mm)
    ways = orientations.io_orientation(grid.affine)[:, 0].astype(int)
    thick = spacing.max() > THICK_RATIO * spacing.min()
    axis = int(spacing.argmax() if thick else np.flatnonzero(ways == 2)[0])
    return Slicing(axis, float(spacing[axis]), ("sagittal", "coronal", "axial")[ways[axis]])


def measure(mask: np.ndarray, cavity: np.ndarray, grid: Grid, slicing: Slicing) -> Measured | None:
    """The largest product of a longest diameter and a diameter perpendicular to it in one slice.

    Parameters
    ----------
    mask : (X, Y, Z) bool array
        A lesion.
    cavity : (X, Y, Z) bool array
        The resection cavity: no diameter crosses it. Where the largest ones would, only the parts
        of the lesion that are at least `LEAST_MM` thick are measured; where there is none, the
        lesion is a wall, measured by its length and thickness where the cavity is largest.
    grid : Grid
    slicing : Slicing

    Returns
    -------
    Measured or None
        None for an empty mask.
    """
    box, axis = bounding_box(mask, 1), slicing.axis
    inner, hole, spacing = mask[box], cavity[box], grid.spacing_mm
    best = measured(inner, spacing, axis)
    if best and _crosses(best, hole):
        solid = thick_parts(inner, spacing)
        part, chosen = (solid, _at(solid, slicing)) if solid.any() else (inner, _most(hole, axis))
        each = (_in_slice(part, hole, spacing, axis, index) for index in chosen)
        best = max(filter(None, each), key=lambda one: one.product_mm2, default=None)
    return best and _moved(best, np.array([side.start for side in box]))


def _at(mask: np.ndarray, slicing: Slicing) -> list[int]:
    """The slices that hold a voxel."""
    others = tuple(axis for axis in range(3) if axis != slicing.axis)
    return np.flatnonzero(mask.any(axis=others)).tolist()


def _most(cavity: np.ndarray, axis: int) -> list[int]:
    """The slice with the largest cavity."""
    areas = cavity.sum(axis=tuple(other for other in range(3) if other != axis))
    return [int(areas.argmax())]


def slices_of(mask: np.ndarray, slicing: Slicing) -> int:
    """How many slices hold a voxel."""
    return len(_at(mask, slicing))


def is_measurable(lines: Measured, slices: int, slicing: Slicing) -> bool:
    """Whether both diameters are long enough, and the lesion is seen on two slices."""
    return lines.short_axis_mm >= slicing.least_mm and slices >= LEAST_SLICES


def _moved(one: Measured, start: np.ndarray) -> Measured:
    return replace(
        one,
        index=one.index + int(start[one.plane]),
        long_ends=one.long_ends + start,
        short_ends=one.short_ends + start,
    )


def _in_slice(
    mask: np.ndarray,
    cavity: np.ndarray,
    spacing_mm: tuple[float, float, float],
    axis: int,
    index: int,
) -> Measured | None:
    """The diameters in one slice that do not cross the cavity."""
    only = np.zeros_like(mask)
    here = (slice(None),) * axis + (index,)
    only[here] = mask[here]
    found = measured(only, spacing_mm, axis)
    if found is None or not _crosses(found, cavity):
        return found
    return _beside(mask[here], cavity[here], np.delete(spacing_mm, axis), axis, index)


def thick_parts(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The parts of a lesion that a ball of `LEAST_MM` fits into: its opening by that ball."""
    radius_mm = LEAST_MM / 2
    depth_mm = distance_transform_edt(np.pad(mask, 1), spacing_mm)[1:-1, 1:-1, 1:-1]
    if depth_mm.max() < radius_mm:
        return np.zeros_like(mask)
    return mask & (distance_transform_edt(depth_mm < radius_mm, spacing_mm) < radius_mm)


def _crosses(lines: Measured, cavity: np.ndarray) -> bool:
    """Whether one of both diameters crosses the cavity."""
    ends = np.delete([lines.long_ends, lines.short_ends], lines.plane, axis=2)
    return bool(_crossing(ends, cavity.take(lines.index, lines.plane)).any())


def _crossing(ends: np.ndarray, cavity: np.ndarray) -> np.ndarray:
    """Which of the lines (N, 2, 2), by their ends in voxels of a slice, cross the cavity."""
    shares = np.linspace(0, 1, _SAMPLES)[:, None, None]
    points = ends[:, 0] * (1 - shares) + ends[:, 1] * shares
    sampled = map_coordinates(cavity.astype(np.uint8), np.moveaxis(points, -1, 0), order=0)
    return sampled.any(axis=0)


def _beside(
    mask: np.ndarray, cavity: np.ndarray, step_mm: np.ndarray, axis: int, index: int
) -> Measured | None:
    """The largest product of two perpendicular lines between points of the border of a slice that
    do not cross the cavity, the second through the middle half of the first: of a wall, its length
    and thickness. Of a long border, every so many points are considered.
    """
    corners = np.unique(border(mask).reshape(-1, 2), axis=0)
    corners = corners[:: -(-len(corners) // _CORNERS)]
    ends = corners[np.stack(np.triu_indices(len(corners), 1), axis=1)]
    ends = ends[~_crossing(ends, cavity)]
    lengths = np.linalg.norm((ends[:, 1] - ends[:, 0]) * step_mm, axis=1)
    order = np.argsort(-lengths, kind="stable")
    ends, lengths = ends[order], lengths[order]
    best, chosen = 0.0, None
    for long in range(len(lengths)):
        if lengths[long] ** 2 <= best:
            break
        across = long + _through_middle(ends[long:] * step_mm)
        if across.size and lengths[long] * lengths[across[0]] > best:
            best, chosen = float(lengths[long] * lengths[across[0]]), (long, int(across[0]))
    if chosen is None:
        return None
    (first, second), (long_mm, short_mm) = ends[list(chosen)], lengths[list(chosen)].tolist()
    placed = (np.insert(line, axis, index, axis=1) for line in (first, second))
    return Measured(axis, index, long_mm, short_mm, best, *placed)


def _through_middle(ends_mm: np.ndarray) -> np.ndarray:
    """Which of the lines (N, 2, 2) are perpendicular to the first, within 3 degrees, and cross the
    middle half of it; their places, ascending.
    """
    start, end = ends_mm[0]
    length = np.linalg.norm(end - start)
    way = (end - start) / length
    along = (ends_mm - start) @ way
    aside = (ends_mm - start) @ np.array([-way[1], way[0]])
    run, rise = np.diff(along)[:, 0], np.diff(aside)[:, 0]
    upright = np.abs(run) <= _PERPENDICULAR * np.hypot(run, rise)
    middle = np.abs(along.mean(axis=1) / length - 0.5) <= 0.25
    return np.flatnonzero(upright & middle & (aside.min(axis=1) <= 0) & (aside.max(axis=1) >= 0))
