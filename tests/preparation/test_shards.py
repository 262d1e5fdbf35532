"""Shards are mapped, never unpickled, and checked."""

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.preparation import shards

IMAGE = np.arange(2 * 3 * 4 * 2, dtype=np.float16).reshape(2, 3, 4, 2)
CLASSES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 4


def test_a_shard_comes_back_mapped(tmp_path):
    shards.write(tmp_path, "a", IMAGE, CLASSES)
    shard = shards.read(tmp_path, "a")
    assert isinstance(shard.image, np.memmap)
    assert np.array_equal(shard.image, IMAGE)
    assert np.array_equal(shard.classes, CLASSES)


def test_a_pickled_array_is_refused(tmp_path):
    shards.write(tmp_path, "a", IMAGE, CLASSES)
    np.save(tmp_path / "a.image.npy", np.array([{"a": 1}], object))
    with pytest.raises(InputError, match=r"a\.image\.npy: is not a readable \.npy"):
        shards.read(tmp_path, "a")


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"text", None])
def test_a_damaged_or_missing_file_is_refused_by_name(tmp_path, damage):
    shards.write(tmp_path, "a", IMAGE, CLASSES)
    (tmp_path / "a.classes.npy").unlink()
    if damage is not None:
        (tmp_path / "a.classes.npy").write_bytes(damage)
    with pytest.raises(InputError, match=r"a\.classes\.npy"):
        shards.read(tmp_path, "a")


def test_a_truncated_file_is_refused(tmp_path):
    shards.write(tmp_path, "a", IMAGE, CLASSES)
    path = tmp_path / "a.image.npy"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"a\.image\.npy"):
        shards.read(tmp_path, "a")


@pytest.mark.parametrize(
    ("image", "classes"),
    [(IMAGE[..., 0], CLASSES), (IMAGE.astype(int), CLASSES), (IMAGE, CLASSES[:1])],
)
def test_arrays_that_are_no_shard_are_refused(tmp_path, image, classes):
    shards.write(tmp_path, "a", image, classes)
    with pytest.raises(InputError, match="are not a shard"):
        shards.read(tmp_path, "a")
