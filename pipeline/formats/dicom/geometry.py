"""The order of DICOM slices, and the grid they form.

DICOM PS3.3, C.7.6.2.1.1 (Image Position and Image Orientation): voxel (column c, row r) of a slice
lies at position + c * column spacing * row direction + r * row spacing * column direction, in LPS+
millimetres.

highdicom is not used here: version 0.28.2 takes a gantry tilt of 2.5 degrees and invents a
thickness of 1 mm for a single slice, and its errors name no file.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...core.errors import InputError
from ...core.grid import Grid
from .frames import Frame
from .header import REMEDY

SAME_POSITION_MM = 0.01
TILT_MM = 0.2
"""Distance from the normal through the first slice from which a series is tilted; headers with
rounded cosines stay below.
"""
UNEVEN = 0.05
"""Largest difference of a gap between slices from the median gap, as a share of it."""
_SAME_COSINE = 1e-4
_FARTHEST_MM = 1e6
_MOST_SLICES = 4096
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class _Placement(NamedTuple):
    """Where N frames lie, as their headers say (see `Frame`), LPS+ millimetres."""

    positions: np.ndarray  # (N, 3)
    orientations: np.ndarray  # (N, 6)
    spacings: np.ndarray  # (N, 2)


def in_order(frames: Sequence[Frame]) -> tuple[list[int], np.ndarray]:
    """Sort slices along their normal.

    Parameters
    ----------
    frames : sequence of Frame
        At least one, of one volume, in any order.

    Returns
    -------
    order : list of int
        Indices of `frames`, ascending along the cross product of row and column direction.
    affine : (4, 4) float64 array
        Voxel indices (column, row, slice) to RAS+ millimetres, right-handed.

    Raises
    ------
    InputError
        If a slice has no position, orientation or spacing, two differ in orientation or spacing,
        two share a position, slices are displaced from their normal (gantry tilt), or gaps are
        uneven (missing slice).
    """
    placed = _placement(frames)
    _check_alike(frames, placed)
    normal = _normal(frames[0], placed.orientations[0])
    depths = placed.positions @ normal
    order = np.argsort(depths, kind="stable").tolist()
    ordered = [frames[index] for index in order]
    positions, gaps = placed.positions[order], np.diff(depths[order])
    _check_duplicates(ordered, gaps)
    _check_tilt(ordered, positions, normal)
    _check_gaps(ordered, gaps)
    return order, _affine(frames[0], placed, normal, positions[0], positions[-1], len(gaps))


def outlined(
    first: Frame, positions_mm: Sequence[tuple[float, ...] | None], columns: int, rows: int
) -> Grid | None:
    """The grid that `in_order` finds if it accepts the slices at these positions, of which `first`
    is one; positions that repeat count once.

    Nothing is rejected here: None if position, orientation, spacing or thickness is unusable.
    """
    try:
        placed = _placement([first])
        normal = _normal(first, placed.orientations[0])
        positions = np.array(
            [position for position in positions_mm if position and np.isfinite(position).all()]
        )
        with np.errstate(over="ignore", invalid="ignore"):
            depths = positions @ normal
            steps = len(np.unique(np.round(depths / SAME_POSITION_MM))) - 1
            near, far = positions[depths.argmin()], positions[depths.argmax()]
            affine = _affine(first, placed, normal, near, far, steps)
    except InputError:
        return None
    return Grid((columns, rows, steps + 1), affine) if np.abs(affine).max() < _FARTHEST_MM else None


def _affine(
    first: Frame,
    placed: _Placement,
    normal: np.ndarray,
    near: np.ndarray,
    far: np.ndarray,
    steps: int,
) -> np.ndarray:
    """Of slices from the position `near` to `far`; (4, 4), RAS+."""
    step_mm = float(np.linalg.norm(far - near)) / steps if steps else first.thickness_mm
    if step_mm is None or (not steps and not 0 < step_mm < 1000):
        raise InputError(
            f"{first.name}: is a single slice without thickness. Add its SliceThickness, or leave"
            " it out."
        )
    row, column = placed.orientations[0].reshape(2, 3)
    between_rows, between_columns = placed.spacings[0]
    affine = np.eye(4)
    axes = (row * between_columns, column * between_rows, normal * step_mm, near)
    affine[:3] = np.column_stack(axes)
    return _LPS_TO_RAS @ affine


def _placement(frames: Sequence[Frame]) -> _Placement:
    for frame in frames:
        for name, value in (
            ("ImagePositionPatient", frame.position_mm),
            ("ImageOrientationPatient", frame.orientation),
            ("PixelSpacing", frame.spacing_mm),
        ):
            is_usable = value is not None and np.isfinite(value).all()
            if not is_usable or (name == "PixelSpacing" and min(value or (0,)) <= 0):
                raise InputError(
                    f"{frame.name}: has no usable {name}, so the slice cannot be placed in the"
                    f" patient. {REMEDY}"
                )
    return _Placement(
        np.array([frame.position_mm for frame in frames]),
        np.array([frame.orientation for frame in frames]),
        np.array([frame.spacing_mm for frame in frames]),
    )


def _check_alike(frames: Sequence[Frame], placed: _Placement) -> None:
    for name, values, tolerance in (
        ("ImageOrientationPatient", placed.orientations, _SAME_COSINE),
        ("PixelSpacing", placed.spacings, 1e-4 * placed.spacings[0, 0]),
    ):
        different = np.flatnonzero(np.abs(values - values[0]).max(axis=1) > tolerance)
        if len(different):
            other = different[0]
            raise InputError(
                f"{frames[other].name}: {name} is {values[other].tolist()}, but"
                f" {values[0].tolist()} in {frames[0].name}. The folder mixes several series: keep"
                " one series with one orientation and spacing per folder."
            )


def _normal(first: Frame, orientation: np.ndarray) -> np.ndarray:
    row, column = orientation.reshape(2, 3)
    faults = (np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column)
    if any(abs(fault) > 1e-3 for fault in faults):
        raise InputError(
            f"{first.name}: directions of rows and columns are no unit vectors at right angles:"
            f" {orientation.tolist()}. {REMEDY}"
        )
    normal = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def _check_duplicates(frames: Sequence[Frame], gaps: np.ndarray) -> None:
    for (one, other), gap in zip(pairwise(frames), gaps, strict=True):
        if gap < SAME_POSITION_MM:
            kinds = sorted({frame.kind for frame in frames})
            remedy = (
                f"The series holds {len(kinds)} volumes ({'; '.join(kinds)}): choose one."
                if len(kinds) > 1
                else "Remove the duplicated slice, or the second acquisition."
            )
            raise InputError(f"{other.name}: lies at the same position as {one.name}. {remedy}")


def _check_tilt(frames: Sequence[Frame], positions: np.ndarray, normal: np.ndarray) -> None:
    offsets = positions - positions[0]
    beside = np.linalg.norm(offsets - np.outer(offsets @ normal, normal), axis=1)
    worst = int(beside.argmax())
    if beside[worst] > TILT_MM:
        degrees = np.degrees(np.arctan2(beside[worst], offsets[worst] @ normal))
        raise InputError(
            f"{frames[worst].name}: lies {beside[worst]:.2f} mm beside the normal through"
            f" {frames[0].name} ({degrees:.1f} degrees): the gantry is tilted or slices of several"
            " series are mixed. Resample the series onto a rectangular grid, or leave it out."
        )


def _check_gaps(frames: Sequence[Frame], gaps: np.ndarray) -> None:
    if not len(gaps):
        return
    usual = float(np.median(gaps))
    worst = int(np.abs(gaps - usual).argmax())
    if abs(gaps[worst] - usual) > UNEVEN * usual:
        raise InputError(
            f"{frames[worst + 1].name}: follows {frames[worst].name} after {gaps[worst]:.3f} mm"
            f" where slices lie {usual:.3f} mm apart: a slice is missing, or the gaps are uneven."
            f" {REMEDY}"
        )


def common_grid(frames: Sequence[Frame], columns: int, rows: int) -> Grid:
    """The smallest grid with frames that may repeat a position or leave one out, as those of a
    segmentation do.

    Its slices lie apart by the smallest distance of two frames, or, of frames at one position, by
    their thickness.

    Raises
    ------
    InputError
        As `in_order`; if there are no frames, or the distances are no multiples of the smallest.
    """
    if not frames:
        raise InputError("there is no frame to place.")
    placed = _placement(frames)
    _check_alike(frames, placed)
    normal = _normal(frames[0], placed.orientations[0])
    depths = placed.positions @ normal
    order = depths.argsort(kind="stable")
    depths = depths[order]
    _check_tilt([frames[index] for index in order], placed.positions[order], normal)
    gaps = np.diff(depths)
    gaps = gaps[gaps >= SAME_POSITION_MM]
    steps = round(float(gaps.sum() / gaps.min())) if len(gaps) else 0
    uneven = len(gaps) and np.abs(gaps / gaps.min() - np.rint(gaps / gaps.min())).max() > UNEVEN
    near, far = placed.positions[order[0]], placed.positions[order[-1]]
    affine = _affine(frames[0], placed, normal, near, far, steps)
    if uneven or steps > _MOST_SLICES or np.abs(affine).max() > _FARTHEST_MM:
        raise InputError(
            f"{frames[0].path}: its frames do not lie at multiples of one distance. {REMEDY}"
        )
    return Grid((columns, rows, steps + 1), affine)


def placed_on(frames: Sequence[Frame], planes: Sequence[np.ndarray], grid: Grid) -> np.ndarray:
    """Put (rows, columns) bool planes where their frames lie on a grid, whose axes may run in
    another order and direction; no voxel is interpolated, and what repeats is united.

    Returns
    -------
    (X, Y, Z) bool array
        On the grid.

    Raises
    ------
    InputError
        As `in_order`; if a frame lies outside of the grid or between its voxels.
    """
    voxels = np.zeros(grid.shape, bool)
    if not frames:
        return voxels
    placed = _placement(frames)
    _check_alike(frames, placed)
    _normal(frames[0], placed.orientations[0])
    inverse = np.linalg.inv(grid.affine) @ _LPS_TO_RAS
    row, column = placed.orientations[0].reshape(2, 3)
    between_rows, between_columns = placed.spacings[0]
    lines = np.stack([row * between_columns, column * between_rows])
    steps = lines @ inverse[:3, :3].T  # of a column and a row, in voxels
    starts = placed.positions @ inverse[:3, :3].T + inverse[:3, 3]
    counts = np.array(planes[0].shape)[::-1]
    whole, corners = np.rint(steps), np.rint(starts)
    drift = (counts - 1) @ (steps - whole)
    apart = np.abs([starts - corners, starts - corners + drift]).max(axis=(0, 1))
    across, down = np.abs(whole).argmax(axis=1).tolist()
    is_aligned = across != down and (np.abs(whole).sum(axis=1) == 1).all()
    ends = corners + (counts - 1) @ whole
    is_inside = (np.minimum(corners, ends) >= 0).all() and (
        np.maximum(corners, ends) < grid.shape
    ).all()
    if not is_aligned or not is_inside or (apart * grid.spacing_mm).max() > SAME_POSITION_MM:
        raise InputError(
            f"{frames[0].path}: has frames that lie outside of the grid of the images, or between"
            f" its voxels (shape {grid.shape}, spacing"
            f" {', '.join(f'{edge:.4g}' for edge in grid.spacing_mm)} mm). Resample the mask onto"
            " that grid."
        )
    view = np.moveaxis(voxels, (across, down, 3 - across - down), (0, 1, 2))
    for plane, (left, top, level) in zip(
        planes, corners[:, [across, down, 3 - across - down]].astype(int), strict=True
    ):
        columns = left + int(whole[0, across]) * np.arange(counts[0])
        rows = top + int(whole[1, down]) * np.arange(counts[1])
        view[columns[:, None], rows, level] |= plane.T
    return voxels
