"""Good MetaImage files give what SimpleITK reads; damaged or hostile ones are rejected by name."""

import hashlib
import itertools
import os
import tracemalloc
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.core.errors import InputError
from pipeline.formats import metaimage, raw_cases

VOXELS = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7) - 50
# no symmetry hides rows taken for columns
TURN = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])


def image(voxels: np.ndarray = VOXELS) -> sitk.Image:
    made = sitk.GetImageFromArray(voxels.transpose(2, 1, 0))
    made.SetOrigin((3.0, 7.5, -4.0))
    made.SetSpacing((1.0, 1.5, 2.0))
    made.SetDirection(TURN.ravel())
    return made


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def path(tmp_path, request):
    sitk.WriteImage(image(), tmp_path / "a.mha", useCompression=request.param)
    return tmp_path / "a.mha"


def physical_ras(made: sitk.Image, index: tuple[int, int, int]) -> np.ndarray:
    return np.array(made.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)


def test_simpleitk_reads_the_same_voxels_at_the_same_places(path):
    volume, other = metaimage.read(path), sitk.ReadImage(path)
    assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(other).transpose(2, 1, 0))
    for index in [(0, 0, 0), (4, 0, 0), (0, 5, 0), (0, 0, 6), (4, 5, 6)]:
        assert np.allclose((volume.grid.affine @ [*index, 1])[:3], physical_ras(other, index))
    assert volume.grid.shape == (5, 6, 7)
    assert np.allclose(volume.grid.spacing_mm, (1.0, 1.5, 2.0))
    assert volume.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("dtype", [*"bBhHiIqQ", "f", "d"])
def test_every_type_keeps_its_voxels(tmp_path, dtype):
    voxels = np.abs(VOXELS % 100).astype(dtype)
    sitk.WriteImage(image(voxels), tmp_path / "a.mha", useCompression=True)
    found = metaimage.read(tmp_path / "a.mha").voxels
    assert found.dtype == voxels.dtype
    assert np.array_equal(found, voxels)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dispatched", [False, True])
def test_a_header_with_its_data_beside_it_is_one_volume(tmp_path, compressed, dispatched):
    sitk.WriteImage(image(), tmp_path / "a.mhd", useCompression=compressed)
    path = tmp_path / "a.mhd"
    volume = raw_cases.read_volume(path if dispatched else metaimage.HeaderAndData(path))
    assert np.array_equal(volume.voxels, VOXELS)
    files = path, path.with_suffix(".zraw" if compressed else ".raw")
    sums = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert volume.sha256 == hashlib.sha256("".join(sums).encode()).hexdigest()


def header(**changes: str | None) -> bytes:
    """A header of `VOXELS`; `changes` replace or add fields, None leaves one out."""
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "1 1 1",
        "DimSize": "5 6 7",
        "ElementType": "MET_SHORT",
    }
    lines = fields | changes | {"ElementDataFile": changes.get("ElementDataFile", "LOCAL")}
    return "".join(
        f"{name} = {value}\n" for name, value in lines.items() if value is not None
    ).encode("latin-1")


RAW = VOXELS.tobytes(order="F")


def test_big_endian_voxels_are_read_as_native(tmp_path):
    (tmp_path / "a.mha").write_bytes(
        header(BinaryDataByteOrderMSB="True") + VOXELS.astype(">i2").tobytes(order="F")
    )
    found = metaimage.read(tmp_path / "a.mha").voxels
    assert np.array_equal(found, VOXELS)
    assert found.dtype == np.int16
    assert found.dtype.isnative


def test_other_spellings_of_fields_and_line_ends_of_windows_are_read(tmp_path):
    spelled = header(
        Offset=None, Position="1 2 3", ElementSpacing=None, ElementSize="1 1 2"
    ).replace(b"\n", b"\r\n")
    (tmp_path / "a.mha").write_bytes(spelled + RAW)
    volume = metaimage.read(tmp_path / "a.mha")
    assert np.array_equal(volume.voxels, VOXELS)
    affine = [[-1, 0, 0, -1], [0, -1, 0, -2], [0, 0, 2, 3], [0, 0, 0, 1]]
    assert np.array_equal(volume.grid.affine, affine)


