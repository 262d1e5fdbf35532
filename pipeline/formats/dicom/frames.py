"""Slices of a DICOM file as plain values: the one of classic MR, the many of enhanced MR."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from .sequences import Acquisition


@dataclass(frozen=True)
class Frame:
    """One slice: a whole file of classic MR, a frame of enhanced MR.

    Attributes
    ----------
    path : Path
        The file.
    number : int
        Of the frame in the file, from 0.
    kind : str
        Distinguishes it from other frames of the same series at the same position: component, echo,
        time, b-value, stack.
    acquisition : Acquisition
    position_mm : tuple of 3 floats or None
        ImagePositionPatient: the centre of the first voxel, LPS+.
    orientation : tuple of 6 floats or None
        ImageOrientationPatient: direction cosines along a row, then along a column, LPS+.
    spacing_mm : tuple of 2 floats or None
        PixelSpacing: between rows, between columns.
    thickness_mm : float or None
        SpacingBetweenSlices, or else SliceThickness; used only for a single slice.
    slope, intercept : float
        Of the rescaling of stored values.
    """

    path: Path
    number: int
    kind: str
    acquisition: Acquisition
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    thickness_mm: float | None
    slope: float
    intercept: float

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.path}, frame {self.number + 1}" if self.number else str(self.path)


_GROUP_OF = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "StackID": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "FrameType": "MRImageFrameTypeSequence",
    "ComplexImageComponent": "MRImageFrameTypeSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "RepetitionTime": "MRTimingAndRelatedParametersSequence",
    "InversionRecovery": "MRModifierSequence",
    "InversionTimes": "MRModifierSequence",
    "DiffusionBValue": "MRDiffusionSequence",
}
"""Functional groups of enhanced MR (PS3.3, C.7.6.16 and C.8.13.5)."""
_COMPONENTS = {
    **dict.fromkeys(("P", "PHASE", "PHASE MAP"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real"),
    **dict.fromkeys(("I", "IMAGINARY"), "imaginary"),
}


class _Groups(NamedTuple):
    """Functional groups of a frame; its own take precedence over the shared ones."""

    own: Dataset
    shared: Dataset

    def get(self, keyword: str) -> Any:
        items = self.own.get(_GROUP_OF[keyword]) or self.shared.get(_GROUP_OF[keyword])
        return items[0].get(keyword) if items else None


def frames_of(dataset: Dataset, path: Path) -> Iterator[Frame]:
    """Slices of a data set in the order of the file."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        acquisition = _classic(dataset)
        kind = _kind(acquisition, text(dataset.get("TemporalPositionIdentifier")), "")
        yield _frame(path, 0, acquisition, kind, dataset.get)
        return
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), Dataset())
    for number, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups = _Groups(own, shared)
        acquisition = _enhanced(dataset, groups)
        kind = _kind(
            acquisition, text(groups.get("TemporalPositionIndex")), text(groups.get("StackID"))
        )
        yield _frame(path, number, acquisition, kind, groups.get)


def _classic(dataset: Dataset) -> Acquisition:
    return Acquisition(
        description=text(dataset.get("SeriesDescription")),
        protocol=text(dataset.get("ProtocolName")),
        sequence_name=text(dataset.get("SequenceName")),
        scanning_sequence=_texts(dataset.get("ScanningSequence")),
        image_type=_texts(dataset.get("ImageType")),
        contrast_agent=text(dataset.get("ContrastBolusAgent")),
        echo_time_ms=_number(dataset.get("EchoTime")),
        repetition_time_ms=_number(dataset.get("RepetitionTime")),
        inversion_time_ms=_number(dataset.get("InversionTime")),
        b_value=_number(dataset.get("DiffusionBValue")),
    )


def _enhanced(dataset: Dataset, groups: _Groups) -> Acquisition:
    """The acquisition of a frame of enhanced MR, in the terms of classic MR."""
    agents = dataset.get("ContrastBolusAgentSequence") or []
    sequences = {
        "SE": text(dataset.get("EchoPulseSequence")) in ("SPIN", "BOTH"),
        "GR": text(dataset.get("EchoPulseSequence")) in ("GRADIENT", "BOTH"),
        "EP": text(dataset.get("EchoPlanarPulseSequence")) == "YES",
        "IR": text(groups.get("InversionRecovery")) == "YES",
    }
    return Acquisition(
        description=text(dataset.get("SeriesDescription")),
        protocol=text(dataset.get("ProtocolName")),
        sequence_name=text(dataset.get("PulseSequenceName")),
        scanning_sequence=tuple(name for name, there in sequences.items() if there),
        image_type=(_texts(groups.get("FrameType")) or _texts(dataset.get("ImageType")))
        + _texts(groups.get("ComplexImageComponent")),
        contrast_agent=(text(agents[0].get("CodeMeaning")) or "named by a code") if agents else "",
        echo_time_ms=_number(groups.get("EffectiveEchoTime")),
        repetition_time_ms=_number(groups.get("RepetitionTime")),
        inversion_time_ms=_number(groups.get("InversionTimes")),
        b_value=_number(groups.get("DiffusionBValue")),
    )


def _kind(acquisition: Acquisition, time: str, stack: str) -> str:
    words = [
        next(
            (_COMPONENTS[value] for value in acquisition.image_type[2:] if value in _COMPONENTS), ""
        ),
        "" if acquisition.echo_time_ms is None else f"echo {acquisition.echo_time_ms:.1f} ms",
        "" if acquisition.b_value is None else f"b {acquisition.b_value:g}",
        time and f"time {time}",
        stack and f"stack {stack}",
    ]
    return ", ".join(word for word in words if word)


def _frame(
    path: Path, number: int, acquisition: Acquisition, kind: str, value: Callable[[str], Any]
) -> Frame:
    slope = _number(value("RescaleSlope"))
    return Frame(
        path=path,
        number=number,
        kind=kind,
        acquisition=acquisition,
        position_mm=_numbers(value("ImagePositionPatient"), 3),
        orientation=_numbers(value("ImageOrientationPatient"), 6),
        spacing_mm=_numbers(value("PixelSpacing"), 2),
        thickness_mm=_number(value("SpacingBetweenSlices")) or _number(value("SliceThickness")),
        slope=1.0 if slope is None else slope,
        intercept=_number(value("RescaleIntercept")) or 0.0,
    )


def text(value: Any) -> str:
    """A header value as text without padding; empty where there is none."""
    return "" if value is None else str(value).replace("\0", "").strip()


def _texts(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return (text(value),) if isinstance(value, str) else tuple(map(text, value))


def _number(value: Any) -> float | None:
    """Of several the first."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not value or isinstance(value, str) or len(value) != count:
        return None
    return tuple(map(float, value))
