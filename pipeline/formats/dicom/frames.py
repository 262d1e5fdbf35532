"""Slices of a DICOM file as plain values: the one of classic MR, the many of enhanced MR."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from .sequences import Acquisition


@dataclass(frozen=True)
class Frame:
    """One slice: a whole file of classic MR, a frame of enhanced MR, the `number`th from 0.

    `kind` distinguishes it from other frames of the same series at the same position: component,
    echo, time, b-value, stack. What the header does not state is None.
    """

    path: Path
    number: int
    kind: str
    acquisition: Acquisition
    position_mm: tuple[float, ...] | None  # of the centre of the first voxel, LPS+
    orientation: tuple[float, ...] | None  # cosines along a row, then along a column, LPS+
    spacing_mm: tuple[float, ...] | None  # between rows, between columns
    thickness_mm: float | None  # SpacingBetweenSlices, or else SliceThickness
    slope: float
    intercept: float

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.path}, frame {self.number + 1}" if self.number else str(self.path)


_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameContentSequence": ("StackID", "TemporalPositionIndex"),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime",),
    "MRModifierSequence": ("InversionRecovery", "InversionTimes"),
    "MRDiffusionSequence": ("DiffusionBValue",),
}
"""Functional groups of enhanced MR (PS3.3, C.7.6.16 and C.8.13.5) and their elements."""
_GROUP_OF = {keyword: group for group, keywords in _GROUPS.items() for keyword in keywords}
_COMPONENTS = {
    **dict.fromkeys(("P", "PHASE", "PHASE MAP"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real"),
    **dict.fromkeys(("I", "IMAGINARY"), "imaginary"),
}


_Value = Callable[[str], Any]
"""Gives the value of a keyword for a frame; None where it is missing."""


def of_groups(own: Dataset, shared: Dataset, keyword: str) -> Any:
    """The value of a keyword of `_GROUPS` from the functional groups of a frame, which take
    precedence over the shared ones; None where it is missing.
    """
    items = own.get(_GROUP_OF[keyword]) or shared.get(_GROUP_OF[keyword])
    return items[0].get(keyword) if items else None


def frames_of(dataset: Dataset, path: Path) -> Iterator[Frame]:
    """Slices of a data set in the order of the file."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        time = text(dataset.get("TemporalPositionIdentifier"))
        yield _frame(path, 0, dataset.get, _classic(dataset), time, "")
        return
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), Dataset())
    for number, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        value = partial(of_groups, own, shared)
        time, stack = text(value("TemporalPositionIndex")), text(value("StackID"))
        yield _frame(path, number, value, _enhanced(dataset, value), time, stack)


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


def _enhanced(dataset: Dataset, value: _Value) -> Acquisition:
    """The acquisition of a frame of enhanced MR, in the terms of classic MR."""
    agents = dataset.get("ContrastBolusAgentSequence") or []
    sequences = {
        "SE": text(dataset.get("EchoPulseSequence")) in ("SPIN", "BOTH"),
        "GR": text(dataset.get("EchoPulseSequence")) in ("GRADIENT", "BOTH"),
        "EP": text(dataset.get("EchoPlanarPulseSequence")) == "YES",
        "IR": text(value("InversionRecovery")) == "YES",
    }
    return Acquisition(
        description=text(dataset.get("SeriesDescription")),
        protocol=text(dataset.get("ProtocolName")),
        sequence_name=text(dataset.get("PulseSequenceName")),
        scanning_sequence=tuple(name for name, there in sequences.items() if there),
        image_type=(_texts(value("FrameType")) or _texts(dataset.get("ImageType")))
        + _texts(value("ComplexImageComponent")),
        contrast_agent=(text(agents[0].get("CodeMeaning")) or "named by a code") if agents else "",
        echo_time_ms=_number(value("EffectiveEchoTime")),
        repetition_time_ms=_number(value("RepetitionTime")),
        inversion_time_ms=_number(value("InversionTimes")),
        b_value=_number(value("DiffusionBValue")),
    )


def _frame(
    path: Path, number: int, value: _Value, acquisition: Acquisition, time: str, stack: str
) -> Frame:
    slope = _number(value("RescaleSlope"))
    components = [_COMPONENTS[word] for word in acquisition.image_type[2:] if word in _COMPONENTS]
    echo, b_value = acquisition.echo_time_ms, acquisition.b_value
    kind = (
        *components[:1],
        "" if echo is None else f"echo {echo:.1f} ms",
        "" if b_value is None else f"b {b_value:g}",
        time and f"time {time}",
        stack and f"stack {stack}",
    )
    return Frame(
        path=path,
        number=number,
        kind=", ".join(filter(None, kind)),
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
