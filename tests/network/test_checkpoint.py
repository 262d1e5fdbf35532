"""Checkpoints that come back whole, or not at all."""

import math

import numpy as np
import pytest

from pipeline.network import checkpoint
from pipeline.network.checkpoint import Checkpoint

STATE = Checkpoint(
    fingerprint="of params and data",
    history=[{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": math.inf}],
    variables=[np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 8], np.uint32)],
    optimizer=[np.array(12, np.int64)],
    best=[np.float32([[1e-30, -0.0]])] * 12,
)


@pytest.fixture
def path(tmp_path):
    checkpoint.save(tmp_path / "state.npz", STATE)
    return tmp_path / "state.npz"


def test_a_checkpoint_comes_back_bit_for_bit_and_equal_states_give_equal_bytes(path):
    read = checkpoint.load(path, STATE.fingerprint)
    assert (read.fingerprint, read.history) == (STATE.fingerprint, STATE.history)
    for group in checkpoint.GROUPS:
        kept = [(array.dtype, array.shape, array.tobytes()) for array in getattr(read, group)]
        assert kept == [
            (array.dtype, array.shape, array.tobytes()) for array in getattr(STATE, group)
        ]
    checkpoint.save(path.with_name("again.npz"), STATE)
    assert path.read_bytes() == path.with_name("again.npz").read_bytes()


def test_no_file_and_the_checkpoint_of_another_training_are_not_resumed(path):
    assert checkpoint.load(path.with_name("absent.npz"), STATE.fingerprint) is None
    assert checkpoint.load(path, "of other params") is None


FIRST = STATE.variables[0].tobytes()


@pytest.mark.parametrize(
    "damaged",
    [
        lambda whole: b"",
        lambda whole: whole[:1],
        lambda whole: whole[:100],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-20],
        lambda whole: whole.replace(FIRST, bytes([FIRST[0] ^ 1]) + FIRST[1:]),
    ],
    ids=["empty", "1 byte", "100 bytes", "half", "without its end", "a flipped bit"],
)
def test_a_damaged_file_and_pickled_objects_are_no_checkpoint(path, damaged):
    whole = path.read_bytes()
    path.write_bytes(damaged(whole))
    assert path.read_bytes() != whole
    assert checkpoint.load(path, STATE.fingerprint) is None
    np.savez(path, about=np.array([{"fingerprint": STATE.fingerprint}], object))
    assert checkpoint.load(path, STATE.fingerprint) is None
