"""Losses from logits, in float32: Dice plus cross-entropy, and the one that params.yaml names."""

from collections.abc import Callable, Mapping
from typing import Any

from . import registry
from .backend import keras
from .params import Output

# nnU-Net's value: small against a region of one voxel, so that an empty region costs a full point
# only until nothing is predicted there, and adds next to no gradient.
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
    Called with a target (B, *spatial, O) of zeros and ones (any dtype) and logits of the same
    shape, it returns a float32 scalar::

        dice_weight * (1 - mean_o (2 sum(p_o t_o) + s) / (sum(p_o) + sum(t_o) + s)) +
        cross_entropy_weight * mean(ce)

    with sums over the voxels of the whole batch and s = 1e-5. Soft Dice: Milletari et al., V-Net,
    2016, eq. 2, without the squares in the denominator, and its sum with the cross-entropy: Isensee
    et al., nnU-Net, 2021, online methods ("batch dice").
    """

    def __init__(self, output: Output, dice_weight: float, cross_entropy_weight: float):
        super().__init__(name="dice_cross_entropy", dtype="float32")
        self.output = output
        self.dice_weight, self.cross_entropy_weight = dice_weight, cross_entropy_weight

    def call(self, target, logits):
        if self.output == "regions":
            entropy = keras.ops.binary_crossentropy(target, logits, from_logits=True)
            overlap = soft_dice(target, keras.ops.sigmoid(logits))
        else:
            entropy = keras.ops.categorical_crossentropy(target, logits, from_logits=True)
            overlap = soft_dice(target[..., 1:], keras.ops.softmax(logits)[..., 1:])
        mean_overlap, mean_entropy = keras.ops.mean(overlap), keras.ops.mean(entropy)
        return self.dice_weight * (1 - mean_overlap) + self.cross_entropy_weight * mean_entropy


class TypeCrossEntropy(keras.losses.Loss):
    """Cross-entropy of the types of images, without those that have none.

    Called with a target (B, K) of zeros and at most a one per image, and logits (B, K), it returns
    a float32 scalar: the mean over the images with a type, 0 if there is none. Keras's own would
    move the logits of the others on TensorFlow, whose gradient takes targets to sum to 1.
    """

    def __init__(self):
        super().__init__(name="type_cross_entropy", dtype="float32")

    def call(self, target, logits):
        entropy = -keras.ops.sum(target * keras.ops.log_softmax(logits, axis=-1))
        return entropy / keras.ops.maximum(keras.ops.sum(target), 1)


def types_of(target):
    """Which labels a target (B, *patch, O), background first, holds: (B, O - 1) of its dtype."""
    return keras.ops.max(target[..., 1:], tuple(range(1, len(target.shape) - 1)))


def dice_cross_entropy(output: Output, train: Mapping[str, Any]) -> DiceCrossEntropy:
    """The loss with the weights of the section `train`."""
    return DiceCrossEntropy(output, train["dice_weight"], train["cross_entropy_weight"])


def soft_dice(target, probabilities):
    """Soft Dice (O,) of each output over a batch of float32 tensors (B, *spatial, O) in [0, 1]."""
    axes = tuple(range(len(target.shape) - 1))
    shared = keras.ops.sum(target * probabilities, axes)
    total = keras.ops.sum(target + probabilities, axes)
    return (2 * shared + SMOOTHING) / (total + SMOOTHING)


def build(output: Output, train: Mapping[str, Any], code: str | None = None) -> keras.losses.Loss:
    """Build the loss of a training.

    Parameters
    ----------
    output : {"regions", "labels"}
    train : mapping
        The section `train` of params.yaml as plain values. `loss` names a callable
        ``(output, train) -> loss``, and the loss maps a target (B, *spatial, O) of zeros and ones
        and float32 logits of the same shape to a scalar.
    """
    loss = registry.load(registry.LOSSES, train["loss"], "train.loss", code)(output, train)
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


class _FunctionLoss(keras.losses.Loss):
    """A plain function as a loss."""

    def __init__(self, function: Callable):
        super().__init__(name="own_loss", dtype="float32")
        self.function = function

    def call(self, target, logits):
        return self.function(target, logits)
