"""NIfTI files are read whole and checked, and written with the same bytes for the same voxels."""

import gzip
import hashlib
import itertools

import nibabel
import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.formats import nifti

AFFINE = np.array([[-1.0, 0, 0, 3], [0, -1.5, 0, 7], [0, 0, 2.0, -4], [0, 0, 0, 1]])
VOXELS = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7) - 50


@pytest.fixture
def path(tmp_path):
    nifti.write(tmp_path / "a.nii.gz", VOXELS, AFFINE, "made by hand")
    return tmp_path / "a.nii.gz"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_what_is_written_is_read_back(tmp_path, dtype, suffix):
    voxels = np.abs(VOXELS).astype(dtype)
    nifti.write(tmp_path / f"b{suffix}", voxels, AFFINE)
    volume = nifti.read(tmp_path / f"b{suffix}")
    assert volume.voxels.dtype == dtype
    assert np.array_equal(volume.voxels, voxels)
    assert np.allclose(volume.grid.affine, AFFINE)


def test_nibabel_reads_the_same(path):
    image = nibabel.load(path)
    assert np.array_equal(np.asarray(image.dataobj), VOXELS)
    assert np.allclose(image.affine, AFFINE)
    assert nifti.read_description(path) == "made by hand"


def test_the_same_voxels_give_the_same_bytes(path, tmp_path):
    nifti.write(tmp_path / "again.nii.gz", VOXELS.copy(order="F"), AFFINE, "made by hand")
    assert (tmp_path / "again.nii.gz").read_bytes() == path.read_bytes()


def test_scaled_voxels_are_scaled(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.header.set_slope_inter(0.5, 10)
    image.to_filename(tmp_path / "scaled.nii")
    assert np.allclose(
        nifti.read(tmp_path / "scaled.nii").voxels,
        nibabel.load(tmp_path / "scaled.nii").get_fdata(),
    )


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path):
    nibabel.Nifti1Image(VOXELS[..., None], AFFINE).to_filename(tmp_path / "one.nii.gz")
    assert np.array_equal(nifti.read(tmp_path / "one.nii.gz").voxels, VOXELS)


def test_big_endian_files_are_read(tmp_path):
    nibabel.Nifti1Image(
        VOXELS.astype(">i2"), AFFINE, nibabel.Nifti1Header(endianness=">")
    ).to_filename(tmp_path / "big.nii")
    assert np.array_equal(nifti.read(tmp_path / "big.nii").voxels, VOXELS)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_2_is_read(tmp_path, suffix):
    nibabel.Nifti2Image(VOXELS, AFFINE).to_filename(tmp_path / f"two{suffix}")
    assert np.array_equal(nifti.read(tmp_path / f"two{suffix}").voxels, VOXELS)


def damaged(name: str, stored: bytes) -> bytes:
    raw = gzip.decompress(stored)
    return {
        "cut in the middle": stored[: len(stored) // 2],
        "cut before the checksum": stored[:-8],
        "cut by one byte": stored[:-1],
        "flipped in the stream": stored[:60] + bytes([stored[60] ^ 0xFF]) + stored[61:],
        "wrong checksum": stored[:-8] + bytes([stored[-8] ^ 0xFF]) + stored[-7:],
        "voxels missing": gzip.compress(raw[:-20]),
        "voxels too many": gzip.compress(raw + b"\0" * 20),
        "uncompressed, voxels missing": raw[:-20],
        "text": b"this is not an image" * 40,
        "empty": b"",
        "header alone": raw[:348],
        "a pair's header": raw[:344] + b"ni1\0" + raw[348:],
    }[name]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("cut in the middle", "cut short|damaged"),
        ("cut before the checksum", "cut short"),
        ("cut by one byte", "cut short"),
        ("flipped in the stream", "damaged|cut short|announces"),
        ("wrong checksum", "damaged"),
        ("voxels missing", "announces"),
        ("voxels too many", "holds more"),
        ("uncompressed, voxels missing", "announces"),
        ("text", "not a NIfTI"),
        ("empty", "not a NIfTI"),
        ("header alone", "announces"),
        ("a pair's header", "not a single-file NIfTI"),
    ],
)
def test_a_damaged_file_is_refused_by_name(path, damage, said):
    path.write_bytes(damaged(damage, path.read_bytes()))
    with pytest.raises(InputError, match=rf"a\.nii\.gz: (?s:.*)({said})"):
        nifti.read(path)


