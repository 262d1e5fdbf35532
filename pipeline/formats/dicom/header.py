"""The header of one DICOM file as plain values; the patient's identity becomes a pseudonym."""

import hashlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset

from ...core.errors import InputError
from .frames import Frame, frames_of, text

REMEDY = "Export the series again from the archive."
_MARK = slice(128, 132)  # of "DICM", after the preamble: PS3.10, 7.1
_HEAD_BYTES = 1024
_FIRST_GROUPS = (0x0002, 0x0008)
_FIRST_VRS = (b"UL", b"UI", b"CS", b"DA", b"TM", b"LO", b"SH")
_LAST_FIRST_ELEMENT = 0x0060  # of Modality, which an image does not lack
_LONGEST_FIRST_VALUE = 256  # bytes
_IDENTITY = ("Modality", "StudyInstanceUID")
_LENGTH_ELEMENT = 12  # bytes of FileMetaInformationGroupLength, which counts what follows it
_LENGTH_TAG = b"\x02\0\0\0UL\x04\0"
_INFLATED_BYTES = 2**29
_MIXED = {
    "patient": ("patient", ""),
    "study": ("examination", " (StudyInstanceUID)"),
    "series": ("series", " (SeriesInstanceUID)"),
}

# what is used is checked here; warnings of pydicom quote values
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


@dataclass(frozen=True)
class Header:
    """The header of a file.

    `patient` and `study` are pseudonyms, empty if the file names neither; `series` is the
    SeriesInstanceUID, `number` the SeriesNumber, `acquired` the date ``YYYYMMDD`` and time
    ``HHMMSS`` of the acquisition, empty if not given; `frames` are in the order of the file.
    """

    path: Path
    patient: str
    study: str
    series: str
    number: str
    acquired: tuple[str, str]
    modality: str
    rows: int
    columns: int
    frames: tuple[Frame, ...]


def is_dicom(path: Path) -> bool:
    """Whether a file has the DICOM prefix (PS3.10, 7.1), or begins with a data element and names a
    modality and a study.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with errors_reported(path):
        head = _head(path)
    return _is_marked(head) or (_begins_with_element(head) and _names_an_image(path, head))


def read_header(path: Path) -> Header:
    """Read everything of a file but its pixels.

    Raises
    ------
    InputError
        If the file cannot be read or is no DICOM.
    """
    with errors_reported(path):
        return header_of(parse_header(path), path)


def parse_header(path: Path) -> Dataset:
    """Parse everything of a file but its pixels, to be called within `errors_reported`."""
    return _parsed(path, path, _head(path), stop_before_pixels=True)


def parse(path: Path, stored: bytes) -> Dataset:
    """Parse the bytes of a file, to be called within `errors_reported`; a missing transfer syntax
    is filled in as it was read.
    """
    dataset = _parsed(path, io.BytesIO(stored), stored[:_HEAD_BYTES])
    if "TransferSyntaxUID" not in dataset.file_meta:
        if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
            raise InputError(
                f"{path}: its pixels are compressed, and it does not say how (TransferSyntaxUID is"
                f" missing). {REMEDY}"
            )
        implicit, little = dataset.original_encoding
        syntax = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        syntax = uid.ImplicitVRLittleEndian if implicit and little else syntax
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _parsed(path: Path, source: Path | BinaryIO, head: bytes, **options: Any) -> Dataset:
    _check_inflated_size(path, head)
    return pydicom.dcmread(source, force=_begins_with_element(head), **options)


def _is_marked(head: bytes) -> bool:
    return head[_MARK] == b"DICM"


def _begins_with_element(head: bytes) -> bool:
    """Whether a file without prefix begins with a data element of group 0002 or 0008, little endian
    (PS3.5, 7.1).
    """
    if _is_marked(head) or len(head) < _LENGTH_ELEMENT:
        return False
    group, element, implicit_length = struct.unpack_from("<HHI", head)
    if group not in _FIRST_GROUPS or element > _LAST_FIRST_ELEMENT:
        return False
    explicit = (
        head[4:6] in _FIRST_VRS and int.from_bytes(head[6:8], "little") <= _LONGEST_FIRST_VALUE
    )
    return explicit or implicit_length <= _LONGEST_FIRST_VALUE


def _names_an_image(path: Path, head: bytes) -> bool:
    try:
        with errors_reported(path):
            dataset = _parsed(
                path, path, head, stop_before_pixels=True, specific_tags=list(_IDENTITY)
            )
            return all(text(dataset.get(keyword)) for keyword in _IDENTITY)
    except InputError:
        return False


@contextmanager
def errors_reported(path: Path) -> Iterator[None]:
    """Turn any exception of a parser into an `InputError` that names the file and quotes nothing of
    its content.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or type(error).__name__}). Check that it"
            " exists and is whole."
        ) from None
    except Exception as error:  # pydicom passes on what struct, zlib, codecs and converters raise
        raise InputError(
            f"{path}: is no DICOM file, or damaged ({type(error).__name__} while it was parsed)."
            f" {REMEDY}"
        ) from None


