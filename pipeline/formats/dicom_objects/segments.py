"""Segmentation objects as they are stored: their segments, and a plane of voxels for each frame."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from ...core.errors import InputError
from ...core.grid import Grid
from ..dicom.frames import Frame, frames_of, text
from ..dicom.geometry import common_grid, placed_on
from ..dicom.header import errors_reported, is_dicom, parse, parse_header
from ..dicom.pixels import stored_values

SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation, and label map segmentation."""
MANUFACTURER = "TumorFlow"
"""Of the objects that TumorFlow makes."""
_KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")
_REMEDY = "Export it again from the tool that made it, or give the mask as NIfTI."
_MOST_VOXELS = 1 << 31


@dataclass(frozen=True)
class Segment:
    """A segment: its number, the label and description that people read, and the code of its
    type.
    """

    number: int
    label: str
    description: str
    code: Code | None

    def __str__(self) -> str:
        code = f", {self.code.meaning}" if self.code else ""
        return f"segment {self.number} ({self.label!r}{code})"


@dataclass(frozen=True, eq=False)
class Segments:
    """A segmentation object.

    Attributes
    ----------
    path : Path
    segments : tuple of Segment
        Without the background.
    frames : tuple of Frame
        Where each frame lies.
    numbers : tuple of int
        The segment of each frame; 0 if its voxels are the numbers of segments.
    planes : (frames, rows, columns) array
        bool, or numbers of segments.
    sha256 : str
        Of the file.
    """

    path: Path
    segments: tuple[Segment, ...]
    frames: tuple[Frame, ...]
    numbers: tuple[int, ...]
    planes: np.ndarray
    sha256: str

    def mask(self, number: int, grid: Grid) -> np.ndarray:
        """(X, Y, Z) bool of a segment on a grid that its frames lie on; InputError if they do not.

        Frames without a voxel of the segment may lie outside of the grid.
        """
        chosen = [
            index
            for index, other in enumerate(self.numbers)
            if other in (0, number) and (self.planes[index] == (number if not other else 1)).any()
        ]
        planes = [self.planes[index] == (1 if self.numbers[index] else number) for index in chosen]
        return placed_on([self.frames[index] for index in chosen], planes, grid)


def own_grid(objects: Sequence[Segments]) -> Grid:
    """The smallest grid with all frames of objects that have one orientation and spacing.

    InputError if they differ in that, or do not lie at multiples of one distance.
    """
    frames = [frame for each in objects for frame in each.frames]
    _, rows, columns = objects[0].planes.shape
    with errors_reported(objects[0].path):
        return common_grid(frames, columns, rows)


def kind_of(path: Path) -> tuple[str, list[str]]:
    """The type of an object in small letters, and the labels of its segments without background;
    InputError as of `read_segments`, of the header alone.
    """
    with errors_reported(path):
        dataset = parse_header(path)
        segments = _segments(dataset, path)
        return _kind(dataset, path).lower(), [each.label for each in segments]


def is_segmentation(path: Path) -> bool:
    """Whether a file named ``.dcm`` is a segmentation object; InputError if it cannot be read."""
    if path.suffix.lower() != ".dcm" or not path.is_file() or not is_dicom(path):
        return False
    with errors_reported(path):
        return parse_header(path).get("SOPClassUID") in SOP_CLASSES


@dataclass(frozen=True)
class Origin:
    """What an object is about: the SeriesInstanceUIDs that it refers to; and who made it."""

    series: frozenset[str]
    manufacturer: str


def origin_of(path: Path) -> Origin:
    """The origin of an object by its header; InputError if it cannot be read."""
    with errors_reported(path):
        dataset = parse_header(path)
        referenced = dataset.get("ReferencedSeriesSequence") or []
        return Origin(
            frozenset(text(item.get("SeriesInstanceUID")) for item in referenced) - {""},
            text(dataset.get("Manufacturer")),
        )


