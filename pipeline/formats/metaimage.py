"""MetaImage files (.mha, and .mhd with its data beside it): read whole and checked."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid
from .affines import examine
from .inflating import Inflating
from .volume import Part, Volume

_LONGEST_HEADER = 65536
_DEFLATE_RATIO = 1032  # no deflate stream grows by more, RFC 1951: 258 bytes from two bits
_REMEDY = "Fetch the file again from its source."
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_ALIASES = {  # other spellings that MetaIO reads; ElementSize, the extent of a sample, stands in for their distance
    "Position": "Offset",
    "Origin": "Offset",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
    "ElementSize": "ElementSpacing",
}
_FIXED = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "ElementNumberOfChannels": "1",
    "HeaderSize": "0",
    "ElementToIntensityFunctionSlope": "1",
    "ElementToIntensityFunctionOffset": "0",
}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class HeaderAndData(Part):
    """A volume in two files, ``.mhd`` and the data it names; `download` makes one file of them."""

    def read(self) -> Volume:
        """Read both files."""
        return read(self.path)


def whole(path: Path) -> Path | HeaderAndData:
    """A file, with the one that holds its data where that is another."""
    return HeaderAndData(path) if path.suffix.lower() == ".mhd" else path


def read(path: Path) -> Volume:
    """Read a volume, every byte of it.

    Parameters
    ----------
    path : Path
        A ``.mha`` file, or a ``.mhd`` file with its data beside it in the same folder.

    Returns
    -------
    Volume
        On RAS+ axes: MetaImage, as ITK writes it, counts millimetres towards the left, the back and
        the top, and each row of its TransformMatrix is the direction of one voxel axis (MetaIO's
        documentation, "Spatial Objects": Offset, TransformMatrix, ElementSpacing).

    Raises
    ------
    InputError
        If a file is missing, is not MetaImage, is cut short, too long or damaged, holds other than
        one binary 3D volume of real numbers, names data outside of its folder, or has axes that are
        sheared or of no length. No more memory is taken than the header announces, and no more of
        that than the stored bytes can hold.
    """
    stored = _bytes(path)
    fields, length = _header(path, stored)
    shape, dtype, announced = _layout(path, fields)
    affine, warnings = _affine(path, fields)
    data_path, data, sha256 = path, memoryview(stored)[length:], hashlib.sha256(stored).hexdigest()
    if fields["ElementDataFile"].upper() != "LOCAL":
        data_path = _beside(path, fields["ElementDataFile"])
        data = _bytes(data_path)
        sha256 = hashlib.sha256((sha256 + hashlib.sha256(data).hexdigest()).encode()).hexdigest()
    raw = (
        _inflated(data_path, data, fields, announced)
        if _flag(path, fields, "CompressedData")
        else data
    )
    if len(raw) != announced:
        found = "more" if len(raw) > announced else f"{len(raw)} bytes"
        raise InputError(
            f"{data_path}: holds {found} where its header announces {announced} bytes of voxels."
            f" {_REMEDY}"
        )
    voxels = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=False)
    return Volume(voxels.reshape(shape, order="F"), Grid(shape, affine), sha256, warnings)


def _bytes(path: Path) -> bytes:
    try:
        if path.is_file():
            return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Check that it exists and may be read."
        ) from None
    raise InputError(
        f"{path}: is not there, or is not a file. Check the name, and that both files of a .mhd lie"
        " in one folder."
    )


def _header(path: Path, stored: bytes) -> tuple[dict[str, str], int]:
    """Fields of the text before the voxels, and its length with the line that ends it."""
    fields, start = {}, 0
    while "ElementDataFile" not in fields:
        end = stored.find(b"\n", start, _LONGEST_HEADER)
        # the header of a .mhd file may end without a line break
        end = len(stored) if end < 0 and len(stored) <= _LONGEST_HEADER else end
        line = stored[start : max(end, start)].decode("latin-1")
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not line.strip().isprintable() or not name:
            raise InputError(
                f"{path}: is not a MetaImage file ({line[:40]!r} in its header). Convert it to"
                " MetaImage or NIfTI, or remove it."
            )
        if name in fields:
            raise InputError(f"{path}: its header gives {name} twice. {_REMEDY}")
        fields[name] = value.strip()
        start = end + 1
    for other, name in _ALIASES.items():
        if other in fields:
            fields.setdefault(name, fields[other])
    return fields, start


def _layout(path: Path, fields: dict[str, str]) -> tuple[tuple[int, int, int], np.dtype, int]:
    for name, due in _FIXED.items():
        found = fields.get(name, due)
        if found.casefold() != due.casefold() and not _same_number(found, due):
            raise InputError(
                f"{path}: has {name} = {found[:40]} where {due} is due: one binary 3D volume of one"
                " channel. Write it as such."
            )
    numbers = fields.get("DimSize", "").split()
    if len(numbers) != 3 or not all(
        number.isdecimal() and int(number[:9]) > 0 and len(number) < 10 for number in numbers
    ):
        raise InputError(
            f"{path}: has DimSize = {fields.get('DimSize', '')[:40]!r} where three sizes are due."
            f" {_REMEDY}"
        )
    shape = tuple(int(number) for number in numbers)
    if fields.get("ElementType") not in _TYPES:
        kind = fields.get("ElementType", "")[:40]
        raise InputError(
            f"{path}: has ElementType = {kind!r}, not one of {', '.join(_TYPES)}. Write it with"
            " real voxels."
        )
    order = ">" if _flag(path, fields, "BinaryDataByteOrderMSB") else "<"
    dtype = np.dtype(order + _TYPES[fields["ElementType"]])
    return shape, dtype, shape[0] * shape[1] * shape[2] * dtype.itemsize


def _same_number(found: str, due: str) -> bool:
    try:
        return float(found) == float(due)
    except ValueError:
        return False


def _flag(path: Path, fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "False").casefold()
    if value not in ("true", "false", "1", "0"):
        raise InputError(
            f"{path}: has {name} = {value[:40]!r} where True or False is due. {_REMEDY}"
        )
    return value in ("true", "1")


def _affine(path: Path, fields: dict[str, str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxel indices to RAS+ mm, (4, 4) float64, and what the user should know of them."""
    directions = _numbers(path, fields, "TransformMatrix", np.eye(3)).reshape(3, 3).T
    affine = np.eye(4)
    with np.errstate(over="ignore", invalid="ignore"):
        affine[:3, :3] = directions * _numbers(path, fields, "ElementSpacing", np.ones(3))
        affine[:3, 3] = _numbers(path, fields, "Offset", np.zeros(3))
        affine = _LPS_TO_RAS @ affine
        size = abs(np.linalg.det(affine[:3, :3])) if np.isfinite(affine).all() else np.inf
    if not 1e-9 < size < np.inf:
        raise InputError(
            f"{path}: its affine cannot be inverted:\n{affine}\nMend TransformMatrix,"
            " ElementSpacing or Offset in its header."
        )
    verdict = examine(str(path), (), affine, 1, affine, 0)
    if verdict.refusal:
        raise InputError(verdict.refusal.replace("its sform", "its TransformMatrix"))
    return affine + 0.0, verdict.warnings  # without negative zeros


