"""Slices stored as JPEG, PNG or TIFF pictures: one file, or a numbered stack, as a volume."""

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.grid import Grid
from ..core.records import read_small
from .inflating import REMEDY
from .volume import Part, Volume

_LARGEST_FILE = 64 << 20  # bytes
_LONGEST_SIDE = 4096  # pixels
_MOST_VOXELS = 1 << 28  # of a stack


class _Format(NamedTuple):
    reader: str  # of ITK
    starts: tuple[bytes, ...]  # one of which a file begins with
    end: bytes  # of a whole file


# libjpeg pads a truncated file with a message on the console; libpng and libtiff report an error
_JPEG = _Format("JPEGImageIO", (b"\xff\xd8\xff",), b"\xff\xd9")
_PNG = _Format("PNGImageIO", (b"\x89PNG\r\n\x1a\n",), b"IEND\xaeB`\x82")
_TIFF = _Format("TIFFImageIO", (b"II*\0", b"MM\0*"), b"")
_FORMATS = {".jpg": _JPEG, ".jpeg": _JPEG, ".png": _PNG, ".tif": _TIFF, ".tiff": _TIFF}
SUFFIXES = tuple(_FORMATS)
"""Of the pictures that can be read, in small letters."""


def slice_grid(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Grid:
    """The grid of (columns, rows, slices) that viewers show as radiologists do: columns run to the
    patient's left, rows to the back, slices to the top (LPS); the first voxel is at the origin.
    """
    return Grid(shape, np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0]))


@dataclass(frozen=True)
class Slices(Part):
    """A gray picture, one channel of a colour picture, or a stack of either, in a folder `path`."""

    files: tuple[Path, ...]  # lowest slice first, as `in_order` gives them
    spacing_mm: tuple[float, float, float]  # of columns, rows and slices, as the source declares
    channel: int | None = None  # 0 red, 1 green, 2 blue; None of gray, or three equal channels

    def read(self) -> Volume:
        """Read the pictures as (columns, rows, slices), in their dtype.

        Raises
        ------
        InputError
            If a picture cannot be read (see `read_picture`), is in colour and no channel is named,
            or differs in size or dtype from the first.
        """
        planes: list[np.ndarray] = []
        sums: list[str] = []
        for file in self.files:
            pixels, checksum = read_picture(file)
            plane = _channel(file, pixels, self.channel)
            if planes and (plane.shape != planes[0].shape or plane.dtype != planes[0].dtype):
                raise InputError(
                    f"{file}: has {_described(plane)}, but {self.files[0].name} of the same stack"
                    f" {_described(planes[0])}. Keep one series in a folder, all slices of one"
                    " size."
                )
            if plane.size * len(self.files) > _MOST_VOXELS:
                raise InputError(
                    f"{self.path}: {len(self.files)} slices of {_described(plane)} are too many."
                    " Keep one series in a folder."
                )
            planes.append(plane)
            sums.append(checksum)
        voxels = np.stack([plane.T for plane in planes], axis=-1)
        total = sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
        return Volume(voxels, slice_grid(voxels.shape, self.spacing_mm), total)


