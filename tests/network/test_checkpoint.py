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


def test_a_checkpoint_comes_back_bit_for_bit(path):
    read = checkpoint.load(path, STATE.fingerprint)
    assert (read.fingerprint, read.history) == (STATE.fingerprint, STATE.history)
    for group in checkpoint.GROUPS:
        kept = [(array.dtype, array.shape, array.tobytes()) for array in getattr(read, group)]
        assert kept == [
            (array.dtype, array.shape, array.tobytes()) for array in getattr(STATE, group)
        ]


def test_equal_states_give_equal_bytes(path):
    checkpoint.save(path.with_name("again.npz"), STATE)
    assert path.read_bytes() == path.with_name("again.npz").read_bytes()


def test_no_file_and_the_checkpoint_of_another_training_are_not_resumed(path):
    assert checkpoint.load(path.with_name("absent.npz"), STATE.fingerprint) is None
    assert checkpoint.load(path, "of other params") is None


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_file_cut_short_is_no_checkpoint(path, kept):
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    assert checkpoint.load(path, STATE.fingerprint) is None


def test_a_file_with_a_flipped_bit_is_no_checkpoint(path):
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(STATE.variables[0].tobytes()) + 5] ^= 1
    path.write_bytes(damaged)
    assert checkpoint.load(path, STATE.fingerprint) is None


def test_pickled_objects_are_not_read(path):
    np.savez(path, about=np.array([{"fingerprint": STATE.fingerprint}], object))
    assert checkpoint.load(path, STATE.fingerprint) is None