def _numbers(path: Path, fields: dict[str, str], name: str, default: np.ndarray) -> np.ndarray:
    if name not in fields:
        return default
    try:
        numbers = np.array([float(word) for word in fields[name].split()])
    except ValueError:
        numbers = np.empty(0)
    if numbers.size != default.size:
        raise InputError(
            f"{path}: has {name} = {fields[name][:60]!r} where {default.size} numbers are due."
            f" {_REMEDY}"
        )
    return numbers


def _beside(path: Path, name: str) -> Path:
    """The data file of a header: a bare name, so that no header can reach out of its folder."""
    if name in ("", ".", "..") or set(name) & set("/\\:%") or name.split()[0].upper() == "LIST":
        raise InputError(
            f"{path}: names {name[:60]!r} as its data, where one file beside it is due. Put the two"
            " together, or write a .mha."
        )
    return path.with_name(name)


def _inflated(
    path: Path, data: bytes | memoryview, fields: dict[str, str], announced: int
) -> bytes:
    """The bytes behind the compression, no more than the header announces."""
    size = fields.get("CompressedDataSize", str(len(data)))
    if size != str(len(data)):
        raise InputError(
            f"{path}: holds {len(data)} compressed bytes where its header announces {size[:20]}."
            f" {_REMEDY}"
        )
    if announced > len(data) * _DEFLATE_RATIO:
        raise InputError(
            f"{path}: its stream is cut short: {len(data)} bytes cannot hold the {announced} that"
            f" its header announces. {_REMEDY}"
        )
    stream = Inflating(path, data)
    return stream.ended(stream.take(announced), announced)
