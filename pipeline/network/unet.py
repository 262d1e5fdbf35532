"""The U-Net, in two and in three dimensions, from one builder."""

import math

from .architecture import Architecture
from .backend import keras

LEAK = 0.01
GROUPS = 8
EPSILON = 1e-5


def build(architecture: Architecture, channels: int, outputs: int) -> keras.Model:
    """Build an untrained network under the current precision.

    Parameters
    ----------
    architecture : Architecture
    channels : int
        Number of modalities.
    outputs : int
        Number of regions, or of labels with the background.

    Returns
    -------
    keras.Model
        Maps float (B, *spatial, channels) to float32 logits (B, *spatial, outputs); with deep
        supervision to a list of them, from the finest level on, each of half the size before it.
        Each spatial side is a multiple of `architecture.divisor`.
    """
    image = keras.Input((None,) * architecture.dimensions + (channels,), name="image")
    skips = _encode(architecture, image)
    features = skips.pop()
    logits = []
    for level in reversed(range(architecture.depth - 1)):
        features = _decode_level(architecture, features, skips[level], level)
        if level < architecture.supervised_levels:
            logits.insert(0, _head(architecture, features, outputs, level))
    return keras.Model(image, logits if len(logits) > 1 else logits[0], name="unet")


def without_supervision(model: keras.Model) -> keras.Model:
    """Return the network that shares `model`'s weights and gives its finest logits alone."""
    return keras.Model(model.inputs[0], model.outputs[0], name="unet")


def _encode(architecture, features):
    """Outputs of every level, finest first."""
    levels = []
    for level in range(architecture.depth):
        features = _block(
            architecture, features, f"encoder_{level}", level, stride=2 if level else 1
        )
        if level and architecture.dropout:
            dropout = getattr(keras.layers, f"SpatialDropout{architecture.dimensions}D")
            features = dropout(architecture.dropout, name=f"encoder_{level}_dropout")(features)
        levels.append(features)
    return levels


def _decode_level(architecture, coarse, skip, level):
    name = f"decoder_{level}"
    transposed = getattr(keras.layers, f"Conv{architecture.dimensions}DTranspose")
    up = transposed(
        architecture.filters_at(level),
        2,
        strides=2,
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}_up",
    )(coarse)
    features = keras.layers.Concatenate(name=f"{name}_join")([up, skip])
    return _block(architecture, features, name, level, stride=1)


def _block(architecture, features, name, level, stride):
    """Two convolutions, each normalised and activated; the first one may halve the resolution."""
    entered = features
    features = _convolution(architecture, features, level, 3, stride, f"{name}_conv_1")
    features = _normalization(architecture, level, f"{name}_norm_1")(features)
    features = keras.layers.LeakyReLU(LEAK, name=f"{name}_relu_1")(features)
    features = _convolution(architecture, features, level, 3, 1, f"{name}_conv_2")
    features = _normalization(architecture, level, f"{name}_norm_2")(features)
    if architecture.residual:
        shortcut = _convolution(architecture, entered, level, 1, stride, f"{name}_shortcut")
        features = keras.layers.Add(name=f"{name}_sum")([features, shortcut])
    return keras.layers.LeakyReLU(LEAK, name=f"{name}_relu_2")(features)


def _convolution(architecture, features, level, size, stride, name):
    """A convolution without bias: the normalisation after it would take it away again."""
    layer = getattr(keras.layers, f"Conv{architecture.dimensions}D")
    return layer(
        architecture.filters_at(level),
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(features)


def _initializer():
    return keras.initializers.HeNormal()


def _normalization(architecture, level, name):
    if architecture.normalization == "batch":
        return keras.layers.BatchNormalization(epsilon=EPSILON, momentum=0.9, name=name)
    groups = (
        -1
        if architecture.normalization == "instance"
        else math.gcd(GROUPS, architecture.filters_at(level))
    )
    return keras.layers.GroupNormalization(groups=groups, epsilon=EPSILON, name=name)


def _head(architecture, features, outputs, level):
    """Logits in float32: bfloat16 keeps too few digits to order probabilities."""
    layer = getattr(keras.layers, f"Conv{architecture.dimensions}D")
    return layer(outputs, 1, dtype="float32", name=f"logits_{level}")(features)
