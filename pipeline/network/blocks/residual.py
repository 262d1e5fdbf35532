"""The residual block: two convolutions whose result is added to their input."""

from collections.abc import Sequence

from ..backend import keras
from ..params import NetworkParams
from .convolution import activated, activation, convolution, normalization


def block(params: NetworkParams, features, level: int, strides: Sequence[int], name: str):
    """Build the basic block of a ResNet [1]_ with the shortcut of nnU-Net's residual encoder [2]_:
    means of the voxels that a stride unites, then a convolution of one voxel, with its
    normalisation, where the number of channels changes; the input itself where nothing does. The
    scale of the last normalisation starts at 0, so that an untrained block passes its shortcut on
    and a deep encoder trains from the first step [3]_.

    References
    ----------
    .. [1] He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, figure 5, left.
    .. [2] Isensee et al., "nnU-Net Revisited", MICCAI 2024, section 2.3; the pooled shortcut is
       the "ResNet-D" of He et al., "Bag of Tricks", CVPR 2019, section 4.
    .. [3] Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1.
    """
    shortcut = _shortcut(params, features, level, strides, name)
    features = activated(params, features, level, strides, name, 1)
    kernel = params.kernel_at(level)
    features = convolution(params, features, level, kernel, 1, f"{name}_conv_2")
    features = normalization(params, features, level, f"{name}_norm_2", scale="zeros")
    features = keras.layers.Add(name=f"{name}_sum")([features, shortcut])
    return activation(features, f"{name}_relu_2")


def _shortcut(params, features, level, strides, name):
    if max(strides) > 1:
        layer = getattr(keras.layers, f"AveragePooling{params.dimensions}D")
        features = layer(strides, name=f"{name}_pool")(features)
    if features.shape[-1] == params.filters_at(level):
        return features
    features = convolution(params, features, level, 1, 1, f"{name}_shortcut")
    return normalization(params, features, level, f"{name}_shortcut_norm")
