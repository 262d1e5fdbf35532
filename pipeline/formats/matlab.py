"""MATLAB v7.3 files of the Cheng set: HDF5, opened in memory, with bounded memory use.

A slice is a struct `cjdata` of label (1 meningioma, 2 glioma, 3 pituitary), PID, image, tumorBorder
and tumorMask. MATLAB stores columns first, so that HDF5 gives each matrix transposed: the picture's
columns come as the first axis and its rows as the second, which is the order of a volume's X and Y.
"""

import hashlib
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5f, h5l, h5p, h5z

from ..core.errors import InputError
from ..core.records import read_small
from .images import slice_grid
from .inflating import REMEDY
from .volume import Part, Volume

_LARGEST_FILE = 16 << 20  # bytes; a published slice has less than 1 MiB
_LARGEST_FIELD = 512 * 512  # values
_SIDES = (256, 512)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512  # bytes that MATLAB puts before it
_FAULTS = (  # of damaged files
    *(OSError, RuntimeError, LookupError, ValueError),
    *(TypeError, ArithmeticError, MemoryError, zlib.error),
)


@dataclass(frozen=True)
class Description:
    """The description of a slice in a file of the Cheng set."""

    label: int  # 1 meningioma, 2 glioma, 3 pituitary
    patient: str  # the field PID
    side: int  # rows and columns of the image, 512 or 256


def describe(path: Path) -> Description:
    """Read the description of a slice, without the slice.

    Raises
    ------
    InputError
        If the file is not HDF5, is damaged, lacks a field, or a field is not what it should be.
    """
    with _opened(path) as (file, _):
        codes = _values(path, file, "cjdata/PID").ravel()
        patient = "".join(map(chr, codes)) if codes.dtype.kind == "u" and len(codes) <= 64 else ""
        if not (patient.isascii() and patient.isprintable() and patient.strip()):
            raise InputError(
                f"{path}: PID is {patient[:20]!r}, expected the patient's identity. {REMEDY}"
            )
        side = _square(path, "image", _dataset(path, file, "cjdata/image").shape)
        return Description(_label(path, file), patient.strip(), side)


@dataclass(frozen=True)
class _Slice(Part):
    """A field of a slice; `spacing_mm` are the distances of columns, rows and slices."""

    spacing_mm: tuple[float, float, float]

    def _volume(self, name: str, voxels: np.ndarray, sha256: str) -> Volume:
        _square(self.path, name, voxels.shape)
        return Volume(voxels[..., None], slice_grid((*voxels.shape, 1), self.spacing_mm), sha256)


class MatlabImage(_Slice):
    """The image of a slice."""

    def read(self) -> Volume:
        """Read (columns, rows, 1) voxels, in the dtype of the file: int16 as published."""
        with _opened(self.path) as (file, sha256):
            return self._volume("image", _values(self.path, file, "cjdata/image"), sha256)


class MatlabMask(_Slice):
    """The mask of a slice, 0 and the label of its tumour."""

    def read(self) -> Volume:
        """Read (columns, rows, 1) voxels, uint8."""
        with _opened(self.path) as (file, sha256):
            mask, label = _values(self.path, file, "cjdata/tumorMask"), _label(self.path, file)
        if not np.isin(mask, (0, 1)).all():
            raise InputError(
                f"{self.path}: tumorMask holds {np.unique(mask)[:8]}, expected 0 and 1. {REMEDY}"
            )
        return self._volume("tumorMask", mask.astype(np.uint8) * np.uint8(label), sha256)


