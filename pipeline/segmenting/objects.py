"""The DICOM objects of a segmentation, on the geometry of one of its series."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import InputError
from ..core.grid import onto_axes_of
from ..core.schema import Schema
from ..formats.dicom.series import DicomSeries
from ..formats.dicom_objects import report, rtstruct, segmentation
from ..formats.dicom_objects.source import Source, read_source
from ..formats.volume import Part
from ..registration.native import labels_to_series, maps_to_series
from ..report.plots.palette import label_colours, region_colours
from ..runtime.version import version
from .extras import Extras
from .measuring import findings
from .sources import series_of

if TYPE_CHECKING:
    from .segmentation import Segmentation


def require(case: str, images: Mapping[str, Path | Part]) -> None:
    """Raise InputError unless objects can be made of a case, before anything is computed."""
    source = _source(case, series_of(images))
    blank = {"edema": np.zeros(source.grid.shape, bool)}
    segmentation.stored(segmentation.dataset(source, blank, "binary", _algorithm("", "ok")), source)


def made(result: "Segmentation", extras: Extras, corrected: bool = False) -> dict[str, bytes]:
    """The files of the objects that `extras` ask for, by format; they say whether a reader
    corrected the labels.

    Raises
    ------
    InputError
        If the case has no DICOM series, or its headers hold what no object can repeat.
    """
    source, schema = _source(result.case.name, result.series), result.schema
    flag = result.record["quality"]["flag"]
    algorithm = _algorithm(result.record["network_sha256"], flag, corrected)
    colours = label_colours(schema) | region_colours(schema)
    classes = _on_source(result, source, result.classes)
    masks = _masks(classes, schema, extras.segments)
    objects = {}
    if "seg" in extras.objects:
        segments = _maps(result, source) if extras.seg_type == "fractional" else masks
        objects["seg"] = segmentation.dataset(source, segments, extras.seg_type, algorithm, colours)
    if "sr" in extras.objects:
        measured = findings(classes, schema, source.grid.spacing_mm, masks)
        objects["sr"] = report.dataset(source, objects["seg"], measured, algorithm)
    if "rtstruct" in extras.objects:
        objects["rtstruct"] = rtstruct.dataset(source, masks, algorithm, colours)
    if flag == "check":  # what lists of series show
        for found in objects.values():
            found.SeriesDescription = f"Check: {found.SeriesDescription}"
    return {name: segmentation.stored(found, source) for name, found in objects.items()}


def _source(case: str, series: tuple[str, DicomSeries] | None) -> Source:
    if series is None:
        raise InputError(
            f"{case}: has no DICOM series, which seg, sr and rtstruct refer to. Give the folder of"
            " the DICOM study, or ask for --formats nifti."
        )
    return read_source(series[1])


def _masks(classes: np.ndarray, schema: Schema, kind: str) -> dict[str, np.ndarray]:
    """(X, Y, Z) bool of each label or region."""
    if kind == "regions":
        return {name: np.isin(classes, schema.classes_of(name)) for name in schema.regions}
    return {name: classes == index for index, name in enumerate(schema.labels, 1)}


def _maps(result: "Segmentation", source: Source) -> dict[str, np.ndarray]:
    """(X, Y, Z) probabilities of each region on the grid of the source."""
    return {
        name: _on_source(result, source, voxels, is_map=True)
        for name, voxels in result.probabilities.items()
    }


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


def _algorithm(network_sha256: str, flag: str, corrected: bool = False) -> segmentation.Algorithm:
    made_by = f"{version()} network {network_sha256[:16]}"
    return segmentation.Algorithm(
        "TumorFlow",
        made_by,
        {"network_sha256": network_sha256, "quality": flag},
        "SEMIAUTOMATIC" if corrected else "AUTOMATIC",
    )
