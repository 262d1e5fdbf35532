"""Pictures are slices in radiological display; what is damaged or ambiguous is rejected."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.core.errors import InputError
from pipeline.formats import images
from pipeline.formats.images import MaskSlices, Slices, in_order

SPACING = (0.5, 0.75, 6.0)
GRAY = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
DISC = (np.hypot(*np.mgrid[-20:20, -25:25]) < 12).astype(np.uint8) * 255


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Write (rows, columns[, channels]) pixels in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 3), str(path))
    return path


def one(path: Path, channel: int | None = None) -> Slices:
    return Slices(path, (path,), SPACING, channel)


def mask(path: Path, value: int = 1) -> MaskSlices:
    return MaskSlices(path, (path,), SPACING, value=value)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_is_read_without_loss_and_columns_first(tmp_path, suffix, dtype):
    pixels = GRAY.astype(dtype) * (200 if dtype == np.uint16 else 1)
    path = write_picture(tmp_path / f"a{suffix}", pixels)
    volume = one(path).read()
    assert images.size(path) == (50, 40)
    assert (volume.voxels.shape, volume.voxels.dtype) == ((50, 40, 1), dtype)
    assert (volume.grid.shape, volume.grid.spacing_mm) == ((50, 40, 1), SPACING)
    assert volume.grid.orientation == "LPS"  # upright: the front at the top, the left at the right
    assert np.array_equal(volume.voxels[..., 0].T, pixels)


def test_a_channel_of_a_colour_picture_is_read_and_equal_channels_are_gray(tmp_path):
    path = write_picture(tmp_path / "a.tif", COLOUR)
    for channel in range(3):
        assert np.array_equal(one(path, channel).read().voxels[..., 0].T, COLOUR[..., channel])
    path = write_picture(tmp_path / "a.png", np.repeat(GRAY[..., None], 3, axis=2))
    assert np.array_equal(one(path).read().voxels[..., 0].T, GRAY)


def test_a_stack_is_read_in_the_order_given_and_its_sum_covers_every_file(tmp_path):
    planes = {number: GRAY + np.uint8(number) for number in (1, 2, 10)}
    files = tuple(
        write_picture(tmp_path / f"s_{number}.tif", plane) for number, plane in planes.items()
    )
    volume = Slices(tmp_path, files, SPACING).read()
    assert np.array_equal(volume.voxels, np.stack([plane.T for plane in planes.values()], axis=-1))
    write_picture(files[2], GRAY)
    assert Slices(tmp_path, files, SPACING).read().sha256 != volume.sha256


def test_a_mask_with_the_noise_of_jpeg_becomes_the_value_and_nothing_else(tmp_path):
    path = write_picture(tmp_path / "m.jpg", DISC)
    assert len(np.unique(images.read_picture(path)[0])) > 2  # the noise is there
    volume = mask(path, value=3).read()
    assert volume.voxels.dtype == np.uint8
    assert np.array_equal(volume.voxels[..., 0].T, DISC // 255 * 3)
    assert not mask(write_picture(tmp_path / "empty.png", np.zeros_like(DISC))).read().voxels.any()


def test_slices_are_ordered_by_number_and_missing_ones_are_counted():
    slices = [(number, Path(f"s_{number}")) for number in (10, 9, 11)]
    assert in_order(slices) == (slices[1][1], slices[0][1], slices[2][1])
    with pytest.raises(InputError, match="slice 4 to 8 before it is missing"):
        in_order([(3, Path("s_3")), (9, Path("s_9"))])


def test_slices_that_differ_in_dtype_are_rejected(tmp_path):
    planes = {"s_1.tif": GRAY, "s_2.tif": GRAY.astype(np.uint16)}
    files = tuple(write_picture(tmp_path / name, plane) for name, plane in planes.items())
    message = r"s_2\.tif: has 50 x .* but s_1\.tif of the same stack 50 x 40 pixels of uint8"
    with pytest.raises(InputError, match=message):
        Slices(tmp_path, files, SPACING).read()


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (DISC // 255, "values up to 1, expected a mask of 0 and 255"),
        (DISC.astype(np.uint16) * 257, "uint16 values up to 65535"),
        (GRAY, "lie between black and white"),
        (np.linspace(0, 255, 2000).reshape(40, 50).astype(np.uint8), "lie between black and white"),
    ],
)
def test_what_is_no_mask_is_rejected(tmp_path, pixels, said):
    with pytest.raises(InputError, match=said):
        mask(write_picture(tmp_path / "m.png", pixels)).read()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.3, 0.6, 0.9])
def test_a_picture_cut_short_is_rejected_by_name(tmp_path, suffix, share):
    path = write_picture(tmp_path / f"a{suffix}", GRAY)
    stored = path.read_bytes()
    path.write_bytes(stored[: int(len(stored) * share)])
    with pytest.raises(InputError, match=rf"a\{suffix}: "):
        one(path).read()


def test_a_jpeg_is_rejected_when_its_last_byte_is_missing_or_zeros_fill_it_up(tmp_path):
    path = write_picture(tmp_path / "a.jpg", GRAY)
    stored = path.read_bytes()
    for damaged in (stored[:-1], stored[: len(stored) // 2].ljust(len(stored), b"\0")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.jpg: is cut short"):
            one(path).read()


def test_pixels_that_do_not_unpack_to_the_announced_size_are_rejected(tmp_path):
    path = write_picture(tmp_path / "a.png", GRAY)
    stored = path.read_bytes()
    header = stored[12:16] + (60).to_bytes(4) + stored[20:29]  # 60 columns instead of 50
    path.write_bytes(stored[:12] + header + zlib.crc32(header).to_bytes(4) + stored[33:])
    with pytest.raises(InputError, match=r"a\.png: cannot be decoded"):
        one(path).read()


def test_what_is_not_there_or_not_named_as_a_picture_is_rejected(tmp_path):
    for name, said in (("a.bmp", "is not named as a picture"), ("a.png", "cannot be read")):
        with pytest.raises(InputError, match=rf"{name}: {said}"):
            one(tmp_path / name).read()


def test_a_header_that_announces_a_huge_picture_does_not_get_it(tmp_path):
    path = write_picture(tmp_path / "a.jpg", GRAY)
    stored = bytearray(path.read_bytes())
    start = stored.index(b"\xff\xc2")  # the frame header of a progressive JPEG
    stored[start + 5 : start + 9] = b"\xea\x60\xea\x60"  # 60000 x 60000
    path.write_bytes(stored)
    with pytest.raises(InputError, match=r"announces \(60000, 60000\) pixels"):
        images.size(path)
