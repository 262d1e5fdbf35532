"""Whole volumes from windows, against networks whose answers are known."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from pipeline.network.backend import keras
from pipeline.network.inference import predict
from tests.network.conftest import as_logits, tiny

EACH, TWO_SUMS = np.eye(3, dtype=bool), np.array([[False, False], [True, False], [True, True]])
IMAGE = np.random.default_rng(0).normal(size=(11, 9, 5, 4)).astype(np.float32)


def predicted(
    model, image, patch, overlap=0.0, mirror=False, batch_size=1, activation="sigmoid", unions=None
):
    made = predict(model, image, patch, overlap, mirror, batch_size, activation, unions)
    return made.probabilities, made.disagreement


@pytest.mark.parametrize("patch", [(4, 4), (16, 8), (4, 4, 4), (8, 16, 8)])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_network_that_looks_at_single_voxels_gives_them_back_through_any_windows(patch, mirror):
    model = as_logits(4, len(patch))
    found, spread = predicted(model, IMAGE, patch, 0.5, mirror, 3, unions=np.eye(4, dtype=bool))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expit(IMAGE), rtol=1e-5)
    assert (spread is None) != mirror
    assert not np.any(spread)
    found, _ = predicted(model, IMAGE, patch, 0.5, mirror, 3, "softmax")
    np.testing.assert_allclose(found, softmax(IMAGE, -1), rtol=1e-5)


@pytest.mark.parametrize(
    ("dimensions", "mirror", "axes", "activation", "unions"),
    [
        (2, True, (0, 1), "sigmoid", EACH),
        (2, ["x", "z"], (0,), "sigmoid", EACH),
        (3, True, (0, 1, 2), "softmax", TWO_SUMS),
        (3, ["z", "x"], (0, 2), "softmax", TWO_SUMS),
    ],
)
def test_mirror_images_are_averaged_and_their_standard_deviation_is_the_disagreement(
    dimensions, mirror, axes, activation, unions
):
    image = np.random.default_rng(1).normal(size=(8, 4, 8 if dimensions == 3 else 1, 4))
    model, patch = tiny(dimensions=dimensions), (8, 4, 8)[:dimensions]
    images = []
    for turned in np.ndindex(*[2] * len(axes)):
        flipped = tuple(np.array(axes)[np.flatnonzero(turned)])
        seen, _ = predicted(model, np.flip(image, flipped), patch, activation=activation)
        images.append(np.flip(seen, flipped))
    found, spread = predicted(model, image, patch, 0, mirror, 1, activation, unions)
    np.testing.assert_allclose(found, np.mean(images, axis=0), rtol=1e-5)
    expected = (np.array(images, float) @ unions).std(axis=0)
    assert expected.max() > 1e-3
    np.testing.assert_allclose(spread, expected, rtol=1e-3, atol=1e-6)


def test_windows_are_blended_with_more_weight_on_their_centres():
    image, model = np.random.default_rng(4).normal(size=(12, 8, 1, 4)), tiny()
    alone = [
        predicted(model, image[start : start + 8], (8, 8), mirror=True, unions=EACH)
        for start in (0, 4)
    ]
    whole = predicted(model, image, (8, 8), 0.5, True, 2, unions=EACH)
    weight = np.exp(-0.5 * (np.arange(8) - 3.5) ** 2)
    shares = np.array([weight[4:], weight[:4]])[..., None, None, None]
    for kind in (0, 1):
        parts = shares[0] * alone[0][kind][4:] + shares[1] * alone[1][kind][:4]
        np.testing.assert_allclose(whole[kind][4:8], parts / shares.sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_windows_without_brain_are_background_and_not_predicted(activation):
    image = np.zeros((16, 8, 4, 4), np.float16)
    image[8:, :, :2] = np.random.default_rng(5).normal(size=(8, 8, 2, 4))
    found, spread = predicted(tiny(), image, (8, 8), 0, True, 2, activation, EACH)
    empty = np.ones(image.shape[:3], bool)
    empty[8:, :, :2] = False
    assert (found[empty] == ([1, 0, 0] if activation == "softmax" else 0)).all()
    assert not spread[empty].any()
    assert spread[~empty].any()


def test_a_network_of_neighbouring_slices_sees_them_and_zeros_beyond_the_volume():
    image = keras.Input((None, None, 3 * 4))
    # logits of the slice above, which are the last four channels
    above = keras.layers.Conv2D(
        4, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(0), name="above"
    )
    model = keras.Model(image, above(image))
    above.set_weights([np.eye(12)[:, 8:].reshape(1, 1, 12, 4)])
    found = predict(model, IMAGE, (4, 4), 0.5, True, 3, "sigmoid", slices=3).probabilities
    expected = np.zeros_like(IMAGE)
    expected[:, :, :-1] = IMAGE[:, :, 1:]
    np.testing.assert_allclose(found, expit(expected), rtol=1e-4)


def test_a_margin_of_zeros_around_the_brain_changes_no_window():
    brain = np.abs(IMAGE[:9, :8, :5]) + 1
    padded = np.zeros((13, 12, 9, 4), np.float32)
    padded[2:11, 1:9, 3:8] = brain
    model = tiny(dimensions=3)  # its norms see what else is in a window
    found, _ = predicted(model, padded, (8, 8, 4), 0.5)
    alone, _ = predicted(model, brain, (8, 8, 4), 0.5)
    np.testing.assert_allclose(found[2:11, 1:9, 3:8], alone, rtol=1e-5)
    assert not found[0].any()


def test_slices_do_not_see_each_other_and_batches_do_not_mix():
    model = tiny()
    found, _ = predicted(model, IMAGE, (8, 8), 0.5, batch_size=4)
    single = [predicted(model, IMAGE[:, :, [z]], (8, 8), 0.5)[0] for z in range(5)]
    np.testing.assert_allclose(found, np.concatenate(single, axis=2), rtol=1e-4)


def typed(outputs: int) -> keras.Model:
    """A network whose logits are its image, and whose types are the means of all but the first."""
    image = keras.Input((None, None, outputs))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    types = keras.layers.Dense(outputs - 1, use_bias=False, name="types")
    model = keras.Model(image, [keras.layers.Identity()(image), types(mean)])
    types.set_weights([np.eye(outputs)[:, 1:]])
    return model


@pytest.mark.parametrize("mirror", [False, True])
def test_the_types_of_a_case_multiply_its_labels_and_leave_where_the_tumour_is(mirror):
    image = np.random.default_rng(6).normal(size=(8, 8, 3, 4)).astype(np.float32)
    found, _ = predicted(typed(4), image, (8, 8), 0, mirror, 2, "softmax")
    alone = softmax(image, -1)  # without the head
    of_slices = softmax(image[..., 1:].mean(axis=(0, 1)), -1)
    types = (1 - alone[..., 0]).sum(axis=(0, 1)) @ of_slices
    weighted = alone[..., 1:] * types
    weighted *= (1 - alone[..., :1]) / weighted.sum(-1, keepdims=True)
    np.testing.assert_allclose(found[..., 1:], weighted, rtol=1e-4)
    np.testing.assert_allclose(found[..., 0], alone[..., 0], rtol=1e-5)
    assert (found[..., 1:].argmax(-1) != alone[..., 1:].argmax(-1)).any()


def test_an_empty_case_has_no_type():
    found, _ = predicted(typed(4), np.zeros((8, 8, 1, 4)), (8, 8), activation="softmax")
    assert (found == [1, 0, 0, 0]).all()
