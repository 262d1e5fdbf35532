"""U-Net whose layers avoid what XLA compiles badly for a GPU; it computes what `unet.build` does.

Three layers can be exchanged one by one: the transposed convolution (stride 2, kernel 2) for a
matrix product and a depth-to-space transposition, Keras's GroupNormalization followed by LeakyReLU
for an instance normalisation that reads its input once for both moments, in float32, and activates
it, and the float32 convolution of the heads for a matrix product.
"""

from typing import Literal

from pipeline.network.backend import keras
from pipeline.network.blocks import heads
from pipeline.network.blocks.convolution import EPSILON, LEAK, convolution, normalization
from pipeline.network.params import NetworkParams

ops = keras.ops

Up = Literal["transposed", "shuffle"]
Norm = Literal["group", "fused", "gradient"]
Head = Literal["convolution", "product"]


def build(
    params: NetworkParams,
    channels: int,
    outputs: int,
    up: Up,
    norm: Norm,
    head: Head = "convolution",
) -> keras.Model:
    """Build the network of `unet.build` with a choice of layers.

    Weights have the same number and order; those of other layers have other shapes.

    Parameters
    ----------
    params : NetworkParams
        With one plain block a level, strides of 2, kernels of 3, instance normalisation and
        without dropout.
    channels, outputs : int
    up : {"transposed", "shuffle"}
    norm : {"group", "fused", "gradient"}
        Keras's layers; one pass, differentiated automatically; one pass with a custom gradient.
    head : {"convolution", "product"}
    """
    image = keras.Input((None,) * params.dimensions + (channels,), name="image")
    skips, features = [], image
    for level in range(params.depth):
        features = _block(params, features, f"encoder_{level}", level, 2 if level else 1, norm)
        skips.append(features)
    logits = []
    for level in reversed(range(params.depth - 1)):
        name = f"decoder_{level}"
        upsampled = _up(params, level, name, up)(features)
        features = keras.layers.Concatenate(name=f"{name}_join")([upsampled, skips[level]])
        features = _block(params, features, name, level, 1, norm)
        if level < params.supervised_levels:
            logits.insert(0, _head(params, features, outputs, level, head))
    return keras.Model(image, logits if len(logits) > 1 else logits[0], name="unet")


def best(params: NetworkParams, channels: int, outputs: int) -> keras.Model:
    """Build the fastest of these networks; an own architecture for params.yaml."""
    return build(params, channels, outputs, "shuffle", "gradient")


def _head(params, features, outputs, level, head):
    if head == "convolution":
        return heads.logits(params, features, outputs, level)
    return keras.layers.Dense(outputs, dtype="float32", name=f"logits_{level}")(features)


def _up(params, level, name, up):
    filters = params.filters_at(level)
    if up == "shuffle":
        return DepthToSpace(filters, params.dimensions, name=f"{name}_up")
    layer = getattr(keras.layers, f"Conv{params.dimensions}DTranspose")
    return layer(
        filters, 2, strides=2, use_bias=False, kernel_initializer="he_normal", name=f"{name}_up"
    )


def _block(params, features, name, level, stride, norm):
    for number, step in ((1, stride), (2, 1)):
        features = convolution(params, features, level, 3, step, f"{name}_conv_{number}")
        if norm == "group":
            features = normalization(params, features, level, f"{name}_norm_{number}")
            features = keras.layers.LeakyReLU(LEAK, name=f"{name}_relu_{number}")(features)
        else:
            features = InstanceNorm(written_out=norm == "gradient", name=f"{name}_norm_{number}")(
                features
            )
    return features