def _check_inflated_size(path: Path, head: bytes) -> None:
    """Reject a deflated data set above a size limit, before pydicom inflates it at once."""
    if uid.DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    start = (_MARK.stop if _is_marked(head) else 0) + _LENGTH_ELEMENT
    if head[start - _LENGTH_ELEMENT : start - 4] != _LENGTH_TAG:
        raise InputError(
            f"{path}: does not say how long its file meta information is (0002,0000). {REMEDY}"
        )
    start += int.from_bytes(head[start - 4 : start], "little")
    inflated, inflater = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as file:
        file.seek(start)
        while not inflater.eof and (chunk := inflater.unconsumed_tail or file.read(2**16)):
            inflated += len(inflater.decompress(chunk, 2**18))
            if inflated > _INFLATED_BYTES:
                raise InputError(
                    f"{path}: inflates to more than {_INFLATED_BYTES >> 20} MiB. {REMEDY}"
                )


def header_of(dataset: Dataset, path: Path) -> Header:
    """The header of a data set, to be called within `errors_reported`."""
    study = text(dataset.get("StudyInstanceUID"))
    return Header(
        path=path,
        patient=pseudonym("patient", text(dataset.get("PatientID")) or study),
        study=pseudonym("study", study),
        series=text(dataset.get("SeriesInstanceUID")),
        number=text(dataset.get("SeriesNumber")),
        acquired=_acquired(dataset),
        modality=text(dataset.get("Modality")),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        frames=tuple(frames_of(dataset, path)),
    )


def check_alike(headers: Sequence[Header], *fields: str) -> None:
    """Raise InputError if a header differs from the first in one of these fields: ``patient``,
    ``study``, ``series``.
    """
    first = headers[0]
    for header in headers:
        for field in fields:
            if getattr(header, field) != getattr(first, field):
                what, element = _MIXED[field]
                raise InputError(
                    f"{header.path}: is of another {what}{element} than {first.path}. Keep one"
                    f" {what} per folder."
                )


def _acquired(dataset: Dataset) -> tuple[str, str]:
    """When the scanner measured; the time of the series comes second, since software that rewrites
    a series replaces it. The date of the study is what is left where these have none.
    """
    study = _digits(dataset.get("StudyDate"))[:8]
    if moment := _digits(dataset.get("AcquisitionDateTime")):
        return moment[:8], moment[8:14]
    for event in ("Acquisition", "Series", "Content"):
        if time := _digits(dataset.get(f"{event}Time")):
            return _digits(dataset.get(f"{event}Date"))[:8] or study, time[:6]
    return study, ""


def _digits(value: Any) -> str:
    """Digits of a date or time before its fraction; old files write them with colons or points."""
    return re.sub(r"[^0-9]", "", re.sub(r"(?<=[0-9]{6})[.].*", "", text(value)))


def pseudonym(purpose: str, identity: str) -> str:
    """A deterministic pseudonym: the first 16 hexadecimal digits of the SHA-256 of purpose, such as
    ``patient``, and identity, a PatientID or StudyInstanceUID; empty if the identity is.

    It keeps identities out of outputs, but somebody who has a list of identities can hash them all.
    """
    digest = hashlib.sha256(f"tumorflow {purpose} {identity}".encode()).hexdigest()
    return digest[:16] if identity else ""
