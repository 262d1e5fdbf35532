"""What one DICOM file says of itself, as plain values; who the patient is does not come out of here."""

import hashlib
import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from pipeline.domain.errors import InputError
from pipeline.io.dicom_frames import Frame, frames_of, text

REMEDY = "Export the series again from the archive."
_MARK = slice(128, 132)  # of "DICM", after the preamble: PS3.10, 7.1
_LENGTH_ELEMENT = 12  # bytes of FileMetaInformationGroupLength, which counts what follows it
_INFLATED_BYTES = 2**29

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # what matters is checked by us


@dataclass(frozen=True)
class Header:
    """A file.

    Attributes
    ----------
    path : Path
        The file.
    patient, study : str
        Pseudonyms, see `pseudonym`; empty where the file names neither.
    series : str
        SeriesInstanceUID.
    modality : str
        ``MR`` or what it is instead.
    rows, columns : int
        Of each frame.
    frames : tuple of Frame
        In the order of the file.
    """

    path: Path
    patient: str
    study: str
    series: str
    modality: str
    rows: int
    columns: int
    frames: tuple[Frame, ...]


def is_dicom(path: Path) -> bool:
    """Whether the file carries the mark of DICOM (PS3.10, 7.1).

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with refusing(path), path.open("rb") as file:
        return file.read(_MARK.stop)[_MARK] == b"DICM"


def read_header(path: Path) -> Header:
    """Read everything of a file but its pixels.

    Raises
    ------
    InputError
        If the file cannot be read or is no DICOM.
    """
    with refusing(path):
        with path.open("rb") as file:
            _refuse_bomb(path, file.read(1024))
        return header_of(pydicom.dcmread(path, stop_before_pixels=True), path)


def parse(path: Path, stored: bytes) -> Dataset:
    """Parse the bytes of a file, to be called within `refusing`."""
    _refuse_bomb(path, stored[:1024])
    return pydicom.dcmread(io.BytesIO(stored))


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn whatever a parser raises on damaged bytes into an error that names the file, and quotes nothing of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or type(error).__name__}). Check that it exists and is whole.") from None
    except Exception as error:  # pydicom lets through what struct, zlib, codecs and its converters raise
        raise InputError(f"{path}: is no DICOM file, or damaged ({type(error).__name__} while it was parsed). {REMEDY}") from None


def _refuse_bomb(path: Path, head: bytes) -> None:
    """Count what a deflated data set inflates to before pydicom inflates it in one go."""
    if pydicom.uid.DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    start = _MARK.stop + _LENGTH_ELEMENT + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
    inflated, inflater = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as file:
        file.seek(start)
        while not inflater.eof and (chunk := inflater.unconsumed_tail or file.read(2**16)):
            inflated += len(inflater.decompress(chunk, 2**18))
            if inflated > _INFLATED_BYTES:
                raise InputError(f"{path}: inflates to more than {_INFLATED_BYTES >> 20} MiB. {REMEDY}")


def header_of(dataset: Dataset, path: Path) -> Header:
    """Take the values that matter from a data set, to be called within `refusing`."""
    study = text(dataset.get("StudyInstanceUID"))
    return Header(
        path=path,
        patient=pseudonym("patient", text(dataset.get("PatientID")) or study),
        study=pseudonym("study", study),
        series=text(dataset.get("SeriesInstanceUID")),
        modality=text(dataset.get("Modality")),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        frames=tuple(frames_of(dataset, path)),
    )


def pseudonym(purpose: str, identity: str) -> str:
    """A name that stands for an identity, the same wherever the identity is the same.

    The first 16 digits of the SHA-256 of purpose and identity. This keeps identities out of outputs and patients
    apart; it does not hide who a patient is from somebody who has a list of identities, and can hash them all.

    Parameters
    ----------
    purpose : str
        Such as ``patient``, so that equal texts of another meaning get another name.
    identity : str
        PatientID or StudyInstanceUID.

    Returns
    -------
    str
        Hexadecimal; empty where the identity is.
    """
    return hashlib.sha256(f"tumorflow {purpose} {identity}".encode()).hexdigest()[:16] if identity else ""
