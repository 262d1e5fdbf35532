"""NIfTI files: every byte is checked on reading; writing is atomic and reproducible."""

import gzip
import hashlib
import math
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from nibabel.wrapstruct import WrapStructError

from ..core.errors import InputError
from ..core.grid import Grid
from ..core.records import read_small, write_bytes
from .affines import examine
from .inflating import REMEDY, inflate, inflate_start, is_gzip, require_length
from .volume import Volume
from .walking import volumes_in

_HEADER_BYTES = 544  # of NIfTI-2, the larger one, with its flag for extensions
_EDGES_MM = 0.05, 50.0
"""Of voxels that may well be in mm whatever unit a header says, as some programs write any."""
_UNREADABLE = (
    *(OSError, EOFError, KeyError, ValueError, zlib.error),
    *(ImageFileError, HeaderDataError, WrapStructError),
)


def read(path: Path) -> Volume:
    """Read the one volume of a ``.nii`` or ``.nii.gz`` file, every byte of it.

    Raises
    ------
    InputError
        If the file is missing, is not NIfTI, is cut short or damaged, is not three-dimensional
        (singleton further axes are dropped), has no invertible affine, is measured in micrometres
        or metres, or its voxels are not real numbers.
    """
    header, stored, sha256 = _load(path)
    shape = stored.shape
    if len(shape) < 3 or any(length != 1 for length in shape[3:]):
        raise InputError(
            f"{path}: has {len(shape)} dimensions {shape}, expected one 3D volume. Split it into"
            " one file per modality."
        )
    return _volumes(path, header, stored, sha256, [0])[0]


def read_channel(path: Path, channel: int, channels: int) -> Volume:
    """Read one volume of a four-dimensional file, counted from 0, as `read_channels` does."""
    return read_channels(path, channels, [channel])[0]


def read_channels(path: Path, channels: int, wanted: Iterable[int] | None = None) -> list[Volume]:
    """Read volumes of a four-dimensional file, with the checks of `read`.

    Parameters
    ----------
    channels : int
        How many volumes the file must hold, as (X, Y, Z, `channels`) or (X, Y, Z, 1, `channels`).
    wanted : iterable of int, optional
        Which of them, from 0; all by default.

    Returns
    -------
    list of Volume
        The sha256 of each is that of the whole file.
    """
    header, stored, sha256 = _load(path)
    shape = stored.shape
    # ITK writes vectors with singleton axes before the last
    if len(shape) < 4 or shape[-1] != channels or math.prod(shape[3:]) != channels:
        raise InputError(
            f"{path}: has shape {shape}, expected {channels} volumes (X, Y, Z, {channels})."
            f" {REMEDY}"
        )
    return _volumes(path, header, stored, sha256, range(channels) if wanted is None else wanted)


def _volumes(
    path: Path, header: nibabel.Nifti1Header, stored: np.ndarray, sha256: str, wanted: Iterable[int]
) -> list[Volume]:
    """Some of the volumes, counted from 0 over all axes beyond the third."""
    grid, warnings = _grid(path, header)
    slope, intercept = header.get_slope_inter()
    factors = slope or 1.0, intercept or 0.0
    scaling = None if factors == (1, 0) else factors
    channels, volumes = stored.reshape(*stored.shape[:3], -1, order="F"), []
    for channel in wanted:
        voxels = channels[..., channel]
        if scaling:
            with np.errstate(over="ignore", invalid="ignore"):  # infinite voxels are reported later
                voxels = apply_read_scaling(voxels, *scaling).astype(np.float32)
        elif voxels.size < stored.size:
            voxels = voxels.copy(order="F")  # the other channels need not stay in memory
        volumes.append(Volume(voxels, grid, sha256, warnings, scaling))
    return volumes


def _load(path: Path) -> tuple[nibabel.Nifti1Header, np.ndarray, str]:
    """The header, the real voxels as stored, read-only, and the sha256 of a file."""
    if path.is_dir():
        raise InputError(
            f"{path}: cannot be read: it is a folder that holds {len(volumes_in(path))} volumes,"
            " named like a file, as some unpackers make them. Replace it with the intended file."
        )
    stored = read_small(path, sys.maxsize)
    compressed = is_gzip(stored)
    header = _header(
        path, bytes(inflate_start(path, stored, _HEADER_BYTES)) if compressed else stored
    )
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    offset = int(header.get_data_offset())
    announced = offset + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 1 or dtype.kind not in "iuf" or announced > sys.maxsize:
        raise InputError(
            f"{path}: has shape {shape} and dtype {dtype}, expected real voxels. {REMEDY}"
        )
    raw = inflate(path, stored, announced) if compressed else stored
    require_length(path, raw, announced)
    voxels = np.ndarray(shape, dtype, raw, offset, order="F")  # a view
    return header, voxels, hashlib.sha256(stored).hexdigest()