@keras.saving.register_keras_serializable("tumorflow")
class DepthToSpace(keras.layers.Layer):
    """Transposed convolution with kernel = stride = 2 and no bias, as one matrix product."""

    def __init__(self, filters: int, dimensions: int, **settings):
        super().__init__(**settings)
        self.filters, self.dimensions = filters, dimensions

    def build(self, shape):
        """Weights (C, 2**dimensions * filters), the new voxels in C order."""
        self.kernel = self.add_weight(
            (shape[-1], 2**self.dimensions * self.filters), initializer="he_normal", name="kernel"
        )

    def call(self, features):
        """(B, X, Y, Z, C) to (B, 2X, 2Y, 2Z, filters), or the same in two dimensions."""
        sizes, count = ops.shape(features)[1:-1], self.dimensions
        spread = ops.reshape(
            ops.matmul(features, self.kernel), (-1, *sizes, *[2] * count, self.filters)
        )
        pairs = [axis for number in range(count) for axis in (1 + number, 1 + count + number)]
        spread = ops.transpose(spread, (0, *pairs, 2 * count + 1))
        return ops.reshape(spread, (-1, *[2 * size for size in sizes], self.filters))

    def get_config(self):
        """Arguments of the layer."""
        return super().get_config() | {"filters": self.filters, "dimensions": self.dimensions}

    def compute_output_shape(self, shape):
        """Static shape of the output."""
        return (shape[0], *[side and 2 * side for side in shape[1:-1]], self.filters)


@keras.saving.register_keras_serializable("tumorflow")
class InstanceNorm(keras.layers.Layer):
    """Instance normalisation and LeakyReLU, in float32 from and to the compute type.

    The variance is E[x^2] - E[x]^2, so that both moments take one pass; x is the output of a
    convolution, whose mean is of the order of its standard deviation.
    """

    def __init__(self, written_out: bool, **settings):
        super().__init__(**settings)
        self.written_out = written_out

    def build(self, shape):
        """Scale and offset per channel, in float32 whatever the compute type."""
        self.gamma = self.add_weight(
            (shape[-1],), initializer="ones", dtype="float32", autocast=False, name="gamma"
        )
        self.beta = self.add_weight(
            (shape[-1],), initializer="zeros", dtype="float32", autocast=False, name="beta"
        )

    def call(self, features):
        """(B, *spatial, C) to the same shape and dtype."""
        function = _normalised if self.written_out else _forward
        return function(
            features, ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        )

    def get_config(self):
        """Arguments of the layer."""
        return super().get_config() | {"written_out": self.written_out}


def _moments(features):
    """Mean and inverse standard deviation (B, 1, ..., C) in float32."""
    axes, wide = tuple(range(1, len(features.shape) - 1)), ops.cast(features, "float32")
    mean = ops.mean(wide, axes, keepdims=True)
    variance = ops.maximum(ops.mean(ops.square(wide), axes, keepdims=True) - ops.square(mean), 0)
    return mean, ops.rsqrt(variance + EPSILON)


def _activated(features, mean, inverse, gamma, beta):
    scale = gamma * inverse
    shifted = ops.cast(features, "float32") * scale + (beta - mean * scale)
    return ops.cast(ops.maximum(shifted, LEAK * shifted), features.dtype)


def _forward(features, gamma, beta):
    return _activated(features, *_moments(features), gamma, beta)


@ops.custom_gradient
def _normalised(features, gamma, beta):
    """As `_forward`; keeps its input and the moments for the gradient, which takes two passes."""
    mean, inverse = _moments(features)

    def gradient(*arguments, upstream=None):
        axes = tuple(range(1, len(features.shape) - 1))
        centred = (ops.cast(features, "float32") - mean) * inverse
        incoming = ops.cast(arguments[0] if upstream is None else upstream, "float32")
        incoming = ops.where(centred * gamma + beta > 0, incoming, LEAK * incoming)
        total, projected = (
            ops.mean(incoming, axes, keepdims=True),
            ops.mean(incoming * centred, axes, keepdims=True),
        )
        voxels = ops.cast(ops.size(features) // (features.shape[0] * features.shape[-1]), "float32")
        outer = (0, *axes)
        outgoing = ops.cast(
            gamma * inverse * (incoming - total - centred * projected), features.dtype
        )
        return outgoing, ops.sum(projected, outer) * voxels, ops.sum(total, outer) * voxels

    return _activated(features, mean, inverse, gamma, beta), gradient
