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


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x93NUMPY"),
        lambda path: path.write_bytes(b"text"),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: np.save(path, np.array([{"a": 1}], object)),
    ],
    ids=["missing", "empty", "header only", "text", "cut short", "pickled"],
)
@pytest.mark.parametrize("kind", ["image", "classes"])
def test_a_missing_or_damaged_file_is_rejected_by_name(tmp_path, damage, kind):
    shards.write(tmp_path, "a", IMAGE, CLASSES)
    damage(tmp_path / f"a.{kind}.npy")
    with pytest.raises(InputError, match=rf"a\.{kind}\.npy: is not a readable \.npy"):
        shards.read(tmp_path, "a")


@pytest.mark.parametrize(
    ("image", "classes"),
    [(IMAGE[..., 0], CLASSES), (IMAGE.astype(int), CLASSES), (IMAGE, CLASSES[:1])],
)
def test_arrays_that_are_no_shard_are_rejected(tmp_path, image, classes):
    shards.write(tmp_path, "a", image, classes)
    with pytest.raises(InputError, match="are not a shard"):
        shards.read(tmp_path, "a")