@pytest.mark.parametrize("pieces", [[600], [100, 700, 2000], []])
def test_several_gzip_members_and_zeros_behind_them_are_the_same_file(path, pieces):
    expected, raw = nifti.read(path), gzip.decompress(path.read_bytes())
    edges = [0, *pieces, len(raw)]
    members = b"".join(gzip.compress(raw[start:stop]) for start, stop in itertools.pairwise(edges))
    path.write_bytes(members + bytes(512))
    found = nifti.read(path)
    assert np.array_equal(found.voxels, expected.voxels)
    assert np.array_equal(found.grid.affine, expected.grid.affine)


def test_a_header_that_announces_terabytes_does_not_take_them(path):
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(InputError, match=r"cut short|announces"):
        nifti.read(path)


def test_several_volumes_in_one_file_are_refused(tmp_path):
    nibabel.Nifti1Image(np.stack([VOXELS, VOXELS], axis=-1), AFFINE).to_filename(
        tmp_path / "four.nii.gz"
    )
    with pytest.raises(InputError, match=r"four\.nii\.gz: has 4 dimensions \(5, 6, 7, 2\)"):
        nifti.read(tmp_path / "four.nii.gz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_one_of_several_volumes_is_read_with_the_sum_of_the_whole_file(tmp_path, suffix):
    four = tmp_path / f"four{suffix}"
    nibabel.Nifti1Image(np.stack([VOXELS, VOXELS + 1000, -VOXELS], axis=-1), AFFINE).to_filename(
        four
    )
    for channel, expected in enumerate((VOXELS, VOXELS + 1000, -VOXELS)):
        volume = nifti.read_channel(four, channel, 3)
        assert volume.voxels.dtype == np.int16
        assert np.array_equal(volume.voxels, expected)
        assert np.allclose(volume.grid.affine, AFFINE)
        assert volume.grid.shape == VOXELS.shape
        assert volume.sha256 == hashlib.sha256(four.read_bytes()).hexdigest()


def test_one_of_several_volumes_is_scaled_as_nibabel_scales_it(tmp_path):
    image = nibabel.Nifti1Image(np.stack([VOXELS, VOXELS * 2], axis=-1), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    image.to_filename(tmp_path / "scaled.nii.gz")
    volume = nifti.read_channel(tmp_path / "scaled.nii.gz", 1, 2)
    assert volume.voxels.dtype == np.float32
    assert np.allclose(volume.voxels, nibabel.load(tmp_path / "scaled.nii.gz").get_fdata()[..., 1])


@pytest.mark.parametrize(
    ("shape", "said"),
    [((5, 6, 7, 3), r"\(5, 6, 7, 3\)"), ((5, 6, 7), r"\(5, 6, 7\)"), ((5, 6, 7, 2, 2), "2, 2")],
)
def test_another_number_of_volumes_than_due_is_refused(tmp_path, shape, said):
    nibabel.Nifti1Image(np.zeros(shape, np.int16), AFFINE).to_filename(tmp_path / "a.nii.gz")
    with pytest.raises(
        InputError,
        match=rf"a\.nii\.gz: has shape .*{said}.*, expected 2 volumes \(X, Y, Z, 2\)\. Fetch",
    ):
        nifti.read_channel(tmp_path / "a.nii.gz", 0, 2)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("cut by one byte", "cut short"),
        ("wrong checksum", "damaged"),
        ("voxels missing", "announces"),
        ("text", "not a NIfTI"),
    ],
)
def test_one_volume_of_a_damaged_file_is_refused_though_its_own_bytes_are_there(
    tmp_path, damage, said
):
    nibabel.Nifti1Image(np.stack([VOXELS, VOXELS + 1], axis=-1), AFFINE).to_filename(
        tmp_path / "a.nii.gz"
    )
    (tmp_path / "a.nii.gz").write_bytes(damaged(damage, (tmp_path / "a.nii.gz").read_bytes()))
    with pytest.raises(InputError, match=rf"a\.nii\.gz: (?s:.*){said}"):
        nifti.read_channel(tmp_path / "a.nii.gz", 0, 2)


def test_an_affine_without_an_inverse_is_refused(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.header.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), 1)
    raw = image.to_bytes()
    header = nibabel.Nifti1Header(raw[:348])
    header.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), 1)
    (tmp_path / "flat.nii").write_bytes(header.binaryblock + raw[348:])
    with pytest.raises(InputError, match="gives an axis no length"):
        nifti.read(tmp_path / "flat.nii")


def test_complex_voxels_are_refused(tmp_path):
    nibabel.Nifti1Image(VOXELS.astype(np.complex64), AFFINE).to_filename(tmp_path / "c.nii.gz")
    with pytest.raises(InputError, match="complex64"):
        nifti.read(tmp_path / "c.nii.gz")


def test_a_failed_write_leaves_what_was_there(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        nifti.write(path, VOXELS + 1, AFFINE)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["a.nii.gz"]
