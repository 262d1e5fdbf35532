"""The segmentation of a case: labels, probabilities, scores and pictures, and their files."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.case import Case
from ..core.errors import InputError
from ..core.grid import canonical_spacing_mm, to_canonical
from ..core.records import write_bytes, write_json
from ..core.regions import classes_to_values, values_to_classes
from ..core.schema import Schema
from ..formats import nifti, raw_cases
from ..formats.dicom.series import DicomSeries
from ..metrics.uncertainty import entropy_bits
from ..quality.flag import Quality
from ..registration.native import Native, labels_to_series
from .extras import (
    SUMMARIES,
    Extras,
    check_name,
    map_file,
    object_file,
    overlay_file,
    record_of,
    series_file,
    summary_file,
)
from .manifest import manifest, run, timed

if TYPE_CHECKING:
    import pandas

    from ..report.plots.summary.page import Summary

_STEPS = np.float32(1024)
"""Levels of a map in a unit: a tenth of the bytes of all digits, and 0.5 stays exact."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result of `Model.segment`, on the grid of the case's own files.

    Attributes
    ----------
    case : Case
        The image and its grid.
    classes : (X, Y, Z) uint8 array
        Class indices: 0 for background, 1..K in the order of ``schema.labels``.
    schema : Schema
        Names and values of the labels, and regions.
    modalities : tuple of str
        Those that the case has: the channels of its image.
    native : Native or None
        Transforms to the series as acquired, if they were registered.
    record : dict
        The run manifest, see `segmenting.manifest.Manifest`; `save` completes its ``run``.
    region_probabilities : callable
        For `probabilities`.
    series : tuple of str and DicomSeries, or None
        The modality and series that DICOM objects refer to, if the case is a DICOM study.
    """

    case: Case
    classes: np.ndarray
    schema: Schema
    modalities: tuple[str, ...]
    native: Native | None
    record: dict[str, Any]
    region_probabilities: Callable[[], dict[str, np.ndarray]]
    series: tuple[str, DicomSeries] | None = None

    def __repr__(self) -> str:
        volumes = ", ".join(f"{name} {volume:.1f} ml" for name, volume in self.volumes_ml.items())
        return f"Segmentation of {self.case.name}: {volumes}"

    @cached_property
    def probabilities(self) -> dict[str, np.ndarray]:
        """(X, Y, Z) float32 of each region, in [0, 1], before postprocessing."""
        return self.region_probabilities()

    @property
    def uncertainty(self) -> dict[str, np.ndarray]:
        """(X, Y, Z) float32 of each region: entropy of its probability in bits, in [0, 1]."""
        return {name: entropy_bits(voxels) for name, voxels in self.probabilities.items()}

    @property
    def labels(self) -> np.ndarray:
        """(X, Y, Z) uint8: label values, 0 for background."""
        return classes_to_values(self.classes, self.schema)

    @property
    def affine(self) -> np.ndarray:
        """(4, 4) float64: voxel indices to RAS+ mm."""
        return self.case.grid.affine

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Volume of each region, in ml."""
        return self.record["volumes_ml"]

    @property
    def warnings(self) -> list[str]:
        """What looks wrong with the case, such as swapped modalities."""
        return self.record["warnings"]

    @property
    def quality(self) -> Quality:
        """Whether the case is unlike those that the network was made of: its ``flag`` is "ok",
        "check" or "unknown", and each of the ``reasons`` has a ``text``.
        """
        return Quality.model_validate_json(json.dumps(self.record["quality"]))

    def save(self, path: str | Path, extras: Extras | None = None) -> None:
        """Write the labels as NIfTI, and beside it the run manifest as ``<path>.json``.

        The path ends in ``.nii`` or ``.nii.gz``, or an InputError is raised. If the case is native,
        the labels on each series are written as ``<stem>.<modality>.nii.gz``. What else `extras`
        ask for is written beside it; an InputError is raised before anything is written if that is
        a DICOM object, and the case is no DICOM study. The record is removed first and written
        last, so that where it is, the other files are complete.
        """
        path, extras = Path(path), extras or Extras()
        check_name(path)
        self.write(path, extras, self.objects(extras))

    def objects(self, extras: Extras, corrected: bool = False) -> dict[str, bytes]:
        """The files of the DICOM objects that `extras` ask for, by format; they say if a reader
        corrected the labels.
        """
        if not extras.objects:
            return {}
        from . import objects

        return objects.made(self, extras, corrected)

    def write(self, path: Path, extras: Extras, objects: Mapping[str, bytes]) -> None:
        """Write what `save` does, with objects made before."""
        record_of(path).unlink(missing_ok=True)
        seconds = dict(self.record["run"]["seconds"])
        with timed(seconds, "write"):
            self._write(path, extras, objects)
        about = run(self.record["run"]["device"], seconds)
        write_json(record_of(path), manifest(self.record | {"run": about}))

    def _write(self, path: Path, extras: Extras, objects: Mapping[str, bytes]) -> None:
        """Write all files but the record."""
        if extras.nifti:
            self._write_nifti(path)
        for name, stored in objects.items():
            write_bytes(object_file(path, name), stored)
        made_by = self._made_by
        for name, probabilities in self.probabilities.items() if extras.maps else ():
            for kind in extras.maps:
                voxels = probabilities if kind == "probabilities" else entropy_bits(probabilities)
                nifti.write(map_file(path, kind, name), _rounded(voxels), self.affine, made_by)
        if extras.overlay:
            self.show().save(overlay_file(path))
        if extras.summary:
            for kind in SUMMARIES:
                write_bytes(summary_file(path, kind), getattr(self.summary, kind))

    @property
    def _made_by(self) -> str:
        return f"TumorFlow {self.record['network_sha256'][:16]}"

    def _write_nifti(self, path: Path) -> None:
        labels = self.labels
        nifti.write(path, labels, self.affine, self._made_by)
        if self.native:
            for name, place in self.native.series.items():
                voxels = labels_to_series(labels, self.native, name)
                nifti.write(series_file(path, name), voxels, place.grid.affine, self._made_by)

    def score(self, reference: str | Path | np.ndarray) -> "pandas.DataFrame":
        """Score the labels against a reference: label values (X, Y, Z) on the grid of the case.

        One row per label and region, with the metrics of metrics/cases.csv (docs/metrics.md).

        Raises
        ------
        InputError
            If the reference is on another grid or holds values that the schema does not declare.
        """
        import pandas

        from ..metrics.case_scores import score_case

        grid = self.case.grid
        rows = score_case(self._reference(reference), self.classes, self.schema, grid.spacing_mm)
        return pandas.DataFrame(rows)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `summary` says, as plain values: see `report.case_facts.case_facts`."""
        from ..report.case_facts import case_facts, lesions_of

        classes = to_canonical(self.classes, self.affine)
        spacing_mm = canonical_spacing_mm(self.affine)
        found = lesions_of(classes, self.schema, spacing_mm)
        return case_facts(classes, self.schema, spacing_mm, self.record, found)

    @cached_property
    def summary(self) -> "Summary":
        """One page of A4, whose attributes ``pdf`` and ``png`` are the bytes of its files: key
        slices with outlines, volumes with their errors on validation cases, diameters of lesions,
        quality flag, warnings, and what made it.
        """
        from ..report.plots.planes import view_of
        from ..report.plots.summary.page import summary

        case = replace(self.case, classes=np.zeros_like(self.classes))
        return summary(view_of(case, self.classes, self.modalities), self.schema, self.record)

    def show(self, reference: str | Path | np.ndarray | None = None, dpi: int = 100) -> "Picture":
        """Draw the slices with the largest tumour area, for a notebook.

        With a reference, as for `score`, its outlines and the disagreement are drawn as in the
        report.
        """
        from ..report.plots.overlays import overlay
        from ..report.plots.planes import view_of
        from ..report.plots.segmentation import segmentation_plot

        none = np.zeros_like(self.classes) if reference is None else self._reference(reference)
        case = replace(self.case, classes=none)
        view = view_of(case, self.classes, self.modalities)
        if reference is None:
            return Picture(segmentation_plot(view, self.schema, dpi))
        return Picture(overlay(view, self.schema, "", dpi))

    def _reference(self, reference: str | Path | np.ndarray) -> np.ndarray:
        """Class indices (X, Y, Z) uint8 of a reference on the grid of the case."""
        if isinstance(reference, np.ndarray):
            if reference.shape != self.classes.shape:
                raise InputError(
                    f"reference: expected shape {self.classes.shape}, got {reference.shape}."
                )
            try:
                return values_to_classes(reference, self.schema)
            except ValueError as error:
                raise InputError(f"reference: {error}.") from None
        path = Path(reference)
        remedy = "Resample it onto the grid of the case."
        image = Path(self.case.name)
        mask = raw_cases.on_grid_of(path, raw_cases.read_mask(path), image, self.case.grid, remedy)
        return raw_cases.classes_of(path, mask, self.schema, lambda: "Convert its label values.")


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook displays: the bytes of a PNG file."""

    png: bytes = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str | Path) -> None:
        """Write the PNG file."""
        write_bytes(Path(path), self.png)


def _rounded(voxels: np.ndarray) -> np.ndarray:
    return np.rint(voxels * _STEPS) / _STEPS
