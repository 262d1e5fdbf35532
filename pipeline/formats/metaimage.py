"""MetaImage files: ``.mha``, and ``.mhd`` with a data file of its own; every byte is checked.

SimpleITK is not used here: version 2.5.7 crashes on headers with a wrong NDims, and returns voxels
of streams that are cut short, fail their checksum or hold more than announced.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid
from .affines import implausible, reject_unusable
from .inflating import REMEDY, inflate, require_length
from .volume import Part, Volume

_LONGEST_HEADER = 65536
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
_ALIASES = {  # other names that MetaIO reads
    "Position": "Offset",
    "Origin": "Offset",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
    "ElementSize": "ElementSpacing",  # the extent of a sample stands in for their distance
}
_EXPECTED = {
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
    """A file, or a ``.mhd`` together with its data file."""
    return HeaderAndData(path) if path.suffix.lower() == ".mhd" else path


def read(path: Path) -> Volume:
    """Read a ``.mha`` file, or a ``.mhd`` file with its data in the same folder.

    Returns
    -------
    Volume
        On RAS+ axes. MetaImage, as ITK writes it, has LPS+ millimetres, and each row of its
        TransformMatrix is the direction of one voxel axis (MetaIO's documentation, "Spatial
        Objects": Offset, TransformMatrix, ElementSpacing).

    Raises
    ------
    InputError
        If a file is missing, is not MetaImage, is cut short, too long or damaged, holds other than
        one binary 3D volume of real numbers, names data outside its folder, or has axes that are
        sheared or of no length. Memory use is bounded by what the header announces and by what the
        stored bytes can hold.
    """
    stored = _read_bytes(path)
    fields, length = _header(path, stored)
    shape, dtype = _layout(path, fields)
    affine = _affine(path, fields)
    data_path, sha256 = path, hashlib.sha256(stored).hexdigest()
    data: bytes | memoryview = memoryview(stored)[length:]
    if fields["ElementDataFile"].upper() != "LOCAL":
        data_path = _data_file(path, fields["ElementDataFile"])
        data = _read_bytes(data_path)
        sha256 = hashlib.sha256((sha256 + hashlib.sha256(data).hexdigest()).encode()).hexdigest()
    announced = math.prod(shape) * dtype.itemsize
    if _flag(path, fields, "CompressedData"):
        size = fields.get("CompressedDataSize", str(len(data)))
        if size != str(len(data)):
            raise InputError(
                f"{data_path}: holds {len(data)} compressed bytes where its header announces"
                f" {size[:20]}. {REMEDY}"
            )
        data = inflate(data_path, data, announced)
    require_length(data_path, data, announced)
    voxels = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
    warnings = tuple(implausible(str(path), affine))
    return Volume(voxels.reshape(shape, order="F"), Grid(shape, affine), sha256, warnings)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_file():
            return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Check that it exists and may be read."
        ) from None
    raise InputError(
        f"{path}: is not there, or is not a file. Check the name, and that both files of a .mhd are"
        " in one folder."
    )


def _header(path: Path, stored: bytes) -> tuple[dict[str, str], int]:
    """Fields of the text before the voxels, and its length including the last line break."""
    fields: dict[str, str] = {}
    start = 0
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
            raise InputError(f"{path}: its header gives {name} twice. {REMEDY}")
        fields[name] = value.strip()
        start = end + 1
    for other, name in _ALIASES.items():
        if other in fields:
            fields.setdefault(name, fields[other])
    return fields, start


def _layout(path: Path, fields: dict[str, str]) -> tuple[tuple[int, int, int], np.dtype]:
    for name, expected in _EXPECTED.items():
        found = fields.get(name, expected)
        if found.casefold() != expected.casefold() and not _same_number(found, expected):
            raise InputError(
                f"{path}: has {name} = {found[:40]}, expected {expected}: one binary 3D volume of"
                " one channel. Save it as such."
            )
    sizes = fields.get("DimSize", "").split()
    if len(sizes) != 3 or not all(re.fullmatch("0*[1-9][0-9]{0,8}", size) for size in sizes):
        found = fields.get("DimSize", "")[:40]
        raise InputError(f"{path}: has DimSize = {found!r}, expected three sizes. {REMEDY}")
    kind = fields.get("ElementType", "")
    if kind not in _TYPES:
        raise InputError(
            f"{path}: has ElementType = {kind[:40]!r}, not one of {', '.join(_TYPES)}. Save it with"
            " real voxels."
        )
    order = ">" if _flag(path, fields, "BinaryDataByteOrderMSB") else "<"
    x, y, z = map(int, sizes)
    return (x, y, z), np.dtype(order + _TYPES[kind])


def _same_number(found: str, expected: str) -> bool:
    try:
        return float(found) == float(expected)
    except ValueError:
        return False


def _flag(path: Path, fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "False").casefold()
    if value not in ("true", "false", "1", "0"):
        raise InputError(f"{path}: has {name} = {value[:40]!r}, expected True or False. {REMEDY}")
    return value in ("true", "1")


def _affine(path: Path, fields: dict[str, str]) -> np.ndarray:
    """Voxel indices to RAS+ mm, (4, 4) float64."""
    affine = np.eye(4)
    with np.errstate(over="ignore", invalid="ignore"):
        directions = _numbers(path, fields, "TransformMatrix", np.eye(3)).reshape(3, 3).T
        affine[:3, :3] = directions * _numbers(path, fields, "ElementSpacing", np.ones(3))
        affine[:3, 3] = _numbers(path, fields, "Offset", np.zeros(3))
        affine = _LPS_TO_RAS @ affine
        size = abs(np.linalg.det(affine[:3, :3])) if np.isfinite(affine).all() else np.inf
    if not 1e-9 < size < np.inf:
        raise InputError(
            f"{path}: its affine cannot be inverted:\n{affine}\nFix TransformMatrix,"
            " ElementSpacing or Offset in its header."
        )
    reject_unusable(str(path), "TransformMatrix", affine)
    return affine + 0.0  # without negative zeros


def _numbers(path: Path, fields: dict[str, str], name: str, default: np.ndarray) -> np.ndarray:
    if name not in fields:
        return default
    try:
        numbers = np.array([float(word) for word in fields[name].split()])
    except ValueError:
        numbers = np.empty(0)
    if numbers.size != default.size:
        raise InputError(
            f"{path}: has {name} = {fields[name][:60]!r}, expected {default.size} numbers. {REMEDY}"
        )
    return numbers


def _data_file(path: Path, name: str) -> Path:
    """The data file of a header: a bare name, so that no header can reach out of its folder."""
    if name in ("", ".", "..") or set(name) & set("/\\:%") or name.split()[0].upper() == "LIST":
        raise InputError(
            f"{path}: names {name[:60]!r} as its data, expected one file in the same folder. Put"
            " both files there, or save the volume as .mha."
        )
    return path.with_name(name)
