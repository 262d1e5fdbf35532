"""DICOM series: the files of one volume, checked against each other and sorted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from ...core.grid import Grid
from ..volume import Part, Volume
from .frames import Frame
from .geometry import in_order
from .header import Header, check_alike, errors_reported, header_of, parse
from .pixels import stored_values


@dataclass(frozen=True)
class DicomSeries(Part):
    """A volume of a DICOM series.

    Attributes
    ----------
    files : tuple of Path
        In any order: one per slice, or one with all (enhanced MR).
    kind : str or None
        Which frames, by `Frame.kind`, if the series holds several volumes; None takes all.
    """

    files: tuple[Path, ...]
    kind: str | None = None

    def read(self) -> Volume:
        """Read the slices in the order of their positions.

        Returns
        -------
        Volume
            Axes (column, row, slice), the slices ascending along the cross product of row and
            column direction. Stored integers if nothing rescales them, else float32.

        Raises
        ------
        InputError
            If a file is missing, damaged, no MR image or without pixels; if files are of several
            series or patients, or differ in size, orientation or spacing; if the gantry is tilted,
            or a slice is missing or duplicated.
        """
        read = [_read(path) for path in self.files]
        frames, grid = self.arranged([header for header, _, _ in read])
        planes = {
            (header.path, frame.number): plane
            for header, stored, _ in read
            for frame, plane in zip(header.frames, stored, strict=True)
        }
        slices = [(frame, planes[frame.path, frame.number]) for frame in frames]
        voxels = _rescaled(slices).transpose(2, 1, 0)
        sums = "".join(sorted(total for _, _, total in read))
        return Volume(voxels, grid, hashlib.sha256(sums.encode()).hexdigest())

    def arranged(self, headers: Sequence[Header]) -> tuple[list[Frame], Grid]:
        """The slices of the files' headers in the order of their positions, and their grid;
        InputError as of `read`.
        """
        if not headers:
            raise InputError(f"{self.path}: holds no DICOM file. Name the folder of a series.")
        check_alike(headers, "patient", "series")
        first = headers[0]
        for header in headers[1:]:
            if (header.rows, header.columns) != (first.rows, first.columns):
                raise InputError(
                    f"{header.path}: has {header.rows}x{header.columns} pixels, but {first.path}"
                    f" {first.rows}x{first.columns}. The folder mixes several series: keep those of"
                    " one size."
                )
        frames = [
            frame
            for header in headers
            for frame in header.frames
            if self.kind in (None, frame.kind)
        ]
        if not frames:
            raise InputError(
                f"{self.path}: holds no frame of the kind {self.kind!r}. Choose another."
            )
        order, affine = in_order(frames)
        shape = (first.columns, first.rows, len(frames))
        return [frames[index] for index in order], Grid(shape, affine)


def _read(path: Path) -> tuple[Header, np.ndarray, str]:
    """Header, stored values (frames, rows, columns) and sha256 of a file."""
    with errors_reported(path):
        stored = path.read_bytes()
        dataset = parse(path, stored)
        header = header_of(dataset, path)
        if header.modality != "MR":
            raise InputError(
                f"{path}: is no MR image (Modality {header.modality or 'missing'}). Leave it out of"
                " the series."
            )
        values = stored_values(dataset, path)
        if len(values) != len(header.frames):
            raise InputError(
                f"{path}: says where {len(header.frames)} of its {len(values)} frames lie. Export"
                " it as enhanced MR."
            )
    return header, values, hashlib.sha256(stored).hexdigest()


def _rescaled(slices: Sequence[tuple[Frame, np.ndarray]]) -> np.ndarray:
    """Stack (slices, rows, columns), each slice by its own slope and intercept (PS3.3, C.11.1)."""
    if all(frame.slope == 1 and frame.intercept == 0 for frame, _ in slices):
        return np.stack([plane for _, plane in slices])
    for frame, _ in slices:
        if not (np.isfinite([frame.slope, frame.intercept]).all() and frame.slope):
            raise InputError(
                f"{frame.name}: rescales by slope {frame.slope} and intercept {frame.intercept}."
                " Export the series again."
            )
    return np.stack(
        [(plane * frame.slope + frame.intercept).astype(np.float32) for frame, plane in slices]
    )
