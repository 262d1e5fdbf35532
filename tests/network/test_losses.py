"""The loss against a slow reading of its formula, and by hand."""

import numpy as np
import pytest

from pipeline.network import backend
from pipeline.network.backend import keras
from pipeline.network.losses import DiceCrossEntropy, TypeCrossEntropy, soft_dice, types_of

DRAWN = np.random.default_rng(4)
LOGITS = DRAWN.normal(size=(2, 5, 4, 3)).astype(np.float32)
MASKS = (DRAWN.random((2, 5, 4, 3)) < 0.4).astype(np.uint8)
ONE_HOT = np.eye(3, dtype=np.uint8)[DRAWN.integers(0, 3, (2, 5, 4))]


def slow_dice(reference, probabilities):
    pairs = zip(reference.ravel().tolist(), probabilities.ravel().tolist(), strict=True)
    shared, total = np.sum([(r * p, r + p) for r, p in pairs], axis=0)
    return 2 * shared / total


def test_the_loss_of_regions_is_the_weighted_sum_of_dice_and_binary_cross_entropy():
    probabilities = 1 / (1 + np.exp(-LOGITS.astype(float)))
    entropy = -np.mean(np.where(MASKS, np.log(probabilities), np.log(1 - probabilities)))
    overlap = np.mean([slow_dice(MASKS[..., o], probabilities[..., o]) for o in range(3)])
    loss = DiceCrossEntropy("regions", dice_weight=0.7, cross_entropy_weight=2.0)(MASKS, LOGITS)
    assert float(loss) == pytest.approx(0.7 * (1 - overlap) + 2.0 * entropy, rel=1e-5)


def test_the_loss_of_labels_leaves_the_background_out_of_dice_but_not_out_of_the_cross_entropy():
    probabilities = np.exp(LOGITS.astype(float)) / np.exp(LOGITS.astype(float)).sum(
        -1, keepdims=True
    )
    entropy = -np.mean(np.log((probabilities * ONE_HOT).sum(-1)))
    overlap = np.mean([slow_dice(ONE_HOT[..., o], probabilities[..., o]) for o in (1, 2)])
    loss = DiceCrossEntropy("labels", dice_weight=1.0, cross_entropy_weight=0.5)(ONE_HOT, LOGITS)
    assert float(loss) == pytest.approx(1 - overlap + 0.5 * entropy, rel=1e-5)


@pytest.mark.parametrize(("output", "reference"), [("regions", MASKS), ("labels", ONE_HOT)])
def test_a_sure_prediction_costs_nothing_if_right_and_much_if_wrong_in_float32(output, reference):
    backend.prepare(0, "mixed_bfloat16")
    loss = DiceCrossEntropy(output, 1.0, 1.0)
    sure = (reference.astype(np.float32) * 2 - 1) * 30
    assert float(loss(reference, sure)) == pytest.approx(0, abs=1e-5)
    assert float(loss(reference, -sure)) > 5
    assert keras.backend.standardize_dtype(loss(reference, sure).dtype) == "float32"


def test_dice_is_taken_over_the_batch_and_not_averaged_over_its_samples():
    reference, probabilities = np.zeros((2, 2, 10, 2), np.float32)
    reference[0, :8, 0] = reference[1, :2, 0] = probabilities[0, :8, 0] = 1
    found = np.array(soft_dice(reference, probabilities))
    assert found == pytest.approx([2 * 8 / 18, 1], rel=1e-5)  # the second is empty and right


def test_types_cost_their_cross_entropy_and_images_without_one_move_no_logit():
    logits = DRAWN.normal(size=(4, 3)).astype(np.float32)
    target = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]], np.uint8)
    probabilities = np.exp(logits.astype(float))
    probabilities /= probabilities.sum(-1, keepdims=True)
    loss = TypeCrossEntropy()
    expected = -(np.log(probabilities[0, 1]) + np.log(probabilities[2, 0])) / 2
    assert float(loss(target, logits)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(np.zeros_like(target), logits)) == 0
    image = keras.Input((3,))
    dense = keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(image, dense(image))
    model.compile(keras.optimizers.SGD(1.0), loss)
    model.train_on_batch(np.eye(3, dtype=np.float32), np.diag([1, 0, 0]).astype(np.uint8))
    third = 1 / 3
    moved = [[1 - third, -third, -third], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(model.get_weights()[0], moved, rtol=1e-5)


def test_the_types_of_patches_are_the_labels_that_they_hold():
    classes = np.zeros((3, 4, 4), np.uint8)
    classes[0, 1, 1], classes[1, 2:] = 2, 1
    np.testing.assert_array_equal(
        types_of(np.eye(4, dtype=np.uint8)[classes]), [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    )
