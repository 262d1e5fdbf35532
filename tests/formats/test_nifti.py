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


def test_nibabel_reads_the_same_and_the_same_voxels_give_the_same_bytes(path, tmp_path):
    image = nibabel.load(path)
    assert np.array_equal(np.asarray(image.dataobj), VOXELS)
    assert np.allclose(image.affine, AFFINE)
    assert nifti.read_description(path) == "made by hand"
    nifti.write(tmp_path / "again.nii.gz", VOXELS.copy(order="F"), AFFINE, "made by hand")
    assert (tmp_path / "again.nii.gz").read_bytes() == path.read_bytes()


def test_scaled_voxels_are_scaled_as_nibabel_scales_them(tmp_path):
    for voxels in (VOXELS, np.stack([VOXELS, VOXELS * 2], axis=-1)):
        image = nibabel.Nifti1Image(voxels, AFFINE)
        image.header.set_slope_inter(0.5, 10)
        image.to_filename(tmp_path / "a.nii")
        expected = nibabel.load(tmp_path / "a.nii").get_fdata()
        if voxels.ndim == 4:
            volume, expected = nifti.read_channel(tmp_path / "a.nii", 1, 2), expected[..., 1]
        else:
            volume = nifti.read(tmp_path / "a.nii")
        assert volume.voxels.dtype == np.float32
        assert np.allclose(volume.voxels, expected)


def behind_a_comment(image: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 100))
    return image


@pytest.mark.parametrize(
    "image",
    [
        nibabel.Nifti1Image(VOXELS[..., None], AFFINE),
        nibabel.Nifti1Image(VOXELS.astype(">i2"), AFFINE, nibabel.Nifti1Header(endianness=">")),
        nibabel.Nifti2Image(VOXELS, AFFINE),
        behind_a_comment(nibabel.Nifti1Image(VOXELS, AFFINE)),
    ],
    ids=["a fourth axis of length 1", "big-endian", "NIfTI-2", "an extension"],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_other_forms_of_a_volume_are_read(tmp_path, image, suffix):
    image.to_filename(tmp_path / f"a{suffix}")
    voxels = nifti.read(tmp_path / f"a{suffix}").voxels
    assert np.array_equal(voxels, VOXELS)
    assert not voxels.flags.writeable  # they are the bytes of the file


FREESURFER = np.array([-1, 1, 1], "<i2").tobytes()  # lengths that stand in a file of another kind
DAMAGES = {  # by name: the change of the stored and the decompressed bytes, and the message
    "cut in the middle": (lambda gz, raw: gz[: len(gz) // 2], "cut short|damaged"),
    "wrong checksum": (lambda gz, raw: gz[:-8] + bytes([gz[-8] ^ 0xFF]) + gz[-7:], "damaged"),
    "voxels missing": (lambda gz, raw: gzip.compress(raw[:-20]), "announces"),
    "voxels too many": (lambda gz, raw: gzip.compress(raw + b"\0" * 20), "holds more"),
    "uncompressed, voxels missing": (lambda gz, raw: raw[:-20], "announces"),
    "not there": (lambda gz, raw: raw[:42] + FREESURFER + raw[48:], "not a NIfTI"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_file_of_which_one_channel_is_whole_is_rejected_for_its_damage(tmp_path, change, message):
    path = tmp_path / "a.nii.gz"
    nifti.write(path, np.stack([VOXELS, VOXELS], axis=-1), AFFINE)
    stored = path.read_bytes()
    path.write_bytes(change(stored, gzip.decompress(stored)))
    with pytest.raises(InputError, match=rf"a\.nii\.gz: (?s:.*)({message})"):
        nifti.read_channel(path, 0, 2)


@pytest.mark.parametrize("pieces", [[600], [100, 700, 2000], []])
def test_several_gzip_members_and_zeros_behind_them_are_the_same_file(path, pieces):
    expected, raw = nifti.read(path), gzip.decompress(path.read_bytes())
    edges = [0, *pieces, len(raw)]
    members = b"".join(gzip.compress(raw[start:stop]) for start, stop in itertools.pairwise(edges))
    path.write_bytes(members + bytes(512))
    found = nifti.read(path)
    assert np.array_equal(found.voxels, expected.voxels)
    assert np.array_equal(found.grid.affine, expected.grid.affine)


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


@pytest.mark.parametrize(
    ("shape", "said"),
    [((5, 6, 7, 3), r"\(5, 6, 7, 3\)"), ((5, 6, 7), r"\(5, 6, 7\)"), ((5, 6, 7, 2, 2), "2, 2")],
)
def test_another_number_of_volumes_than_expected_is_rejected(tmp_path, shape, said):
    nibabel.Nifti1Image(np.zeros(shape, np.int16), AFFINE).to_filename(tmp_path / "a.nii.gz")
    message = rf"a\.nii\.gz: has shape .*{said}.*, expected 2 volumes \(X, Y, Z, 2\)\. Fetch"
    with pytest.raises(InputError, match=message):
        nifti.read_channel(tmp_path / "a.nii.gz", 0, 2)
    if len(shape) > 3:
        with pytest.raises(InputError, match=rf"a\.nii\.gz: has {len(shape)} dimensions .*{said}"):
            nifti.read(tmp_path / "a.nii.gz")


def test_a_failed_write_leaves_what_was_there(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        nifti.write(path, VOXELS + 1, AFFINE)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize(("unit", "edge"), [("micron", 1000), ("meter", 0.001)])
def test_voxels_in_another_unit_are_refused_unless_they_are_of_mm_whatever_the_header_says(
    tmp_path, unit, edge
):
    image = nibabel.Nifti1Image(np.ones((4, 4, 4), np.int16), np.diag([edge] * 3 + [1]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "other.nii")
    with pytest.raises(InputError, match=rf"other.nii: its voxels are {edge} .*{unit}.*mm"):
        nifti.read(tmp_path / "other.nii")
    image = nibabel.Nifti1Image(image.dataobj, np.eye(4))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "mm.nii")
    assert nifti.read(tmp_path / "mm.nii").grid.spacing_mm == (1, 1, 1)
