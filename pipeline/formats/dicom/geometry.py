"""Slices of a DICOM series in order, and the grid they make.

DICOM PS3.3, C.7.6.2.1.1 (Image Position and Image Orientation): voxel (column c, row r) of a slice
lies at position + c * column spacing * row direction + r * row spacing * column direction, in LPS+
millimetres.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...core.errors import InputError
from ...core.grid import Grid
from .frames import Frame
from .header import REMEDY

SAME_POSITION_MM = 0.01
TILT_MM = 0.2
"""A slice this far beside the normal through the first is tilted; headers that round their cosines
stay below.
"""
UNEVEN = 0.05
"""A gap may differ from the usual one by this share of it."""
_SAME_COSINE = 1e-4
_FARTHEST_MM = 1e6
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


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
        two share a position, slices are displaced against their normal (gantry tilt), or gaps are
        uneven (missing slice).
    """
    first = frames[0]
    _refuse_without_place(frames)
    _refuse_mixed(frames)
    row, column = np.array(first.orientation).reshape(2, 3)
    normal = _normal(first, row, column)
    positions = np.array([frame.position_mm for frame in frames])
    depths = positions @ normal
    order = np.argsort(depths, kind="stable").tolist()
    depths = depths[order]
    gaps = np.diff(depths)
    sorted_frames = [frames[index] for index in order]
    _refuse_duplicates(sorted_frames, gaps)
    _refuse_tilt(sorted_frames, positions[order], normal)
    _refuse_uneven(sorted_frames, gaps)
    step_mm = (
        np.linalg.norm(positions[order[-1]] - positions[order[0]]) / len(gaps)
        if len(gaps)
        else _thickness(first)
    )
    return order, _affine(first, normal, step_mm, positions[order[0]])


def outlined(
    first: Frame, positions_mm: Sequence[tuple[float, ...] | None], columns: int, rows: int
) -> Grid | None:
    """The grid of a series as far as its headers outline it; nothing is rejected here.

    Parameters
    ----------
    first : Frame
        Any of its slices.
    positions_mm : sequence of (tuple of 3 floats or None)
        ImagePositionPatient of every slice, in any order; positions that repeat count once.
    columns, rows : int
        Of each slice.

    Returns
    -------
    Grid or None
        That `in_order` finds if it accepts the slices; None where position, orientation, spacing or
        thickness is unusable.
    """
    try:
        _refuse_without_place([first])
        normal = _normal(first, *np.array(first.orientation).reshape(2, 3))
        positions = np.array(
            [
                position
                for position in positions_mm
                if position is not None and np.isfinite(position).all()
            ]
        )
        with np.errstate(over="ignore", invalid="ignore"):
            depths = positions @ normal
            steps = len(np.unique(np.round(depths / SAME_POSITION_MM))) - 1
            near, far = positions[depths.argmin()], positions[depths.argmax()]
            step_mm = float(np.linalg.norm(far - near)) / steps if steps else _thickness(first)
            affine = _affine(first, normal, step_mm, near)
    except InputError:
        return None
    return Grid((columns, rows, steps + 1), affine) if np.abs(affine).max() < _FARTHEST_MM else None


def _affine(first: Frame, normal: np.ndarray, step_mm: float, corner_mm: np.ndarray) -> np.ndarray:
    row, column = np.array(first.orientation).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0] = row * first.spacing_mm[1]
    affine[:3, 1] = column * first.spacing_mm[0]
    affine[:3, 2] = normal * step_mm
    affine[:3, 3] = corner_mm
    return _LPS_TO_RAS @ affine


def _refuse_without_place(frames: Sequence[Frame]) -> None:
    for frame in frames:
        for name, value in (
            ("ImagePositionPatient", frame.position_mm),
            ("ImageOrientationPatient", frame.orientation),
            ("PixelSpacing", frame.spacing_mm),
        ):
            if (
                value is None
                or not np.isfinite(value).all()
                or (name == "PixelSpacing" and min(value) <= 0)
            ):
                raise InputError(
                    f"{frame.name}: has no usable {name}, so the slice cannot be placed in the"
                    f" patient. {REMEDY}"
                )


def _refuse_mixed(frames: Sequence[Frame]) -> None:
    first = frames[0]
    for frame in frames[1:]:
        for name, one, other, tolerance in (
            ("ImageOrientationPatient", first.orientation, frame.orientation, _SAME_COSINE),
            ("PixelSpacing", first.spacing_mm, frame.spacing_mm, 1e-4 * first.spacing_mm[0]),
        ):
            if one != other and np.abs(np.subtract(one, other)).max() > tolerance:
                raise InputError(
                    f"{frame.name}: {name} is {list(other)}, but {list(one)} in {first.name}. The"
                    " folder mixes several series: keep one series with one orientation and"
                    " spacing per folder."
                )


def _normal(first: Frame, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    if (
        abs(np.linalg.norm(row) - 1) > 1e-3
        or abs(np.linalg.norm(column) - 1) > 1e-3
        or abs(row @ column) > 1e-3
    ):
        raise InputError(
            f"{first.name}: rows and columns are no unit vectors at right angles:"
            f" {list(first.orientation)}. {REMEDY}"
        )
    normal = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def _refuse_duplicates(frames: Sequence[Frame], gaps: np.ndarray) -> None:
    for (one, other), gap in zip(pairwise(frames), gaps, strict=True):
        if gap < SAME_POSITION_MM:
            kinds = sorted({frame.kind for frame in frames})
            several = f"The series holds {len(kinds)} volumes ({'; '.join(kinds)}): choose one."
            remedy = (
                several
                if len(kinds) > 1
                else "Remove the duplicated slice, or the second acquisition."
            )
            raise InputError(f"{other.name}: lies at the same position as {one.name}. {remedy}")


def _refuse_tilt(frames: Sequence[Frame], positions: np.ndarray, normal: np.ndarray) -> None:
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


def _refuse_uneven(frames: Sequence[Frame], gaps: np.ndarray) -> None:
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


def _thickness(frame: Frame) -> float:
    if frame.thickness_mm is None or not 0 < frame.thickness_mm < 1000:
        raise InputError(
            f"{frame.name}: is a single slice without thickness. Add its SliceThickness, or leave"
            " it out."
        )
    return frame.thickness_mm
