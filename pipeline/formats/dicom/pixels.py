"""Stored values of one DICOM file of any transfer syntax.

The JPEG family is decoded by the GDCM within SimpleITK. The plugins of pydicom are not used:
pylibjpeg 2.1 takes damaged JPEG-LS streams, and neither it nor python-gdcm 3.2.6 decodes every
lossy 12-bit JPEG.
"""

import io
import struct
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import encaps, uid
from pydicom.dataset import Dataset, FileMetaDataset

from ...core.errors import InputError
from .header import REMEDY

_PIXEL_MODULE = (
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
)
_JPEG = {
    *(uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
    *(uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000),
}
_END = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_FRAME_HEADERS = {0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MOST_TILES = 4096
_LONGEST_SIDE = 4096
_MOST_BYTES = 2**32


def stored_values(dataset: Dataset, path: Path) -> np.ndarray:
    """Decode the pixels of a file, to be called within `errors_reported`.

    Native and RLE data are decoded by pydicom. Values of MONOCHROME1, where the smallest is white,
    are inverted within the bits stored, so that larger is brighter.

    Returns
    -------
    (frames, rows, columns) integer array
        Before rescaling, in the byte order of the machine.

    Raises
    ------
    InputError
        If there are no pixels, fewer or more than announced, in colour, or in a transfer syntax
        that cannot be decoded.
    """
    if not dataset.get("PixelData"):
        raise InputError(
            f"{path}: holds no pixel data, or is cut short before them. Leave the file out, or"
            " fetch it again."
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    shape = _announced(dataset, path)
    if syntax in _JPEG:
        values = _decode_jpeg(dataset, path, shape).reshape(-1, *shape[1:])
    elif syntax == uid.RLELossless or not syntax.is_encapsulated:
        values = dataset.pixel_array.reshape(-1, *shape[1:])
    else:
        raise InputError(
            f"{path}: transfer syntax {syntax.name} cannot be decoded. Convert it: gdcmconv --raw"
            " IN OUT."
        )
    if values.shape != shape:
        raise InputError(
            f"{path}: holds {len(values)} frames where its header announces {shape[0]}. {REMEDY}"
        )
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    bits = values.dtype.itemsize * 8
    if syntax not in _JPEG and (stored := int(dataset.BitsStored)) != bits:
        # clear old overlays in bits beyond those stored, and extend the sign (PS3.5, 8.1.1)
        high = int(dataset.get("HighBit", stored - 1))
        values = (values << (bits - 1 - high)) >> (bits - stored)
    if dataset.PhotometricInterpretation != "MONOCHROME1":
        return values
    if values.dtype.kind == "i":
        return ~values
    return ((1 << int(dataset.BitsStored)) - 1 - values.astype(np.int64)).astype(values.dtype)


def _announced(dataset: Dataset, path: Path) -> tuple[int, int, int]:
    """Shape by the header, checked against the length of the pixels before memory is allocated."""
    colours = dataset.PhotometricInterpretation
    if int(dataset.SamplesPerPixel) != 1 or colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputError(
            f"{path}: is in colour ({colours}), a picture rather than a series. Leave it out."
        )
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    bits = int(dataset.BitsAllocated)
    announced = int(np.prod(shape, dtype=object)) * bits // 8
    if (
        min(shape) < 1
        or max(shape[1:]) > _LONGEST_SIDE
        or announced > _MOST_BYTES
        or bits not in (8, 16, 32)
    ):
        raise InputError(
            f"{path}: its header announces {shape[0]} frames of {shape[1]}x{shape[2]} pixels of"
            f" {bits} bits. {REMEDY}"
        )
    length, syntax = len(dataset.PixelData), dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        items = io.BytesIO(dataset.PixelData)
        encaps.parse_basic_offsets(items)
        fragments = encaps.parse_fragments(items)[0]
        if fragments < shape[0]:
            raise InputError(
                f"{path}: holds {fragments} compressed fragments for {shape[0]} frames. {REMEDY}"
            )
    elif length < announced or any(dataset.PixelData[announced:]):  # zeros may fill up
        raise InputError(
            f"{path}: holds {length} bytes of pixels where its header announces {announced}: cut"
            f" short or damaged. {REMEDY}"
        )
    return shape


def _decode_jpeg(dataset: Dataset, path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode by GDCM a data set of nothing but the pixels: no rescaling, geometry or identity."""
    frames = list(encaps.generate_frames(dataset.PixelData, number_of_frames=shape[0]))
    for frame in frames:
        if _END not in frame[-16:]:  # padding follows it, not always of zeros
            raise InputError(f"{path}: its compressed pixels are cut short. {REMEDY}")
        if _coded_size(frame) != shape[1:]:
            raise InputError(
                f"{path}: its compressed pixels are not {shape[1]}x{shape[2]} as its header"
                f" announces. {REMEDY}"
            )
    bare = Dataset()
    for keyword in _PIXEL_MODULE:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    bare.PixelData = encaps.encapsulate(frames)  # GDCM allocates what wrong lengths announce
    bare["PixelData"].is_undefined_length = True
    bare.SOPClassUID, bare.SOPInstanceUID = uid.MRImageStorage, uid.PYDICOM_ROOT_UID + "1"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.dcm"
        bare.save_as(file, enforce_file_format=True)
        try:
            return sitk.GetArrayFromImage(sitk.ReadImage(str(file), imageIO="GDCMImageIO"))
        except RuntimeError:
            syntax = dataset.file_meta.TransferSyntaxUID.name
            raise InputError(
                f"{path}: its pixels ({syntax}) cannot be decoded, they are cut short or damaged."
                f" {REMEDY}"
            ) from None


def _coded_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns of a gray codestream, for which the decoder allocates memory; else None.

    JPEG 2000: marker SIZ, ISO/IEC 15444-1, A.5.1; JPEG and JPEG-LS: frame header, ISO/IEC 10918-1,
    B.2.2, and 14495-1, C.2.2.
    """
    if frame[:4] == b"\xff\x4f\xff\x51":
        right, bottom, left, top, tile_width, tile_height, _, _, components = struct.unpack_from(
            ">8IH", frame, 8
        )
        tiles = -(-right // max(tile_width, 1)) * -(-bottom // max(tile_height, 1))
        return (bottom - top, right - left) if components == 1 and tiles <= _MOST_TILES else None
    place = 2
    while frame[:2] == b"\xff\xd8" and place + 10 <= len(frame) and frame[place] == 0xFF:
        if frame[place + 1] in _FRAME_HEADERS:
            rows, columns, components = struct.unpack_from(">HHB", frame, place + 5)
            return (rows, columns) if components == 1 else None
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return None
