"""DICOM files below a folder, grouped by study, series and volume."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from ...core.errors import InputError
from ...core.grid import Grid, slice_plane
from ..walking import files_below
from .frames import Frame
from .geometry import outlined
from .header import Header, check_alike, is_dicom, read_header
from .sequences import Acquisition
from .series import DicomSeries

OBLIQUE_DEG = 5.0
"""Slices tilted by more than this from the nearest plane of the body are called oblique."""
_ENDINGS = (".dcm", ".ima", ".dicom")
_ISOTROPIC_MM = 2.0
_ISOTROPIC_RATIO = 2.0


@dataclass(frozen=True)
class Stack:
    """A volume of a series, not yet read.

    `series`, `number` and `kind` are as in `Header` and `Frame`; `acquisition` is that of the first
    file, `acquired` the date and time of the first slice acquired, `shape` columns, rows and
    slices; `grid` is what the headers suggest, None if they do not place it.
    """

    series: str
    kind: str
    acquisition: Acquisition
    files: tuple[Path, ...]
    number: str
    acquired: tuple[str, str]
    shape: tuple[int, int, int]
    grid: Grid | None

    @property
    def part(self) -> DicomSeries:
        """The volume as a `Part`."""
        return DicomSeries(_common(self.files), self.files, self.kind)

    @property
    def name(self) -> str:
        """For messages: the description and the kind."""
        return f"{self.acquisition.description!r}" + (f" ({self.kind})" if self.kind else "")

    @property
    def plane(self) -> str:
        """``axial``, ``coronal`` or ``sagittal``, whichever is nearest; empty if unknown."""
        return slice_plane(self.grid.affine)[0] if self.grid else ""

    @property
    def isotropic(self) -> bool:
        """Whether the edges of its voxels are short and nearly equal, as of a 3D acquisition."""
        edges = self.grid.spacing_mm if self.grid else (float("inf"),)
        return max(edges) <= min(_ISOTROPIC_MM, _ISOTROPIC_RATIO * min(edges))

    @property
    def time(self) -> str:
        """When it was acquired, ``HH:MM:SS``; empty where not given."""
        digits = self.acquired[1]
        return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))

    @property
    def facts(self) -> str:
        """Number, time, plane, spacing, matrix, description, kind and number of files."""
        facts = [f"series {self.number or '?'}", self.time or "no time", *self._place()]
        facts += [" x ".join(map(str, self.shape)), self.name]
        return ", ".join([*facts, f"{len(self.files)} file{'s' if len(self.files) > 1 else ''}"])

    def _place(self) -> tuple[str, str]:
        if not self.grid:
            return "plane unknown", "spacing unknown"
        tilt_deg = slice_plane(self.grid.affine)[1]
        tilt = f"oblique by {tilt_deg:.0f} degrees" if tilt_deg > OBLIQUE_DEG else ""
        words = filter(None, (self.plane, "3D" * self.isotropic, tilt))
        edges = " x ".join(f"{round(edge, 2):g}" for edge in self.grid.spacing_mm)
        return " ".join(words), f"{edges} mm"


@dataclass
class _Gathered:
    """Slices of a stack, collected one by one; `files` are the keys of a dict, each once."""

    first: Header
    frame: Frame
    files: dict[Path, None] = field(default_factory=dict)
    positions_mm: list[tuple[float, ...] | None] = field(default_factory=list)
    acquired: tuple[str, str] = ("", "")

    def add(self, header: Header, frame: Frame) -> None:
        self.files[header.path] = None
        self.positions_mm.append(frame.position_mm)
        self.acquired = min(filter(any, (self.acquired, header.acquired)), default=("", ""))

    def stack(self) -> Stack:
        first = self.first
        grid = outlined(self.frame, self.positions_mm, first.columns, first.rows)
        return Stack(
            series=first.series,
            kind=self.frame.kind,
            acquisition=self.frame.acquisition,
            files=tuple(self.files),
            number=first.number,
            acquired=self.acquired,
            shape=grid.shape if grid else (first.columns, first.rows, len(self.positions_mm)),
            grid=grid,
        )


@dataclass(frozen=True)
class Study:
    """A study (examination) of a patient, both named by pseudonyms; `folder` contains all its
    files, `stacks` are of MR images, sorted by their first file and kind, and `segmentations` are
    the files of segmentation objects.
    """

    study: str
    patient: str
    folder: Path
    stacks: tuple[Stack, ...]
    segmentations: tuple[Path, ...] = ()


def studies(location: Path) -> list[Study]:
    """Read the headers of all DICOM files below a folder, of which each folder, at any depth, holds
    files of one examination, or none.

    Returns the studies sorted by pseudonym, those without an MR image included.

    Raises
    ------
    InputError
        If a file is damaged, is named ``.dcm`` without being DICOM or names no study, or if a
        folder or a study holds files of several patients.
    """
    patients: dict[str, tuple[str, Path]] = {}
    files: dict[str, list[Path]] = {}
    stacks: dict[str, dict[tuple[str, str], _Gathered]] = {}
    segmentations: dict[str, list[Path]] = {}
    for headers in _by_folder(location):
        check_alike(headers, "patient", "study")
        first = headers[0]
        patient, path = patients.setdefault(first.study, (first.patient, first.path))
        if patient != first.patient:
            raise InputError(
                f"{first.path}: is of another patient than {path}, though of the same examination."
                " Remove what is wrong."
            )
        files.setdefault(first.study, []).extend(header.path for header in headers)
        gathered = stacks.setdefault(first.study, {})
        segmentations.setdefault(first.study, []).extend(
            header.path for header in headers if header.modality == "SEG"
        )
        for header in headers:
            for frame in header.frames if header.modality == "MR" else ():
                start = _Gathered(header, frame)
                gathered.setdefault((header.series, frame.kind), start).add(header, frame)
    return [
        Study(
            study,
            patients[study][0],
            _common(files[study]),
            tuple(gathered.stack() for gathered in stacks[study].values()),
            tuple(segmentations[study]),
        )
        for study in sorted(patients)
    ]


def _by_folder(location: Path) -> Iterator[list[Header]]:
    """Headers of each folder that holds DICOM files directly."""
    found = [path for path in files_below(location) if path.name.upper() != "DICOMDIR"]
    once = {os.path.realpath(path): path for path in reversed(found) if not path.is_dir()}
    files = sorted(once.values(), key=lambda path: (path.parent, path))
    for _, paths in groupby(files, key=lambda path: path.parent):
        if headers := [*filter(None, map(_read, paths))]:
            yield headers


def _read(path: Path) -> Header | None:
    """The header of a DICOM file; None of any other file."""
    if not is_dicom(path):
        if path.suffix.lower() in _ENDINGS:
            raise InputError(
                f"{path}: is no DICOM file: the mark DICM is missing at byte 128, and the file does"
                " not begin with a data set that names its modality and examination. Export it"
                " again, or remove it."
            )
        return None
    header = read_header(path)
    if not header.study:
        raise InputError(
            f"{path}: names no examination (StudyInstanceUID). Export it again, or remove it."
        )
    return header


def _common(files: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in files]))
