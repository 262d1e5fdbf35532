"""Transposed convolution whose kernel is as large as its stride, as one matrix product.

XLA compiles Keras's as a dilated convolution, for which cuDNN has no fast kernel: in a 3D U-Net it
took 527 of 571 ms of a training step on an H100, and this layer 0.7 (docs/benchmarks.md).
"""

import math

import numpy as np

from ..backend import keras

ops = keras.ops


class DepthToSpace(keras.layers.Layer):
    """Each voxel becomes a block of `strides` voxels of `filters` channels, without bias.

    It computes what Keras's transposed convolution does with a kernel of the size of the strides
    [1]_, since none of its blocks overlap.

    References
    ----------
    .. [1] Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
       Sub-Pixel Convolutional Neural Network", CVPR 2016, section 3.2.
    """

    def __init__(self, filters: int, strides: tuple[int, ...], **settings):
        super().__init__(**settings)
        self.filters, self.strides = filters, tuple(strides)

    def build(self, shape):
        """Weights (C, product of the strides * filters), the new voxels in C order."""
        size = math.prod(self.strides) * self.filters
        self.kernel = self.add_weight((shape[-1], size), initializer="he_normal", name="kernel")

    def call(self, features):
        """(B, *spatial, C) to (B, *(spatial * strides), filters)."""
        sizes, count = ops.shape(features)[1:-1], len(self.strides)
        blocks = ops.matmul(features, self.kernel)
        blocks = ops.reshape(blocks, (-1, *sizes, *self.strides, self.filters))
        pairs = [axis for number in range(count) for axis in (1 + number, 1 + count + number)]
        grown = [size * stride for size, stride in zip(sizes, self.strides, strict=True)]
        return ops.reshape(
            ops.transpose(blocks, (0, *pairs, 2 * count + 1)), (-1, *grown, self.filters)
        )

    def compute_output_shape(self, shape):
        """Static shape of the output."""
        grown = [
            side and side * stride for side, stride in zip(shape[1:-1], self.strides, strict=True)
        ]
        return (shape[0], *grown, self.filters)


def from_transposed(kernel: np.ndarray) -> np.ndarray:
    """Weights of `DepthToSpace` from those of a transposed convolution, (*strides, filters, C)."""
    return np.ascontiguousarray(np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1))


def to_transposed(kernel: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The inverse of `from_transposed`."""
    return np.ascontiguousarray(np.moveaxis(kernel.reshape(len(kernel), *strides, -1), 0, -1))
