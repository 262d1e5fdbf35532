"""Blur and lower resolution stay inside the brain."""

import numpy as np
import pytest

from pipeline.augmentation.resolution import soften

SHAPE = (24, 26, 22)


@pytest.fixture
def brain():
    place = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    return (place**2).sum(axis=0) < 100


def _roughness(values, brain):
    volume = np.zeros(brain.shape)
    volume[brain] = values
    both = brain[1:] & brain[:-1]
    return np.abs(np.diff(volume, axis=0))[both].mean()


@pytest.mark.parametrize(("blur_mm", "coarsening"), [(1.0, 1.0), (0.0, 2.0), (0.7, 1.5)])
def test_it_smooths_noise_and_keeps_a_constant_brain_up_to_its_border(brain, blur_mm, coarsening):
    values = np.random.default_rng(0).standard_normal(brain.sum()).astype(np.float32)
    softened = soften(values, brain, (1.0, 1.0, 1.0), blur_mm, coarsening)
    assert softened.dtype == np.float32
    assert _roughness(softened, brain) < 0.5 * _roughness(values, brain)
    constant = np.full(brain.sum(), 2.0, np.float32)
    softened = soften(constant, brain, (1.0, 1.0, 1.0), blur_mm, coarsening)
    np.testing.assert_allclose(softened, 2.0, rtol=1e-5)


def test_sigma_is_in_millimetres_along_every_axis():
    brain, values = np.ones((21, 21, 21), bool), np.zeros((21, 21, 21), np.float32)
    values[10, 10, 10] = 1
    point = soften(values[brain], brain, (1.0, 1.0, 2.0), 2.0, 1.0).reshape(brain.shape)
    offset = np.arange(21) - 10.0
    spread = [
        np.sqrt((point.sum(axis=others) * offset**2).sum() / point.sum())
        for others in ((1, 2), (0, 1))
    ]
    assert spread == pytest.approx([2.0, 1.0], rel=0.01)  # in voxels along x and z


def test_no_blur_and_no_coarsening_change_nothing(brain):
    values = np.random.default_rng(0).standard_normal(brain.sum()).astype(np.float32)
    np.testing.assert_array_equal(soften(values, brain, (1.0, 1.0, 1.0), 0.0, 1.0), values)
