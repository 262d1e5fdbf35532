"""The U-Net, in two and in three dimensions, from one builder."""

import math

from .backend import keras
from .params import NetworkParams

LEAK = 0.01
GROUPS = 8
EPSILON = 1e-5


def build(params: NetworkParams, channels: int, outputs: int) -> keras.Model:
    """Build an untrained network under the current precision.

    It maps float (B, *spatial, channels), one channel per modality, to float32 logits (B, *spatial,
    outputs), one per region, or per label and the background; with deep supervision to a list of
    them, from the finest level on, each of half the size before it. Each spatial side is a multiple
    of `params.divisor`.
    """
    image = keras.Input((None,) * params.dimensions + (channels,), name="image")
    skips = _encode(params, image)
    features = skips.pop()
    logits: list[keras.KerasTensor] = []
    for level in reversed(range(params.depth - 1)):
        features = _decode_level(params, features, skips[level], level)
        if level < params.supervised_levels:
            logits.insert(0, _head(params, features, outputs, level))
    return keras.Model(image, logits if len(logits) > 1 else logits[0], name="unet")


def _encode(params, features):
    """Outputs of every level, finest first."""
    levels = []
    for level in range(params.depth):
        features = _block(params, features, f"encoder_{level}", level, stride=2 if level else 1)
        if level and params.dropout:
            dropout = getattr(keras.layers, f"SpatialDropout{params.dimensions}D")
            features = dropout(params.dropout, name=f"encoder_{level}_dropout")(features)
        levels.append(features)
    return levels


def _decode_level(params, coarse, skip, level):
    name = f"decoder_{level}"
    transposed = getattr(keras.layers, f"Conv{params.dimensions}DTranspose")
    up = transposed(
        params.filters_at(level),
        2,
        strides=2,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_up",
    )(coarse)
    features = keras.layers.Concatenate(name=f"{name}_join")([up, skip])
    return _block(params, features, name, level, stride=1)


def _block(params, features, name, level, stride):
    """Two convolutions, each normalised and activated; the first one may halve the resolution."""
    entered = features
    features = _convolution(params, features, level, 3, stride, f"{name}_conv_1")
    features = _normalization(params, level, f"{name}_norm_1")(features)
    features = keras.layers.LeakyReLU(LEAK, name=f"{name}_relu_1")(features)
    features = _convolution(params, features, level, 3, 1, f"{name}_conv_2")
    features = _normalization(params, level, f"{name}_norm_2")(features)
    if params.residual:
        shortcut = _convolution(params, entered, level, 1, stride, f"{name}_shortcut")
        features = keras.layers.Add(name=f"{name}_sum")([features, shortcut])
    return keras.layers.LeakyReLU(LEAK, name=f"{name}_relu_2")(features)


def _convolution(params, features, level, size, stride, name):
    """A convolution without bias: the normalisation after it would take it away again."""
    layer = getattr(keras.layers, f"Conv{params.dimensions}D")
    return layer(
        params.filters_at(level),
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(features)


def _normalization(params, level, name):
    if params.normalization == "batch":
        return keras.layers.BatchNormalization(epsilon=EPSILON, momentum=0.9, name=name)
    groups = (
        -1 if params.normalization == "instance" else math.gcd(GROUPS, params.filters_at(level))
    )
    return keras.layers.GroupNormalization(groups=groups, epsilon=EPSILON, name=name)


def _head(params, features, outputs, level):
    """Logits in float32: bfloat16 keeps too few digits to order probabilities."""
    layer = getattr(keras.layers, f"Conv{params.dimensions}D")
    return layer(outputs, 1, dtype="float32", name=f"logits_{level}")(features)
