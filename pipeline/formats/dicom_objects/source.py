"""The headers of a DICOM series that a new object refers to, in the order of its slices."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from ...core.errors import InputError
from ...core.grid import Grid
from ..dicom.frames import of_groups, text
from ..dicom.header import REMEDY, errors_reported, header_of, parse_header
from ..dicom.series import DicomSeries

_MULTIFRAME = "PerFrameFunctionalGroupsSequence"
_SHARED = ("PixelMeasuresSequence", "PlaneOrientationSequence")
_NEEDED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    "FrameOfReferenceUID",
)
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
_FORMS = {
    "PatientSex": re.compile("[MFO]"),
    "PatientBirthDate": (_DATE := re.compile("[0-9]{8}")),
    "StudyDate": _DATE,
    "StudyTime": re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?"),
}
"""What the standard lets elements hold (PS3.5, 6.2)."""


@dataclass(frozen=True, eq=False)
class Source:
    """A series that was read as voxels, as its headers describe it.

    Attributes
    ----------
    headers : tuple of pydicom.Dataset
        Without pixels; one for each slice of `grid`, in its order, or a single one of enhanced MR.
        They hold the identity of the patient, and all elements of type 2 of patient and study.
    frames : tuple of int
        For each slice the index, from 0, of its frame in its file; all 0 in classic MR.
    grid : Grid
        Voxel (column, row, slice) to RAS+ mm, that of `DicomSeries.read`.
    """

    headers: tuple[Dataset, ...]
    frames: tuple[int, ...]
    grid: Grid

    @property
    def name(self) -> str:
        """For messages: its first file."""
        return str(getattr(self.headers[0], "filename", "series"))

    @property
    def is_multiframe(self) -> bool:
        """Whether one file holds all slices."""
        return _MULTIFRAME in self.headers[0]

    def header_of(self, index: int) -> Dataset:
        """The header of the file that holds a slice of the grid."""
        return self.headers[0 if self.is_multiframe else index]

    def element(self, index: int, keyword: str) -> Any:
        """The value of an element of a slice, from its functional groups in enhanced MR; None where
        it is missing.
        """
        header = self.header_of(index)
        if not self.is_multiframe:
            return header.get(keyword)
        shared = next(iter(header.get("SharedFunctionalGroupsSequence") or []), Dataset())
        own = header.PerFrameFunctionalGroupsSequence[self.frames[index]]
        return of_groups(own, shared, keyword)


def read_source(series: DicomSeries) -> Source:
    """Read the headers of a series in the order of its slices.

    Raises
    ------
    InputError
        As `DicomSeries.read`, of headers alone; if a file lacks a UID that objects refer to, or
        slices are spread over several files of enhanced MR.
    """
    datasets, headers = {}, []
    for path in series.files:
        with errors_reported(path):
            datasets[path] = _completed(parse_header(path), path)
            headers.append(header_of(datasets[path], path))
    frames, grid = series.arranged(headers)
    paths = [*dict.fromkeys(frame.path for frame in frames)]
    if len(paths) > 1 and any(_MULTIFRAME in datasets[path] for path in paths):
        raise InputError(
            f"{series.path}: is enhanced MR in {len(paths)} files, which a DICOM object cannot"
            " refer to together. Export the series as one file, or ask for nifti alone."
        )
    if _MULTIFRAME in datasets[paths[0]]:
        _share(datasets[paths[0]], frames[0].number)
    return Source(
        tuple(datasets[path] for path in paths), tuple(frame.number for frame in frames), grid
    )


def _completed(dataset: Dataset, path: Path) -> Dataset:
    """The header with empty elements where patient and study lack one of type 2 (PS3.3, C.7.1.1 and
    C.7.2.1), or hold a date, a time or a sex that the standard does not know.
    """
    if missing := [keyword for keyword in _NEEDED if not dataset.get(keyword)]:
        raise InputError(
            f"{path}: lacks {', '.join(missing)}, which a DICOM object refers to. {REMEDY} Or ask"
            " for nifti alone."
        )
    for keyword in _MAY_BE_EMPTY:
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    for keyword, form in _FORMS.items():
        if not form.fullmatch(text(dataset[keyword].value)):
            setattr(dataset, keyword, "")
    return dataset


def _share(dataset: Dataset, frame: int) -> None:
    """Let all frames share the spacing and orientation of one, which are equal in a volume.

    Scanners of Siemens repeat them for each frame; highdicom looks for them among the shared ones.
    """
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), Dataset())
    for keyword in _SHARED:
        own = dataset[_MULTIFRAME][frame].get(keyword)
        if own and keyword not in shared:
            setattr(shared, keyword, own)
    dataset.SharedFunctionalGroupsSequence = [shared]
