"""Whole volumes from windows, against networks whose answers are known."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from pipeline.nn.inference import predict_probabilities
from tests.nn.conftest import as_logits, tiny

IMAGE = np.random.default_rng(0).normal(size=(11, 9, 5, 4)).astype(np.float32)


@pytest.mark.parametrize("patch", [(4, 4), (16, 8), (4, 4, 4), (8, 16, 8)])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_network_that_looks_at_single_voxels_gives_them_back_through_any_windows(patch, mirror):
    found = predict_probabilities(as_logits(4, len(patch)), IMAGE, patch, 0.5, mirror, 3, "sigmoid")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expit(IMAGE), rtol=1e-5)


def test_softmax_probabilities_sum_to_one():
    found = predict_probabilities(as_logits(4), IMAGE, (8, 8), 0.5, True, 4, "softmax")
    np.testing.assert_allclose(found, softmax(IMAGE, -1), rtol=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_mirroring_averages_all_mirror_images(dimensions):
    image = np.random.default_rng(1).normal(size=(8, 4, 1 if dimensions == 2 else 8, 4)).astype(np.float32)
    model, patch = tiny(dimensions=dimensions), (8, 4) if dimensions == 2 else (8, 4, 8)
    total = 0
    for sides in np.ndindex(*[2] * dimensions):
        axes = tuple(axis for axis, turned in enumerate(sides) if turned)
        total = total + np.flip(predict_probabilities(model, np.flip(image, axes), patch, 0, False, 1, "sigmoid"), axes)
    found = predict_probabilities(model, image, patch, 0, True, 1, "sigmoid")
    np.testing.assert_allclose(found, total / 2**dimensions, rtol=1e-5)


def test_windows_are_blended_with_more_weight_on_their_centres():
    image = np.ones((12, 8, 1, 4), np.float32)
    model = tiny()
    alone = [predict_probabilities(model, image[start : start + 8], (8, 8), 0, False, 1, "sigmoid") for start in (0, 4)]
    found = predict_probabilities(model, image, (8, 8), 0.5, False, 2, "sigmoid")
    weight = np.exp(-0.5 * (np.arange(8) - 3.5) ** 2)
    for voxel in range(4, 8):
        parts = weight[voxel] * alone[0][voxel] + weight[voxel - 4] * alone[1][voxel - 4]
        np.testing.assert_allclose(found[voxel], parts / (weight[voxel] + weight[voxel - 4]), rtol=1e-4)


def test_windows_without_brain_are_not_predicted():
    image = np.zeros((16, 8, 4, 4), np.float16)
    image[8:, :, :2] = 1
    found = predict_probabilities(as_logits(4), image, (8, 8), 0.0, False, 2, "sigmoid")
    assert not found[:8].any()
    assert not found[:, :, 2:].any()
    np.testing.assert_allclose(found[8:, :, :2], expit(1.0), rtol=1e-5)


def test_a_volume_of_zeros_has_no_tumour():
    assert not predict_probabilities(as_logits(4, 3), np.zeros_like(IMAGE), (4, 4, 4), 0.5, True, 2, "sigmoid").any()


def test_slices_do_not_see_each_other_and_batches_do_not_mix():
    model = tiny()
    found = predict_probabilities(model, IMAGE, (8, 8), 0.5, False, 4, "sigmoid")
    single = [predict_probabilities(model, IMAGE[:, :, [z]], (8, 8), 0.5, False, 1, "sigmoid") for z in range(5)]
    np.testing.assert_allclose(found, np.concatenate(single, axis=2), rtol=1e-4)