COMPRESSED = zlib.compress(RAW)
BOMB = zlib.compress(bytes(30_000_000))
TERABYTES = "99999 99999 99999"
IN_FOLDER = "expected one file in the same folder"
SINGULAR = "affine cannot be inverted"
BAD_FIELDS = [  # before the right voxels
    ({"NDims": "4", "DimSize": "5 6 7 1"}, "NDims = 4"),
    ({"ElementNumberOfChannels": "3"}, "ElementNumberOfChannels = 3"),
    ({"BinaryData": "False"}, "BinaryData = False"),
    ({"ElementToIntensityFunctionSlope": "2.5"}, "ElementToIntensityFunctionSlope = 2.5"),
    ({"HeaderSize": "-1"}, "HeaderSize = -1"),
    ({"ObjectType": "Tube"}, "ObjectType = Tube"),
    ({"ElementType": "MET_UCHAR_ARRAY"}, "ElementType = 'MET_UCHAR_ARRAY'"),
    ({"ElementType": None}, "ElementType = ''"),
    ({"DimSize": None}, "DimSize = ''"),
    ({"DimSize": "5 0 7"}, "DimSize = '5 0 7'"),
    ({"DimSize": "5 -6 -7"}, "DimSize"),
    ({"DimSize": "5 six 7"}, "DimSize"),
    ({"DimSize": f"5 6 {'7' * 5000}"}, "DimSize"),
    ({"DimSize": TERABYTES}, "announces 1999940000599998 bytes"),
    ({"CompressedData": "perhaps"}, "CompressedData = 'perhaps'"),
    ({"ElementSpacing": "1e300 1e300 1e300"}, SINGULAR),
    ({"ElementSpacing": "1 1 one"}, "ElementSpacing = '1 1 one'"),
    ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, SINGULAR),
    ({"TransformMatrix": "1 0 0 0 1 0 0 0"}, "expected 9 numbers"),
    ({"ElementDataFile": "/etc/hostname"}, IN_FOLDER),
    ({"ElementDataFile": "C:\\a.raw"}, IN_FOLDER),
    ({"ElementDataFile": "LIST"}, IN_FOLDER),
    ({"ElementDataFile": "a%03d.raw 1 7 1"}, IN_FOLDER),
    ({"ElementDataFile": ""}, IN_FOLDER),
    ({"ElementDataFile": ".."}, IN_FOLDER),
    ({"ElementDataFile": "b.raw"}, "is not there"),
    ({"ElementDataFile": "b\x01.raw"}, "not a MetaImage"),
]
BAD_STREAMS = [  # behind a header that says they are compressed
    (COMPRESSED[:-9], "cut short|damaged"),
    (COMPRESSED[:-4], "cut short"),
    (COMPRESSED[:-1] + bytes([COMPRESSED[-1] ^ 1]), "damaged"),
    (COMPRESSED[:9] + b"\xff\xff\xff" + COMPRESSED[12:], "damaged|cut short"),
    (COMPRESSED + b"more", "more data follow"),
    (zlib.compress(RAW + b"\0"), "holds more"),
    (zlib.compress(RAW[:-2]), "holds 418 bytes"),
    (BOMB, "holds more"),
]
BAD_FILES = [
    *((header(**fields) + RAW, message) for fields, message in BAD_FIELDS),
    *((header(CompressedData="True") + stream, message) for stream, message in BAD_STREAMS),
    (header(CompressedData="True", CompressedDataSize="7") + COMPRESSED, "header announces 7"),
    (header(CompressedData="True", DimSize=TERABYTES) + COMPRESSED, "cannot hold"),
    (header() + RAW[:-1], "holds 419 bytes where its header announces 420"),
    (header() + RAW + b"\0", "holds more"),
    (header(), "holds 0 bytes"),
    (b"", "not a MetaImage"),
    (b"this is not an image\n" * 40, "not a MetaImage"),
    (b"x" * 100_000, "not a MetaImage"),
    (b"a = b\n" + b"".join(b"key%d = 1\n" % place for place in range(20_000)), "not a MetaImage"),
    (b"\x1f\x8b\x08" + bytes(400), "not a MetaImage"),
    (b"NDims = 3\n" + header() + RAW, "NDims twice"),
    (header()[:60], "not a MetaImage"),
]


@pytest.mark.parametrize(("stored", "message"), BAD_FILES, ids=itertools.count())
def test_a_bad_file_is_rejected_by_name_and_takes_no_memory(tmp_path, stored, message):
    (tmp_path / "bad.mha").write_bytes(stored)
    tracemalloc.start()
    with pytest.raises(InputError, match=rf"(?s)(bad\.mha|b\.raw): .*({message})") as rejection:
        metaimage.read(tmp_path / "bad.mha")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(str(rejection.value)) < 600
    assert peak < 1_000_000 + 2 * len(stored)


def test_what_is_absent_or_no_file_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "pipe.mha")
    for name in ("absent.mha", "pipe.mha", "."):
        with pytest.raises(InputError, match="is not there, or is not a file"):
            metaimage.read(tmp_path / name)


@pytest.mark.real
def test_the_first_challenge_is_read_as_simpleitk_reads_it(real_cases):
    for path in sorted((real_cases / "brats2012").rglob("*.mha")):
        volume, other = metaimage.read(path), sitk.ReadImage(path)
        assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(other).transpose(2, 1, 0))
        assert np.allclose(
            (volume.grid.affine @ [159, 215, 175, 1])[:3], physical_ras(other, (159, 215, 175))
        )
        assert volume.grid.orientation == "LPS"