def read_segments(path: Path) -> Segments:
    """Read a segmentation object; of fractional ones what exceeds a half.

    Raises
    ------
    InputError
        If the file is missing, damaged, no segmentation or in a transfer syntax that cannot be
        decoded; if its frames and pixels do not fit each other, or it lacks the number of a
        segment.
    """
    with errors_reported(path):
        stored = path.read_bytes()
        dataset = parse(path, stored)
        kind, segments = _kind(dataset, path), _segments(dataset, path)
        frames = tuple(frames_of(dataset, path))
        planes = _planes(dataset, path, kind)
        if len(planes) != len(frames):
            raise InputError(
                f"{path}: says where {len(frames)} of its {len(planes)} frames lie. {_REMEDY}"
            )
        numbers = (0,) * len(frames)
        if kind != "LABELMAP":
            numbers = tuple(_numbers(dataset, path))
        known = {each.number for each in segments} | {0}
        strange = sorted({*numbers, *(np.unique(planes) if kind == "LABELMAP" else ())} - known)
        if strange:
            raise InputError(
                f"{path}: has voxels of segment {strange[0]}, which it does not describe. {_REMEDY}"
            )
        return Segments(path, segments, frames, numbers, planes, hashlib.sha256(stored).hexdigest())


def _kind(dataset: Dataset, path: Path) -> str:
    kind = text(dataset.get("SegmentationType"))
    if dataset.get("SOPClassUID") not in SOP_CLASSES or kind not in _KINDS:
        raise InputError(
            f"{path}: is no DICOM segmentation (Modality {text(dataset.get('Modality')) or '?'})."
            " Name an object of modality SEG, or a NIfTI file."
        )
    return kind


def _segments(dataset: Dataset, path: Path) -> tuple[Segment, ...]:
    segments = []
    for item in dataset.get("SegmentSequence") or []:
        types = item.get("SegmentedPropertyTypeCodeSequence") or []
        code = _code(types[0]) if types else None
        is_background = code is not None and (code.value, code.scheme_designator) == (
            "125040",
            "DCM",
        )
        number = int(item.get("SegmentNumber") or 0)
        if number and not is_background:
            label, more = (text(item.get(key)) for key in ("SegmentLabel", "SegmentDescription"))
            segments.append(Segment(number, label, more, code))
    if not segments or len({each.number for each in segments}) < len(segments):
        raise InputError(f"{path}: describes no segment, or two of one number. {_REMEDY}")
    return tuple(segments)


def _code(item: Dataset) -> Code:
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return Code(
        text(value), text(item.get("CodingSchemeDesignator")), text(item.get("CodeMeaning"))
    )


def _numbers(dataset: Dataset, path: Path) -> list[int]:
    """The segment of each frame."""
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), Dataset())
    numbers = []
    for own in dataset.PerFrameFunctionalGroupsSequence:
        items: Any = own.get("SegmentIdentificationSequence") or shared.get(
            "SegmentIdentificationSequence"
        )
        number = int(items[0].get("ReferencedSegmentNumber") or 0) if items else 0
        if not number:
            raise InputError(f"{path}: has a frame of no segment. {_REMEDY}")
        numbers.append(number)
    return numbers


def _planes(dataset: Dataset, path: Path, kind: str) -> np.ndarray:
    """(frames, rows, columns), bool or the numbers of segments."""
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":  # of a label map, for display
        dataset.PhotometricInterpretation = "MONOCHROME2"
    if kind == "BINARY" and int(dataset.BitsAllocated) == 1:
        return _bits(dataset, path)
    values = stored_values(dataset, path)
    if kind == "LABELMAP":
        return values
    most = float(dataset.get("MaximumFractionalValue") or 1) if kind == "FRACTIONAL" else 1.0
    return values > most / 2


def _bits(dataset: Dataset, path: Path) -> np.ndarray:
    """Voxels of a bit each, the first in the lowest bit of a byte (PS3.5, 8.1.1)."""
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    count = int(np.prod(shape, dtype=object))
    stored = dataset.get("PixelData") or b""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        raise InputError(
            f"{path}: transfer syntax {syntax.name} of a bit for each voxel cannot be decoded."
            f" {_REMEDY}"
        )
    if min(shape) < 1 or count > _MOST_VOXELS or not count <= 8 * len(stored) < count + 16:
        raise InputError(
            f"{path}: holds {len(stored)} bytes of pixels where its header announces {shape[0]}"
            f" frames of {shape[1]}x{shape[2]} bits: cut short or damaged. {_REMEDY}"
        )
    bits = np.unpackbits(np.frombuffer(stored, np.uint8), count=count, bitorder="little")
    return bits.reshape(shape).view(bool)
