"""Instance normalisation in the form that converters to other engines recognise."""

from ..backend import keras
from .instance_norm import InstanceNorm

ops = keras.ops


class TextbookNorm(InstanceNorm):
    """`InstanceNorm` as (x - mean) / sqrt(mean((x - mean)^2) + epsilon), in the type of x, without
    the LeakyReLU.

    OpenVINO fuses these operations into one, and the scale, the shift and a LeakyReLU after them
    into it; that of Keras, and a variance from two moments, it computes one operation at a time.
    """

    def call(self, features):
        """(B, *spatial, C) to the same shape and dtype."""
        axes = tuple(range(1, len(features.shape) - 1))
        centred = features - ops.mean(features, axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        return centred / ops.sqrt(variance + self.epsilon) * self.gamma + self.beta
