"""The DICOM objects of a segmentation, on the geometry of one of its series."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import InputError
from ..core.grid import onto_axes_of
from ..formats.dicom.series import DicomSeries
from ..formats.dicom_objects import segmentation
from ..formats.dicom_objects.source import Source, read_source
from ..formats.volume import Part
from ..registration.native import labels_to_series, maps_to_series
from ..report.plots.palette import label_colours, region_colours
from ..runtime.version import version
from .extras import Extras
from .sources import series_of

if TYPE_CHECKING:
    from .segmentation import Segmentation


def require(case: str, images: Mapping[str, Path | Part]) -> None:
    """Raise InputError unless objects can be made of a case, before anything is computed."""
    source = _source(case, series_of(images))
    blank = {"edema": np.zeros(source.grid.shape, bool)}
    segmentation.stored(segmentation.dataset(source, blank, "binary", _algorithm("")), source)


def made(result: "Segmentation", extras: Extras) -> dict[str, bytes]:
    """The files of the objects that `extras` ask for, by format.

    Raises
    ------
    InputError
        If the case has no DICOM series, or its headers hold what no object can repeat.
    """
    source = _source(result.case.name, result.series)
    found = segmentation.dataset(
        source,
        _segments(result, source, extras),
        extras.seg_type,
        _algorithm(result.record["network_sha256"]),
        label_colours(result.schema) | region_colours(result.schema),
    )
    return {"seg": segmentation.stored(found, source)}


def _source(case: str, series: tuple[str, DicomSeries] | None) -> Source:
    if series is None:
        raise InputError(
            f"{case}: has no DICOM series, which seg, sr and rtstruct refer to. Give the folder of"
            " the DICOM study, or ask for --formats nifti."
        )
    return read_source(series[1])


def _segments(result: "Segmentation", source: Source, extras: Extras) -> dict[str, np.ndarray]:
    """(X, Y, Z) of each segment on the grid of the source, bool or probabilities."""
    if extras.seg_type == "fractional":
        return {
            name: _on_source(result, source, voxels, is_map=True)
            for name, voxels in result.probabilities.items()
        }
    classes = _on_source(result, source, result.classes)
    schema = result.schema
    if extras.segments == "regions":
        return {name: np.isin(classes, schema.classes_of(name)) for name in schema.regions}
    return {name: classes == index for index, name in enumerate(schema.labels, 1)}


def _on_source(
    result: "Segmentation", source: Source, voxels: np.ndarray, is_map: bool = False
) -> np.ndarray:
    """Voxels on the grid of the case, (X, Y, Z), brought to that of the source."""
    assert result.series is not None
    name, series = result.series
    if result.native:
        back = maps_to_series if is_map else labels_to_series
        return back(voxels, result.native, name)
    turned = onto_axes_of(voxels, result.case.grid, source.grid)
    if turned is None:
        raise InputError(f"{series.path}: has changed since it was segmented. Segment it again.")
    return turned


def _algorithm(network_sha256: str) -> segmentation.Algorithm:
    made_by = f"{version()} network {network_sha256[:16]}"
    return segmentation.Algorithm("TumorFlow", made_by, {"network_sha256": network_sha256})
