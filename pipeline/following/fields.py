"""Where lesions lie in the images of other visits, and a grid that holds those of all visits."""

from collections.abc import Sequence

import numpy as np

from ..core.boxes import bounding_box
from ..core.grid import Grid
from .aligning import Aligned
from .lesions import REACH_MM

MOST_BEYOND_MM = 100.0
"""How far the common grid reaches beyond the images of the baseline at most."""


def share_outside(mask: np.ndarray, grid: Grid, way: Aligned, other: Grid, back: Aligned) -> float:
    """Share of the voxels of a mask that lie outside the field of view of another visit.

    Parameters
    ----------
    mask : (X, Y, Z) bool array
    grid, way
        Of the mask, and from there to the reference.
    other, back
        Of the other visit.

    Returns
    -------
    float
        0 to 1; 0 for an empty mask.
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return 0.0
    onto = np.linalg.inv(back.matrix @ other.affine) @ way.matrix @ grid.affine
    there = voxels @ onto[:3, :3].T + onto[:3, 3]
    inside = (there >= -0.5) & (there <= np.array(other.shape) - 0.5)
    return float(1 - inside.all(axis=1).mean())


def around(
    base: Grid, masks: Sequence[np.ndarray], grids: Sequence[Grid], aligned: Sequence[Aligned]
) -> Grid:
    """The voxels of a grid of the reference visit, without end, that hold the lesions of all
    visits: at most `MOST_BEYOND_MM` beyond that grid.
    """
    spacing = np.array(base.spacing_mm)
    boxes = [
        _box(mask, np.linalg.inv(base.affine) @ way.matrix @ grid.affine)
        for mask, grid, way in zip(masks, grids, aligned, strict=True)
        if mask.any()
    ]
    if not boxes:
        return base
    margin = np.ceil(REACH_MM / spacing) + 1
    beyond = np.floor(MOST_BEYOND_MM / spacing)
    start = np.floor(np.min([low for low, _ in boxes], axis=0)) - margin
    stop = np.ceil(np.max([high for _, high in boxes], axis=0)) + margin + 1
    start, stop = (np.clip(end, -beyond, base.shape + beyond) for end in (start, stop))
    shifted = np.eye(4)
    shifted[:3, 3] = start
    x, y, z = np.maximum(stop - start, 1).astype(int).tolist()
    return Grid((x, y, z), base.affine @ shifted)


def _box(mask: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the box around a mask, faces of voxels included, through an affine transform."""
    sides = [(side.start - 0.5, side.stop - 0.5) for side in bounding_box(mask)]
    corners = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 3)
    there = corners @ onto[:3, :3].T + onto[:3, 3]
    return there.min(axis=0), there.max(axis=0)