@dataclass(frozen=True)
class MaskSlices(Slices):
    """A mask drawn in black, which is 0 in the volume, and white, which is `value`."""

    value: int = 1

    def read(self) -> Volume:
        """Read the pictures as (columns, rows, slices), uint8, 0 and `value`.

        Raises
        ------
        InputError
            As `Slices.read`, and if the pictures are not black and white but for the noise of JPEG.
        """
        volume = super().read()
        white = volume.voxels > 127
        whites = int(np.count_nonzero(white))
        brightest = float(volume.voxels.max())
        if volume.voxels.dtype != np.uint8 or 0 < brightest <= 127:
            raise InputError(
                f"{self.path}: holds {volume.voxels.dtype} values up to {brightest:g},"
                " expected a mask of 0 and 255 in uint8. Multiply the mask by 255, or fetch it"
                " again."
            )
        # JPEG of a sharp edge leaves none to two such pixels in the 1,221 masks of the Cheng set
        # that were looked at
        between = int(np.count_nonzero((volume.voxels > 63) & (volume.voxels < 192)))
        if between > max(16, whites // 20):
            raise InputError(
                f"{self.path}: {between} pixels lie between black and white, {whites} are white:"
                " this is not a mask, or one resized with interpolation. Use the published mask."
            )
        return replace(volume, voxels=np.where(white, np.uint8(self.value), np.uint8(0)))


def in_order(numbered: Iterable[tuple[int, Path]]) -> tuple[Path, ...]:
    """Sort the slices of a stack by number, the lowest first.

    Raises
    ------
    InputError
        If a number occurs twice, or one between the first and the last is missing.
    """
    slices = sorted(numbered)
    for (number, path), (following, other) in pairwise(slices):
        if following == number:
            raise InputError(f"{other}: slice {number} also stands in {path}. Keep one of the two.")
        if following > number + 1:
            last = f" to {following - 1}" if following > number + 2 else ""
            raise InputError(
                f"{other}: slice {number + 1}{last} before it is missing, the stack has a gap."
                " Fetch the whole stack again."
            )
    return tuple(path for _, path in slices)


def size(path: Path) -> tuple[int, int]:
    """Columns and rows that the header of a picture announces; InputError as `read_picture`."""
    return _opened(path)[0].GetSize()


def read_picture(path: Path) -> tuple[np.ndarray, str]:
    """Read a picture whose name ends in one of `SUFFIXES`.

    JPEG has no checksum: a changed byte within its stream gives other pixels, which only a checksum
    of the download can detect.

    Returns
    -------
    (rows, columns) or (rows, columns, channels) array
        In the dtype of the file.
    str
        The sha256 of its bytes.

    Raises
    ------
    InputError
        If the file is missing, too large, cut short or damaged, holds another format than its name
        says, or several pages.
    """
    reader, stored = _opened(path)
    try:
        pixels = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be decoded ({_reason(error)}). {REMEDY}") from None
    return pixels, hashlib.sha256(stored).hexdigest()


def _opened(path: Path) -> tuple[sitk.ImageFileReader, bytes]:
    """A reader that has read the header, and the bytes of the file, after checks of both."""
    style = _FORMATS.get(path.suffix.lower())
    if style is None:
        raise InputError(
            f"{path}: is not named as a picture. Pictures end in {', '.join(SUFFIXES)}."
        )
    stored = read_small(path, _LARGEST_FILE)
    if not stored.startswith(style.starts):
        raise InputError(
            f"{path}: begins with {stored[:8]!r}, which no {path.suffix} file does. Fetch it again,"
            " or name it by its format."
        )
    if not stored.endswith(style.end):
        raise InputError(
            f"{path}: is cut short after {len(stored)} bytes, the end of the picture is missing."
            f" {REMEDY}"
        )
    if style is _PNG:
        _reject_damaged_chunks(path, stored)
    elif style is _TIFF:
        _reject_pages(path, stored)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(style.reader)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path}: is not a whole picture ({_reason(error)}). {REMEDY}") from None
    size, channels = reader.GetSize(), reader.GetNumberOfComponents()
    is_slice = len(size) == 2 and all(1 <= length <= _LONGEST_SIDE for length in size)
    if not is_slice or not 1 <= channels <= 4:
        raise InputError(
            f"{path}: announces {size} pixels of {channels} channels, more than any slice has."
            f" {REMEDY}"
        )
    return reader, stored


def _reject_damaged_chunks(path: Path, stored: bytes) -> None:
    """Check length and CRC of each chunk (PNG specification, 5.3) before libpng allocates the
    memory that a damaged length asks for.
    """
    place = 8
    while place < len(stored):
        end = place + 8 + int.from_bytes(stored[place : place + 4])
        checksum = stored[end : end + 4]
        if len(checksum) < 4 or zlib.crc32(stored[place + 4 : end]) != int.from_bytes(checksum):
            raise InputError(
                f"{path}: is damaged, the chunk at byte {place} has another length or checksum than"
                f" it announces. {REMEDY}"
            )
        place = end + 4


def _reject_pages(path: Path, stored: bytes) -> None:
    """Follow the chain of directories (TIFF 6.0, section 2), one a page; libtiff may not terminate
    on a damaged one.
    """
    order: Literal["little", "big"] = "little" if stored.startswith(b"II") else "big"
    place = int.from_bytes(stored[4:8], order)
    places: list[int] = []
    while place:
        end = place + 2 + 12 * int.from_bytes(stored[place : place + 2], order)
        if place in places or end + 4 > len(stored):
            raise InputError(
                f"{path}: is not a whole picture, its directory {len(places) + 1} is damaged."
                f" {REMEDY}"
            )
        places.append(place)
        place = int.from_bytes(stored[end : end + 4], order)
    if len(places) > 1:
        raise InputError(
            f"{path}: holds {len(places)} pages, expected one slice. Save each page as a separate"
            " file."
        )


def _reason(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1][-120:]


def _channel(path: Path, pixels: np.ndarray, channel: int | None) -> np.ndarray:
    if channel is None:
        if pixels.ndim == 2:
            return pixels
        if pixels.shape[-1] < 3 or (pixels[..., 1:3] != pixels[..., :1]).any():
            raise InputError(
                f"{path}: is in colour, expected gray. Save it in gray, as its source publishes it."
            )
        return pixels[..., 0]
    if pixels.ndim == 2 or pixels.shape[-1] <= channel:
        raise InputError(
            f"{path}: is gray, expected {channel + 1} or more channels. Fetch the picture as its"
            " source publishes it."
        )
    return pixels[..., channel]


def _described(plane: np.ndarray) -> str:
    return f"{plane.shape[1]} x {plane.shape[0]} pixels of {plane.dtype}"
