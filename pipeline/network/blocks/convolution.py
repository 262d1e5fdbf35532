"""Convolution, normalisation, activation: what the blocks are made of."""

import math
from collections.abc import Sequence

from ..backend import keras
from ..params import NetworkParams

LEAK = 0.01
GROUPS = 8
EPSILON = 1e-5


def convolution(
    params: NetworkParams,
    features,
    level: int,
    kernel: int | Sequence[int],
    strides: int | Sequence[int],
    name: str,
):
    """A convolution without bias: the normalisation after it would take it away again."""
    layer = getattr(keras.layers, f"Conv{params.dimensions}D")
    return layer(
        params.filters_at(level),
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(features)


def normalization(params: NetworkParams, features, level: int, name: str, scale: str = "ones"):
    """The normalisation of `params.normalization`, with a scale, initially `scale`, and an offset
    per channel.
    """
    settings = {"epsilon": EPSILON, "gamma_initializer": scale, "name": name}
    if params.normalization == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, **settings)(features)
    groups = (
        -1 if params.normalization == "instance" else math.gcd(GROUPS, params.filters_at(level))
    )
    return keras.layers.GroupNormalization(groups=groups, **settings)(features)


def activation(features, name: str):
    """A leaky rectifier."""
    return keras.layers.LeakyReLU(LEAK, name=name)(features)


def activated(
    params: NetworkParams, features, level: int, strides: Sequence[int], name: str, number: int = 1
):
    """A convolution with the kernel of a level, its normalisation and its activation."""
    kernel = params.kernel_at(level)
    features = convolution(params, features, level, kernel, strides, f"{name}_conv_{number}")
    features = normalization(params, features, level, f"{name}_norm_{number}")
    return activation(features, f"{name}_relu_{number}")
