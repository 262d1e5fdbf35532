"""Dice plus cross-entropy, from logits, always in float32."""

from typing import Literal

import numpy as np

from .backend import keras

# nnU-Net's value: small against a region of one voxel, so that an empty region costs a full point
# only until nothing is predicted there and adds next to no gradient.
SMOOTHING = 1e-5


class DiceCrossEntropy(keras.losses.Loss):
    """Weighted sum of a soft Dice loss and of the cross-entropy.

    Parameters
    ----------
    output : {"regions", "labels"}
        "regions": sigmoids, binary cross-entropy, Dice over all outputs; "labels": one softmax,
        categorical cross-entropy, Dice over all outputs but the background, which is the first.
    dice_weight, cross_entropy_weight : float
        Non-negative.

    Notes
    -----
    Called with a reference (B, *spatial, O) of zeros and ones (any dtype) and logits of the same
    shape, it gives a float32 scalar::

        dice_weight * (1 - mean_o (2 sum(p_o r_o) + s) / (sum(p_o) + sum(r_o) + s)) +
        cross_entropy_weight * mean(ce)

    with sums over the voxels of the whole batch and s = 1e-5. Soft Dice: Milletari et al., V-Net,
    2016, eq. 2, without the squares in the denominator, and its sum with the cross-entropy: Isensee
    et al., nnU-Net, 2021, online methods ("batch dice").
    """

    def __init__(
        self, output: Literal["regions", "labels"], dice_weight: float, cross_entropy_weight: float
    ):
        super().__init__(name="dice_cross_entropy", dtype="float32")
        self.output = output
        self.dice_weight = dice_weight
        self.cross_entropy_weight = cross_entropy_weight

    def call(self, reference, logits):
        """Loss of a batch, a float32 scalar."""
        if self.output == "regions":
            entropy = keras.ops.binary_crossentropy(reference, logits, from_logits=True)
            overlap = soft_dice(reference, keras.ops.sigmoid(logits))
        else:
            entropy = keras.ops.categorical_crossentropy(reference, logits, from_logits=True)
            overlap = soft_dice(reference[..., 1:], keras.ops.softmax(logits)[..., 1:])
        return self.dice_weight * (
            1 - keras.ops.mean(overlap)
        ) + self.cross_entropy_weight * keras.ops.mean(entropy)


def soft_dice(reference, probabilities):
    """Soft Dice of each output over the whole batch.

    Parameters
    ----------
    reference, probabilities : (B, *spatial, O) float32 tensor
        In [0, 1].

    Returns
    -------
    (O,) float32 tensor
        In [0, 1].
    """
    axes = tuple(range(len(reference.shape) - 1))
    shared = keras.ops.sum(reference * probabilities, axes)
    total = keras.ops.sum(reference + probabilities, axes)
    return (2 * shared + SMOOTHING) / (total + SMOOTHING)


def level_weights(levels: int) -> list[float]:
    """Weights of the outputs of a deeply supervised network, halved at each coarser level, of sum 1
    (nnU-Net).
    """
    return [2.0**-level / (2 - 2.0 ** (1 - levels)) for level in range(levels)]


def logits_of(probabilities: np.ndarray, output: Literal["regions", "labels"]) -> np.ndarray:
    """Logits (float32, same shape) whose sigmoids or softmax are these probabilities, kept 1e-6
    away from 0 and 1.
    """
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(clipped) - np.log1p(-clipped) if output == "regions" else np.log(clipped)
