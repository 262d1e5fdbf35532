"""The way from a coarser level of the decoder to the next finer one."""

from ..backend import keras
from ..params import NetworkParams
from . import plain


def block(params: NetworkParams, coarse, skip, level: int):
    """Upsample coarse features to a level, join those that its encoder made, and convolve both.

    The transposed convolution's kernel is as large as its stride, so that its blocks do not
    overlap.
    """
    name, strides = f"decoder_{level}", params.strides_at(level + 1)
    transposed = getattr(keras.layers, f"Conv{params.dimensions}DTranspose")
    up = transposed(
        params.filters_at(level),
        strides,
        strides=strides,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_up",
    )(coarse)
    features = keras.layers.Concatenate(name=f"{name}_join")([up, skip])
    return plain.block(params, features, level, params.ones, name, params.decoder_convolutions)
