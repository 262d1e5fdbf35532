"""The constant around a brain is air, whatever its value; noise has no such constant."""

import numpy as np
import pytest

from pipeline.formats.background import air_within, constant_air


def brain(air: float, shape=(12, 14, 10), dtype=np.float32) -> np.ndarray:
    voxels = np.full(shape, air, dtype)
    inside = tuple(slice(1, -1) if length > 1 else slice(None) for length in shape)
    voxels[inside] = np.random.default_rng(0).normal(100, 10, voxels[inside].shape).astype(dtype)
    return voxels


@pytest.mark.parametrize("air", [0.0, 0.01, -1.0, -0.3937931])
@pytest.mark.parametrize("shape", [(12, 14, 10), (30, 40, 1)])
def test_the_value_of_the_rim_is_air_in_volumes_and_slices(air, shape):
    assert constant_air(brain(air, shape)) == np.float32(air)


def test_a_brain_that_touches_the_rim_here_and_there_does_not_hide_the_air():
    voxels = brain(-5, dtype=np.int16)
    voxels[4:8, 4:10, 0] = 90
    assert constant_air(voxels) == -5


def test_noise_and_images_without_a_rim_have_none():
    assert constant_air(np.random.default_rng(0).normal(5, 2, (12, 14, 10))) == 0
    assert constant_air(np.random.default_rng(0).integers(1, 9, (12, 14, 10))) == 0
    assert constant_air(np.ones((1, 1, 1))) == 0
    # quantised: values on both sides of the most frequent
    noise = np.random.default_rng(0).choice([0, 1, 2], (30, 30, 30), p=[0.18, 0.66, 0.16])
    noise[8:-8, 8:-8, 8:-8] = 90
    assert constant_air(noise) == 0


@pytest.mark.parametrize("air", [0.0, -1.0])
def test_air_within_a_padding_is_found(air):
    voxels = brain(-0.4)
    padded = np.pad(voxels, 4, constant_values=air)
    assert constant_air(padded) == air
    assert air_within(padded, air) == np.float32(-0.4)
    assert air_within(voxels, constant_air(voxels)) is None
    assert air_within(np.zeros((4, 4, 4)), 0.0) is None
