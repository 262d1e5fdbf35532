"""Made patients: a head in motion between visits, with balls of tumour of known size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.grid import Grid
from pipeline.formats import nifti
from pipeline.registration.mutual_information import Sampled, resample
from tests.registration.conftest import RAS_2MM, head

Ball = tuple[float, float, float, float]
"""Centre in mm of the head, and radius in mm."""
CUBES = Grid((64, 64, 64), RAS_2MM)


def inside(balls: Sequence[Ball], grid: Grid, motion: np.ndarray) -> np.ndarray:
    """Voxels of a grid in one of the balls of a head that was moved."""
    voxels = np.moveaxis(np.indices(grid.shape), 0, -1)
    back = np.linalg.inv(motion) @ grid.affine
    places = voxels @ back[:3, :3].T + back[:3, 3]
    mask = np.zeros(grid.shape, bool)
    for *centre, radius in balls:
        mask |= np.linalg.norm(places - centre, axis=-1) <= radius
    return mask


def write_visit(
    folder: Path,
    case: str,
    enhancing: Sequence[Ball],
    edema: Sequence[Ball] = (),
    cavity: Sequence[Ball] = (),
    motion: np.ndarray | None = None,
    grid: Grid = CUBES,
    labels: bool = True,
    mark: str = "_",
) -> Path:
    """Write a visit in the naming of BraTS; enhancing tumour lies in edema, cavity in both."""
    motion = np.eye(4) if motion is None else motion
    enhancing_value = 4 if mark == "_" else 3
    values = np.zeros(grid.shape, np.uint8)
    values[inside(edema, grid, motion)] = 2
    values[inside(enhancing, grid, motion)] = enhancing_value
    values[inside(cavity, grid, motion)] = 4 if mark == "-" else 0
    names = ("t1ce", "flair") if mark == "_" else ("t1c", "t2f")
    bright = (values == enhancing_value, values > 0)
    for name, contrast, mask in zip(names, ((2, 4, 6, 8), (8, 3, 5, 4)), bright, strict=True):
        source = head(tuple(100.0 * part for part in contrast))
        image = resample(Sampled(source.voxels, source.grid), grid, motion, "linear")
        voxels = np.where(mask & (image > 0), 1000, image).astype(np.int16)
        nifti.write(folder / f"{case}{mark}{name}.nii.gz", voxels, grid.affine)
    if labels:
        nifti.write(folder / f"{case}{mark}seg.nii.gz", values, grid.affine)
    return folder
