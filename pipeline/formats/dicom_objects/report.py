"""Measurements as a DICOM structured report (PS3.16, TID 1500), which workstations list beside the
images.

Each region has a group of its own (TID 1411 where the segmentation has a segment of it, TID 1501
otherwise), and so has each of its lesions (TID 1501), with its two diameters as lines on their
slice.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import highdicom.sr as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from .codes import ANATOMY, CATEGORY, PRIVATE_SCHEME, structure
from .segmentation import USE, Algorithm, character_set, equipment, own_scheme, source_reported
from .source import Source

_SERIES_NUMBER = 9002
_PROCEDURE = Code("24590-2", "LN", "MR Brain")
_PRODUCT = Code("DiameterProduct", PRIVATE_SCHEME, "Product of long and short axis")
_INTENDED_USE = Code("IntendedUse", PRIVATE_SCHEME, "Intended use")
_RESEARCH = Code("ResearchUse", PRIVATE_SCHEME, USE)
_RANO = codes.NCIt.RANO
_MM_DIGITS, _VOLUME_DIGITS = 2, 3


class Diameters(Protocol):
    """The longest diameter of a lesion within a slice, and the longest perpendicular to it, such as
    `pipeline.metrics.diameters.Measured`, on the source's grid.
    """

    @property
    def index(self) -> int: ...
    @property
    def long_axis_mm(self) -> float: ...
    @property
    def short_axis_mm(self) -> float: ...
    @property
    def product_mm2(self) -> float: ...
    @property
    def long_ends(self) -> np.ndarray: ...
    @property
    def short_ends(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Lesion:
    """A connected part of a region.

    `tracking_uid` identifies the same lesion in several studies; empty for a lesion that nobody has
    matched to one of another study, which gets a fresh one.
    """

    volume_mm3: float
    diameters: Diameters
    tracking_uid: str = ""


@dataclass(frozen=True, eq=False)
class Finding:
    """What was measured of a region.

    Attributes
    ----------
    name : str
        Of the region or label, as in `codes.structure`.
    volume_mm3 : float
    diameters : Diameters or None
        Those with the largest product; None if the region is empty.
    lesions : tuple of Lesion
        Its connected parts, the largest first.
    segment : str
        Label of the segment with the voxels of the region; empty if the segmentation has none.
    """

    name: str
    volume_mm3: float
    diameters: Diameters | None
    lesions: tuple[Lesion, ...]
    segment: str = ""


def dataset(
    source: Source, segmentation: Dataset | None, findings: Sequence[Finding], algorithm: Algorithm
) -> Dataset:
    """Make a report of at least one region.

    Parameters
    ----------
    source : Source
        The series that was measured; patient and study are taken from it.
    segmentation : pydicom.Dataset or None
        The segmentation object that the report refers to.
    findings : sequence of Finding
        One for each region, empty ones too.
    algorithm : Algorithm

    Raises
    ------
    InputError
        If the headers of the source hold what no object can repeat.
    """
    with source_reported(source):
        groups = [
            group
            for finding in findings
            for group in (
                _region(source, segmentation, finding, algorithm),
                *(
                    _lesion(source, finding, number, lesion, algorithm)
                    for number, lesion in enumerate(finding.lesions, 1)
                ),
            )
        ]
        return hd.ComprehensiveSR(
            evidence=[*source.headers, *([segmentation] if segmentation else [])],
            content=hd.MeasurementReport(_observer(algorithm), _PROCEDURE, groups)[0],
            series_instance_uid=generate_uid(prefix=None),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=generate_uid(prefix=None),
            instance_number=1,
            is_complete=True,
            is_final=False,
            is_verified=False,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            series_description=f"Measurements: {USE}",
            coding_schemes=[own_scheme()],
            specific_character_set=character_set(source),
            **equipment(algorithm),
        )


def _observer(algorithm: Algorithm) -> hd.ObservationContext:
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{algorithm.name} {algorithm.version}")
    device = hd.DeviceObserverIdentifyingAttributes(
        uid=f"2.25.{identity.int}",
        name=algorithm.name,
        manufacturer_name="TumorFlow",
        model_name=algorithm.version,
    )
    return hd.ObservationContext(
        observer_device_context=hd.ObserverContext(codes.DCM.Device, device)
    )


def _region(
    source: Source, segmentation: Dataset | None, finding: Finding, algorithm: Algorithm
) -> Any:
    """The group of a region as a whole."""
    segment = _segment(segmentation, finding.segment)
    tracking_uid = segment.get("TrackingUID", "") if segment else ""
    measurements = [_volume(finding.volume_mm3)]
    if finding.diameters:
        measurements += _diameters(finding.diameters)
    common = _common(finding, finding.name, tracking_uid, algorithm, measurements)
    if segmentation is None or segment is None:
        images = _references(source, finding, hd.SourceImageForMeasurementGroup)
        return hd.MeasurementsAndQualitativeEvaluations(**common, source_images=images)
    reference = hd.ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        segment.SegmentNumber,
        source_series=hd.SourceSeriesForSegmentation(source.headers[0].SeriesInstanceUID),
    )
    return hd.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **common, referenced_segment=reference
    )


def _lesion(
    source: Source, finding: Finding, number: int, lesion: Lesion, algorithm: Algorithm
) -> hd.MeasurementsAndQualitativeEvaluations:
    """The group of one lesion, with its diameters as lines on their slice."""
    measurements = [_volume(lesion.volume_mm3), *_diameters(lesion.diameters, source)]
    name = f"{finding.name} lesion {number}"
    return hd.MeasurementsAndQualitativeEvaluations(
        **_common(finding, name, lesion.tracking_uid, algorithm, measurements),
        source_images=[_slice(source, lesion.diameters.index, hd.SourceImageForMeasurementGroup)],
    )


def _common(
    finding: Finding,
    name: str,
    tracking_uid: str,
    algorithm: Algorithm,
    measurements: list[hd.Measurement],
) -> dict[str, Any]:
    """What all groups have."""
    return {
        "tracking_identifier": hd.TrackingIdentifier(
            uid=tracking_uid or generate_uid(prefix=None), identifier=name
        ),
        "finding_type": structure(finding.name).code,
        "finding_category": CATEGORY,
        "finding_sites": [hd.FindingSite(ANATOMY)],
        "algorithm_id": hd.AlgorithmIdentification(
            algorithm.name,
            algorithm.version,
            [f"{key}: {value}" for key, value in algorithm.parameters.items()],
        ),
        "measurements": measurements,
        "qualitative_evaluations": [hd.QualitativeEvaluation(_INTENDED_USE, _RESEARCH)],
    }


def _volume(volume_mm3: float) -> hd.Measurement:
    value = round(volume_mm3 / 1000, _VOLUME_DIGITS)
    return hd.Measurement(codes.SCT.Volume, value, codes.UCUM.CubicCentimeter)


def _diameters(diameters: Diameters, source: Source | None = None) -> list[hd.Measurement]:
    """Both diameters and their product; with a source the diameters as lines on their slice."""
    lines: Iterable[tuple[Code, float, np.ndarray]] = (
        (codes.SCT.LongAxis, diameters.long_axis_mm, diameters.long_ends),
        (codes.SCT.ShortAxis, diameters.short_axis_mm, diameters.short_ends),
    )
    found = [
        hd.Measurement(
            name,
            round(value, _MM_DIGITS),
            codes.UCUM.Millimeter,
            method=_RANO,
            referenced_coordinates=[_line(source, diameters.index, ends)] if source else None,
        )
        for name, value, ends in lines
    ]
    product = round(diameters.product_mm2, _MM_DIGITS)
    found.append(hd.Measurement(_PRODUCT, product, codes.UCUM.SquareMillimeter, method=_RANO))
    return found


def _line(source: Source, index: int, ends: np.ndarray) -> hd.CoordinatesForMeasurement:
    """A line on a slice. Image coordinates are 0 at the corner of the first pixel, not its centre
    (PS3.3, C.18.6.1.1).
    """
    image = _slice(source, index, hd.SourceImageForRegion)
    return hd.CoordinatesForMeasurement(hd.GraphicTypeValues.POLYLINE, ends[:, :2] + 0.5, image)


def _references(source: Source, finding: Finding, kind: type) -> list[Any]:
    """The slice of a region's diameters, or the first one of an empty region."""
    return [_slice(source, finding.diameters.index if finding.diameters else 0, kind)]


def _slice(source: Source, index: int, kind: type) -> Any:
    """A reference to the file and frame of a slice."""
    header = source.header_of(index)
    frames = [source.frames[index] + 1] if source.is_multiframe else None
    return kind(header.SOPClassUID, header.SOPInstanceUID, frames)


def _segment(segmentation: Dataset | None, label: str) -> Dataset | None:
    """The item of the segment with this label."""
    items = segmentation.SegmentSequence if segmentation and label else []
    return next((item for item in items if item.SegmentLabel == label), None)
