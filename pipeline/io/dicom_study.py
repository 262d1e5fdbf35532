"""DICOM files below a folder, gathered by examination, series and volume."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.errors import InputError
from pipeline.domain.sequences import Acquisition
from pipeline.io.dicom import DicomSeries
from pipeline.io.dicom_header import Header, is_dicom, read_header

_ENDINGS = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True)
class Stack:
    """A volume of a series, not yet read.

    Attributes
    ----------
    series : str
        SeriesInstanceUID.
    kind : str
        What tells its frames from others of the series, see `Frame.kind`.
    acquisition : Acquisition
        Of its first file.
    files : tuple of Path
        Sorted by name.
    """

    series: str
    kind: str
    acquisition: Acquisition
    files: tuple[Path, ...]

    @property
    def part(self) -> DicomSeries:
        """What reads it."""
        return DicomSeries(_common(self.files), self.files, self.kind)

    @property
    def name(self) -> str:
        """For messages: the description and the kind."""
        return f"{self.acquisition.description!r} ({self.kind})" if self.kind else repr(self.acquisition.description)


@dataclass(frozen=True)
class Study:
    """An examination of a patient.

    Attributes
    ----------
    study, patient : str
        Pseudonyms.
    folder : Path
        That holds all its files.
    stacks : tuple of Stack
        Of MR images, sorted by their first file and kind.
    """

    study: str
    patient: str
    folder: Path
    stacks: tuple[Stack, ...]


def studies(location: Path) -> list[Study]:
    """Read the headers of all DICOM files below a folder.

    Parameters
    ----------
    location : Path
        Each folder in it, at any depth, holds files of one examination, or none.

    Returns
    -------
    list of Study
        Sorted by pseudonym, those without an MR image included.

    Raises
    ------
    InputError
        If a file is damaged or named ``.dcm`` without being one, names no study, or a folder or an
        examination holds files of several patients.
    """
    patients: dict[str, tuple[str, Path]] = {}
    files: dict[str, list[Path]] = {}
    stacks: dict[str, dict[tuple[str, str], tuple[Acquisition, list[Path]]]] = {}
    for headers in _by_folder(location):
        _refuse_mixed(headers)
        first = headers[0]
        patient, path = patients.setdefault(first.study, (first.patient, first.path))
        if patient != first.patient:
            raise InputError(f"{first.path}: is of another patient than {path}, though of the same examination. Remove what is wrong.")
        files.setdefault(first.study, []).extend(header.path for header in headers)
        gathered = stacks.setdefault(first.study, {})
        for header in headers:
            for kind, acquisition in _kinds(header).items():
                gathered.setdefault((header.series, kind), (acquisition, []))[1].append(header.path)
    return [
        Study(
            study,
            patients[study][0],
            _common(files[study]),
            tuple(Stack(series, kind, acquisition, tuple(paths)) for (series, kind), (acquisition, paths) in stacks[study].items()),
        )
        for study in sorted(patients)
    ]


def _by_folder(location: Path) -> Iterator[list[Header]]:
    """Headers of each folder that holds DICOM files directly."""
    for folder, inner, names in os.walk(location):
        inner.sort()
        paths = [Path(folder) / name for name in sorted(names) if name.upper() != "DICOMDIR" and not name.startswith(".")]
        headers = [read_header(path) for path in paths if _is_wanted(path)]
        if headers:
            yield headers


def _is_wanted(path: Path) -> bool:
    marked = is_dicom(path)
    if not marked and path.suffix.lower() in _ENDINGS:
        raise InputError(f"{path}: is no DICOM file: the mark DICM is missing at byte 128. Export it again, or remove it.")
    return marked


def _refuse_mixed(headers: list[Header]) -> None:
    first = headers[0]
    for header in headers:
        if not header.study:
            raise InputError(f"{header.path}: names no examination (StudyInstanceUID). Export it again, or remove it.")
        if header.patient != first.patient:
            raise InputError(f"{header.path}: is of another patient than {first.path}. Keep one patient per folder, and remove strangers.")
        if header.study != first.study:
            raise InputError(f"{header.path}: is of another examination (StudyInstanceUID) than {first.path}. Keep one per folder.")


def _kinds(header: Header) -> dict[str, Acquisition]:
    """Volumes that an MR file has a share in."""
    frames = header.frames if header.modality == "MR" else ()
    return {frame.kind: frame.acquisition for frame in reversed(frames)}


def _common(files: list[Path] | tuple[Path, ...]) -> Path:
    return Path(os.path.commonpath([path.parent for path in files]))