def read_folds(path: Path) -> tuple[int, ...]:
    """Read the vector of `cvind.mat`: the published fold of slice 1, 2, 3 ..., from 1 to 5.

    Raises
    ------
    InputError
        If the file is not HDF5, is damaged, or holds no such vector.
    """
    with _opened(path) as (file, _):
        folds = _values(path, file, "cvind").ravel()
    if not np.isin(folds, range(1, 256)).all():
        raise InputError(
            f"{path}: cvind holds {np.unique(folds)[:8]}, expected numbers of folds. {REMEDY}"
        )
    return tuple(map(int, folds))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[h5py.File, str]]:
    """The file in memory, and the sha256 of its bytes; h5py's errors become InputError."""
    stored = read_small(path, _LARGEST_FILE)
    if not any(stored.startswith(_SIGNATURE, start) for start in (0, _USER_BLOCK)):
        raise InputError(
            f"{path}: begins with {stored[:20]!r} and is no MATLAB v7.3 file (HDF5). Fetch it"
            " again, or save it with '-v7.3'."
        )
    sha256 = hashlib.sha256(stored).hexdigest()  # HDF5 rejects the name of a file in this folder
    try:
        access = h5p.create(h5p.FILE_ACCESS)
        access.set_fapl_core(backing_store=False)
        access.set_file_image(stored)
        with h5py.File(h5f.open(sha256.encode(), h5f.ACC_RDONLY, access)) as file:
            yield file, sha256
    except InputError:
        raise
    except _FAULTS as error:
        raise InputError(f"{path}: is damaged ({str(error)[:120]}). {REMEDY}") from None


def _label(path: Path, file: h5py.File) -> int:
    values = _values(path, file, "cjdata/label").ravel()
    if len(values) != 1 or values[0] not in (1, 2, 3):
        raise InputError(
            f"{path}: label is {values[:8]}, expected 1 meningioma, 2 glioma or 3 pituitary."
            f" {REMEDY}"
        )
    return int(values[0])


def _square(path: Path, name: str, shape: tuple[int, ...]) -> int:
    if shape not in [(side, side) for side in _SIDES]:
        raise InputError(
            f"{path}: {name} has shape {shape}, expected 512 x 512 or 256 x 256. {REMEDY}"
        )
    return shape[0]


def _values(path: Path, file: h5py.File, name: str) -> np.ndarray:
    """The values of a field, after a check that its storage holds as many as announced."""
    dataset = _dataset(path, file, name)
    if dataset.chunks is not None:
        _reject_other_chunks(path, dataset, name)
    return dataset[()]


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """A field by its path; links to other files are not followed."""
    group = file
    for part in name.split("/"):
        is_there = isinstance(group, h5py.Group) and group.id.links.exists(part.encode())
        if not is_there or group.id.links.get_info(part.encode()).type != h5l.TYPE_HARD:
            raise InputError(f"{path}: has no field {name.replace('/', '.')} of its own. {REMEDY}")
        group = group[part]
    is_numbers = isinstance(group, h5py.Dataset) and group.dtype.kind in "iuf"
    if not is_numbers or len(group.shape or ()) != 2:
        raise InputError(f"{path}: {name.replace('/', '.')} is not a matrix of numbers. {REMEDY}")
    layout = group.id.get_create_plist().get_layout()
    is_inside = layout in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED) and not group.external
    if not is_inside or not 0 < group.size <= _LARGEST_FIELD:
        raise InputError(
            f"{path}: {name.replace('/', '.')} has shape {group.shape} and is stored in a way"
            f" MATLAB does not. {REMEDY}"
        )
    return group


def _reject_other_chunks(path: Path, dataset: h5py.Dataset, name: str) -> None:
    """Reject filters other than deflate, and chunks that are missing or of an unexpected size."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    size = math.prod(map(int, dataset.chunks)) * dataset.dtype.itemsize
    expected = math.prod(
        -(-length // edge) for length, edge in zip(dataset.shape, dataset.chunks, strict=True)
    )
    found = dataset.id.get_num_chunks()
    is_usual = filters in ([], [h5z.FILTER_DEFLATE]) and size <= 2 * _LARGEST_FIELD * 8
    if not is_usual or found != expected:
        raise InputError(
            f"{path}: {name.replace('/', '.')} holds {found} of {expected}"
            f" chunks of {size} bytes under filters {filters}, which is not what MATLAB writes."
            f" {REMEDY}"
        )
    for number in range(expected):
        chunk = dataset.id.get_chunk_info(number)
        whole = 0 < chunk.size <= _LARGEST_FILE and chunk.filter_mask == 0
        if whole and filters:
            stream = zlib.decompressobj()
            _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
            whole = (
                len(stream.decompress(packed, size)) == size
                and not stream.decompress(stream.unconsumed_tail, 1)
                and stream.eof
            )
        if not whole or (not filters and chunk.size != size):
            raise InputError(
                f"{path}: chunk {number} of {name.replace('/', '.')} is damaged or cut short."
                f" {REMEDY}"
            )