def _grid(path: Path, header: nibabel.Nifti1Header) -> tuple[Grid, tuple[str, ...]]:
    """The grid of the first three axes, and warnings about the two affines of the header."""
    x, y, z = header.get_data_shape()[:3]
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    others_mm = {"pixdim": [float(edge) for edge in header["pixdim"][1:4]]}
    unused_mm = np.linalg.norm(header.get_sform()[:3, :3], axis=0)
    if sform_code == 0 and unused_mm.all():
        others_mm["sform (code 0)"] = unused_mm.tolist()
    warnings = examine(str(path), (x, y, z), sform, sform_code, qform, qform_code, others_mm)
    affine = np.asarray(header.get_best_affine(), np.float64)
    _require_mm(path, header, affine)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            f"{path}: its affine cannot be inverted:\n{affine}\nFix the header's sform or qform."
        )
    return Grid((x, y, z), affine), warnings


def _require_mm(path: Path, header: nibabel.Nifti1Header, affine: np.ndarray) -> None:
    """Raise InputError if the header has another unit and no edge of a voxel that is one in mm."""
    try:
        unit = header.get_xyzt_units()[0]
    except KeyError:  # a code that NIfTI does not define
        return
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    least, most = _EDGES_MM
    if unit in ("micron", "meter") and not ((least <= edges) & (edges <= most)).all():
        sizes = " x ".join(f"{edge:.4g}" for edge in edges)
        raise InputError(
            f"{path}: its voxels are {sizes} {unit} (xyzt_units), expected mm. Write the affine and"
            " the sizes of voxels in millimetres."
        )


def _header(path: Path, start: bytes) -> nibabel.Nifti1Header:
    is_second = start[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
    kind = nibabel.Nifti2Header if is_second else nibabel.Nifti1Header
    length = kind.sizeof_hdr
    try:
        header = kind(start[:length], check=False)
        if header["sizeof_hdr"] != length:  # `check_fix` would correct it
            raise HeaderDataError(f"sizeof_hdr is {header['sizeof_hdr']}, not {length}")
        header.check_fix()
        header.get_data_shape()
        header.get_data_dtype()
        header.get_data_offset()
        header.get_slope_inter()
    except (WrapStructError, HeaderDataError, KeyError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: is not a NIfTI file ({str(error)[:120]}). Convert it to NIfTI or remove it."
        ) from None
    if np.isinf(header["scl_slope"]):  # NaN and 0 mean unscaled
        raise InputError(f"{path}: scales its voxels by scl_slope {header['scl_slope']}. {REMEDY}")
    try:
        header.get_qform(coded=True)
    except ValueError as error:
        raise InputError(
            f"{path}: its qform is no rotation ({error}). Fix the header's qform."
        ) from None
    if header["magic"].item() not in (b"n+1", b"n+2\0\r\n\x1a\n", b"n+2"):
        raise InputError(
            f"{path}: is not a single-file NIfTI (magic {header['magic'].item()!r}). Convert it to"
            " .nii.gz."
        )
    return header


def is_nifti(path: Path) -> bool:
    """Whether a file is NIfTI by its name."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def shape_of(path: Path) -> tuple[int, ...]:
    """Lengths of all axes by the header alone; empty if the file is not readable NIfTI."""
    try:
        return nibabel.load(path).shape if is_nifti(path) else ()  # type: ignore[attr-defined]  # images have one
    except _UNREADABLE:
        return ()


def read_description(path: Path) -> str:
    """The header field ``descrip``; empty if the file is not readable NIfTI."""
    try:
        if not is_nifti(path):
            return ""
        header = cast(nibabel.Nifti1Header, nibabel.load(path).header)
        return header["descrip"].item().decode()
    except _UNREADABLE:
        return ""


def write(path: Path, voxels: np.ndarray, affine: np.ndarray, description: str = "") -> None:
    """Write a volume (X, Y, Z) as NIfTI-1, compressed when the name ends in ``.gz``.

    Voxels are written in their dtype, unscaled; integers of 64 bits as int32, or as float64 if they
    are too large. Both sform and qform get the affine, voxel indices to RAS+ millimetres, and the
    header field ``descrip`` at most 79 characters of the description.
    """
    if voxels.dtype in (np.int64, np.uint64):  # which NIfTI readers seldom know
        voxels = voxels.astype(np.int32 if np.abs(voxels).max(initial=0) < 2**31 else np.float64)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()[:79]
    raw = image.to_bytes()
    level = 6 if voxels.dtype == np.uint8 else 1
    write_bytes(path, gzip.compress(raw, level, mtime=0) if path.suffix == ".gz" else raw)
