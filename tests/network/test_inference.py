"""Whole volumes from windows, against networks whose answers are known."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from pipeline.network.inference import predict_probabilities, predict_with_disagreement
from tests.network.conftest import as_logits, tiny

EACH, TWO_SUMS = np.eye(3, dtype=bool), np.array([[False, False], [True, False], [True, True]])
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
    image = (
        np.random.default_rng(1)
        .normal(size=(8, 4, 1 if dimensions == 2 else 8, 4))
        .astype(np.float32)
    )
    model, patch = tiny(dimensions=dimensions), (8, 4) if dimensions == 2 else (8, 4, 8)
    total = 0
    for sides in np.ndindex(*[2] * dimensions):
        axes = tuple(axis for axis, turned in enumerate(sides) if turned)
        total = total + np.flip(
            predict_probabilities(model, np.flip(image, axes), patch, 0, False, 1, "sigmoid"), axes
        )
    found = predict_probabilities(model, image, patch, 0, True, 1, "sigmoid")
    np.testing.assert_allclose(found, total / 2**dimensions, rtol=1e-5)


def test_windows_are_blended_with_more_weight_on_their_centres():
    image = np.ones((12, 8, 1, 4), np.float32)
    model = tiny()
    alone = [
        predict_probabilities(model, image[start : start + 8], (8, 8), 0, False, 1, "sigmoid")
        for start in (0, 4)
    ]
    found = predict_probabilities(model, image, (8, 8), 0.5, False, 2, "sigmoid")
    weight = np.exp(-0.5 * (np.arange(8) - 3.5) ** 2)
    for voxel in range(4, 8):
        parts = weight[voxel] * alone[0][voxel] + weight[voxel - 4] * alone[1][voxel - 4]
        np.testing.assert_allclose(
            found[voxel], parts / (weight[voxel] + weight[voxel - 4]), rtol=1e-4
        )


def test_windows_without_brain_are_not_predicted():
    image = np.zeros((16, 8, 4, 4), np.float16)
    image[8:, :, :2] = 1
    found = predict_probabilities(as_logits(4), image, (8, 8), 0.0, False, 2, "sigmoid")
    assert not found[:8].any()
    assert not found[:, :, 2:].any()
    np.testing.assert_allclose(found[8:, :, :2], expit(1.0), rtol=1e-5)


def test_a_volume_of_zeros_has_no_tumour():
    assert not predict_probabilities(
        as_logits(4, 3), np.zeros_like(IMAGE), (4, 4, 4), 0.5, True, 2, "sigmoid"
    ).any()


def test_slices_do_not_see_each_other_and_batches_do_not_mix():
    model = tiny()
    found = predict_probabilities(model, IMAGE, (8, 8), 0.5, False, 4, "sigmoid")
    single = [
        predict_probabilities(model, IMAGE[:, :, [z]], (8, 8), 0.5, False, 1, "sigmoid")
        for z in range(5)
    ]
    np.testing.assert_allclose(found, np.concatenate(single, axis=2), rtol=1e-4)


def mirror_images(model, image, patch, activation):
    """The answers to every mirror image of an image of one window, turned back: (M, X, Y, Z, O)."""
    sides = [
        tuple(axis for axis, turned in enumerate(turns) if turned)
        for turns in np.ndindex(*[2] * len(patch))
    ]
    return np.array(
        [
            np.flip(
                predict_probabilities(model, np.flip(image, axes), patch, 0, False, 1, activation),
                axes,
            )
            for axes in sides
        ]
    )


class Counted:
    """A network that counts how often it is asked."""

    def __init__(self, model):
        self.model, self.outputs, self.asked = model, model.outputs, 0

    def predict_on_batch(self, windows):
        self.asked += 1
        return self.model.predict_on_batch(windows)


@pytest.mark.parametrize(
    ("dimensions", "activation", "unions"),
    [(2, "sigmoid", EACH), (2, "softmax", TWO_SUMS), (3, "softmax", EACH)],
)
def test_disagreement_costs_no_further_prediction_and_leaves_the_probabilities_bit_by_bit(
    dimensions, activation, unions
):
    image = np.random.default_rng(2).normal(size=(11, 9, 6, 4)).astype(np.float16)
    image[:4] = 0
    asked = (4,) * dimensions, 0.5, True, 3, activation
    alone, along = Counted(tiny(dimensions=dimensions)), Counted(tiny(dimensions=dimensions))
    along.model.set_weights(alone.model.get_weights())
    expected = predict_probabilities(alone, image, *asked)
    found, disagreement = predict_with_disagreement(along, image, *asked, unions)
    assert np.array_equal(found, expected)
    assert found.dtype == disagreement.dtype == np.float32
    assert along.asked == alone.asked
    assert disagreement.shape == (*image.shape[:3], unions.shape[1])
    assert disagreement.min() >= 0
    assert disagreement.max() <= 0.5


@pytest.mark.parametrize("dimensions", [2, 3])
def test_disagreement_is_the_standard_deviation_over_mirror_images(dimensions):
    image = (
        np.random.default_rng(1)
        .normal(size=(8, 4, 1 if dimensions == 2 else 8, 4))
        .astype(np.float32)
    )
    model, patch = tiny(dimensions=dimensions), (8, 4) if dimensions == 2 else (8, 4, 8)
    expected = mirror_images(model, image, patch, "sigmoid").std(axis=0, dtype=np.float64)
    _, found = predict_with_disagreement(model, image, patch, 0, True, 1, "sigmoid", EACH)
    assert expected.max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_disagreement_on_a_sum_of_labels_is_that_of_the_sum():
    image = np.random.default_rng(3).normal(size=(8, 8, 1, 4)).astype(np.float32)
    model = tiny()
    images = mirror_images(model, image, (8, 8), "softmax")
    _, found = predict_with_disagreement(model, image, (8, 8), 0, True, 1, "softmax", TWO_SUMS)
    np.testing.assert_allclose(
        found[..., 0], (images[..., 1] + images[..., 2]).std(axis=0), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_allclose(found[..., 1], images[..., 2].std(axis=0), rtol=1e-3, atol=1e-6)
    assert not np.allclose(
        found[..., 0], images[..., 1].std(axis=0) + images[..., 2].std(axis=0), atol=1e-4
    )


def test_disagreement_is_blended_like_the_probabilities():
    image = np.random.default_rng(4).normal(size=(12, 8, 1, 4)).astype(np.float32)
    model = tiny()
    alone = [
        predict_with_disagreement(
            model, image[start : start + 8], (8, 8), 0, True, 1, "sigmoid", EACH
        )[1]
        for start in (0, 4)
    ]
    _, found = predict_with_disagreement(model, image, (8, 8), 0.5, True, 2, "sigmoid", EACH)
    weight = np.exp(-0.5 * (np.arange(8) - 3.5) ** 2)
    for voxel in range(4, 8):
        parts = weight[voxel] * alone[0][voxel] + weight[voxel - 4] * alone[1][voxel - 4]
        np.testing.assert_allclose(
            found[voxel], parts / (weight[voxel] + weight[voxel - 4]), rtol=1e-4, atol=1e-7
        )


def test_mirror_images_of_single_voxels_agree_and_without_mirroring_there_is_nothing_to_compare():
    asked = (4, 4), 0.5
    _, found = predict_with_disagreement(
        as_logits(4), IMAGE, *asked, True, 3, "sigmoid", np.eye(4, dtype=bool)
    )
    assert not found.any()
    probabilities, nothing = predict_with_disagreement(
        as_logits(4), IMAGE, *asked, False, 3, "sigmoid", np.eye(4, dtype=bool)
    )
    assert nothing is None
    assert np.array_equal(
        probabilities, predict_probabilities(as_logits(4), IMAGE, *asked, False, 3, "sigmoid")
    )


def test_where_nothing_is_predicted_there_is_no_disagreement():
    image = np.zeros((16, 8, 2, 4), np.float16)
    image[8:] = np.random.default_rng(5).normal(size=(8, 8, 2, 4))
    probabilities, found = predict_with_disagreement(
        tiny(), image, (8, 8), 0, True, 2, "softmax", EACH
    )
    assert not found[:8].any()
    assert found[8:].any()
    assert (probabilities[:8, ..., 0] == 1).all()
