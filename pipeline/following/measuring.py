"""Diameters of lesions in the slices as acquired, never across a resection cavity."""

from dataclasses import dataclass

import nibabel.orientations as orientations
import numpy as np
from scipy.ndimage import map_coordinates

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
        The resection cavity: no diameter crosses it, so that its walls are measured by
        themselves.
    grid : Grid
    slicing : Slicing

    Returns
    -------
    Measured or None
        None for an empty mask.
    """
    box = bounding_box(mask, 1)
    inner, hole, spacing = mask[box], cavity[box], grid.spacing_mm
    if not hole.any():
        best = measured(inner, spacing, slicing.axis)
    else:
        best = max(
            filter(
                None,
                (_in_slice(inner, hole, spacing, slicing.axis, at) for at in _at(inner, slicing)),
            ),
            key=lambda one: one.product_mm2,
            default=None,
        )
    return best and _moved(best, np.array([side.start for side in box]))


def _at(mask: np.ndarray, slicing: Slicing) -> list[int]:
    """The slices that hold a voxel."""
    others = tuple(axis for axis in range(3) if axis != slicing.axis)
    return np.flatnonzero(mask.any(axis=others)).tolist()


def slices_of(mask: np.ndarray, slicing: Slicing) -> int:
    """How many slices hold a voxel."""
    return len(_at(mask, slicing))


def is_measurable(lines: Measured, slices: int, slicing: Slicing) -> bool:
    """Whether both diameters are long enough, and the lesion is seen on two slices."""
    return lines.short_axis_mm >= slicing.least_mm and slices >= LEAST_SLICES


def _moved(one: Measured, start: np.ndarray) -> Measured:
    return Measured(
        one.plane,
        one.index + int(start[one.plane]),
        one.long_axis_mm,
        one.short_axis_mm,
        one.product_mm2,
        one.long_ends + start,
        one.short_ends + start,
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
    if found is None:
        return None
    ends = np.delete([found.long_ends, found.short_ends], axis, axis=2)
    if not _crossing(ends, cavity[here]).any():
        return found
    return _beside(mask[here], cavity[here], np.delete(spacing_mm, axis), axis, index)


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
    do not cross the cavity; of long borders, every so many points are considered.
    """
    corners = np.unique(border(mask).reshape(-1, 2), axis=0)
    corners = corners[:: -(-len(corners) // _CORNERS)]
    pairs = np.stack(np.triu_indices(len(corners), 1), axis=1)
    ends = corners[pairs]
    ends = ends[~_crossing(ends, cavity)]
    ways = (ends[:, 1] - ends[:, 0]) * step_mm
    lengths = np.linalg.norm(ways, axis=1)
    order = np.argsort(-lengths, kind="stable")
    ends, ways, lengths = ends[order], ways[order], lengths[order]
    best: tuple[float, int, int] | None = None
    for long in range(len(lengths)):
        if best and lengths[long] ** 2 <= best[0]:
            break
        upright = (
            np.abs(ways[long:] @ ways[long]) <= _PERPENDICULAR * lengths[long] * lengths[long:]
        )
        if upright.any():
            short = long + int(upright.argmax())
            product = float(lengths[long] * lengths[short])
            best = max(best, (product, long, short)) if best else (product, long, short)
    if best is None:
        return None
    product, long, short = best
    return Measured(
        axis,
        index,
        float(lengths[long]),
        float(lengths[short]),
        product,
        *(np.insert(ends[which], axis, index, axis=1) for which in (long, short)),
    )
