"""The DICOM series of a case that its objects refer to."""

from collections.abc import Mapping
from pathlib import Path

from ..formats.dicom.series import DicomSeries
from ..formats.volume import Part

_SERIES = ("t1c", "t2f", "t1n", "t2w")
"""The first of these that a case has is what its objects refer to."""


def series_of(images: Mapping[str, Path | Part]) -> tuple[str, DicomSeries] | None:
    """The modality and series that the objects of a case refer to; None without a DICOM series."""
    for name in _SERIES:
        if isinstance(series := images.get(name), DicomSeries):
            return name, series
    return None
