"""The headers of a DICOM series that a new object refers to, in the order of its slices."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from ...core.errors import InputError
from ...core.grid import Grid
from ..dicom.header import errors_reported, header_of, parse_header
from ..dicom.series import DicomSeries

_MULTIFRAME = "PerFrameFunctionalGroupsSequence"


@dataclass(frozen=True, eq=False)
class Source:
    """A series that was read as voxels, as its headers describe it.

    Attributes
    ----------
    headers : tuple of pydicom.Dataset
        Without pixels; one for each slice of `grid`, in its order, or a single one of enhanced MR.
        They hold the identity of the patient.
    frames : tuple of int
        For each slice the index, from 0, of its frame in its file; all 0 in classic MR.
    grid : Grid
        Voxel (column, row, slice) to RAS+ mm, that of `DicomSeries.read`.
    """

    headers: tuple[Dataset, ...]
    frames: tuple[int, ...]
    grid: Grid

    @property
    def is_multiframe(self) -> bool:
        """Whether one file holds all slices."""
        return _MULTIFRAME in self.headers[0]

    def header_of(self, index: int) -> Dataset:
        """The header of the file that holds a slice of the grid."""
        return self.headers[0 if self.is_multiframe else index]


def read_source(series: DicomSeries) -> Source:
    """Read the headers of a series in the order of its slices.

    Raises
    ------
    InputError
        As `DicomSeries.read`, of headers alone; if slices are spread over several files of enhanced
        MR.
    """
    datasets, headers = {}, []
    for path in series.files:
        with errors_reported(path):
            datasets[path] = parse_header(path)
            headers.append(header_of(datasets[path], path))
    frames, grid = series.arranged(headers)
    paths = [*dict.fromkeys(frame.path for frame in frames)]
    if len(paths) > 1 and any(_MULTIFRAME in datasets[path] for path in paths):
        raise InputError(
            f"{series.path}: is enhanced MR in {len(paths)} files, which a DICOM object cannot"
            " refer to together. Export the series as one file, or ask for nifti alone."
        )
    return Source(
        tuple(datasets[path] for path in paths), tuple(frame.number for frame in frames), grid
    )
