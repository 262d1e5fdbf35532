"""Blur and lower resolution as `augmentation.resolution`, in `keras.ops`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import keras

ops = keras.ops


def softened(
    image: Any,
    inside: Any,
    blur_mm: Any,
    coarse: Any,
    spacing_mm: Sequence[float],
    largest_mm: float,
) -> Any:
    """Blur, then lower the resolution, inside the brain only.

    Parameters
    ----------
    image : (B, X, Y, Z, C) float32 tensor
    inside : (B, X, Y, Z, 1) float32 tensor
        1 in the brain, else 0.
    blur_mm, coarse : (B, C) float32 tensors
        As `augmentation.resolution.soften` takes them; (0, 1) leaves a modality as it is.
    spacing_mm : (3,) floats
    largest_mm : float
        Of `blur_mm`.
    """

    def whole():
        values, weight = image * inside, ops.broadcast_to(inside, ops.shape(image))
        for axis, edge in enumerate(spacing_mm):
            operator = _operator(image.shape[axis + 1], blur_mm / edge, coarse, largest_mm / edge)
            values, weight = (_along(array, operator, axis) for array in (values, weight))
        acts = ops.logical_or(blur_mm > 0, coarse != 1)[:, None, None, None]
        acts = ops.logical_and(acts, inside > 0)
        return ops.where(acts, values / ops.where(weight > 0, weight, 1.0), image)

    return ops.cond(ops.any(ops.logical_or(blur_mm > 0, coarse != 1)), whole, lambda: image * 1.0)


def _along(volume, operator, axis):
    letters = "xyz"
    there = letters.replace(letters[axis], "i")
    return ops.einsum(f"bci{letters[axis]},b{letters}c->b{there}c", operator, volume)


def _operator(size: int, sigma: Any, factor: Any, largest: float) -> Any:
    """Blur, then coarsening, of one axis: (B, C, size, size) float32; see `core.separable`."""
    sample = np.arange(size, dtype=np.float32)
    sigma, factor = sigma[..., None, None], factor[..., None, None]
    cells = ops.maximum(ops.round(size / factor), 1.0)
    length = size / cells
    overlap = ops.minimum((sample[:, None] + 1) * length, sample + 1)
    overlap = overlap - ops.maximum(sample[:, None] * length, sample)
    average = ops.clip(overlap, 0.0, size) / length  # (cell, voxel)
    place = ops.clip((sample + 0.5)[:, None] / length - 0.5, 0.0, cells - 1)
    interpolate = ops.clip(1 - ops.abs(place - sample), 0.0, 1.0)  # (voxel, cell)
    coarsening = ops.matmul(interpolate, ops.where(sample[:, None] < cells, average, 0.0))
    reach = ops.maximum(ops.floor(4 * sigma + 0.5), 1.0)
    safe = ops.where(sigma > 0, sigma, 1.0)

    def weights(offset):
        return ops.where(ops.abs(offset) <= reach, ops.exp(-0.5 * ops.square(offset / safe)), 0.0)

    furthest = int(4 * largest + 0.5) + 1
    total = ops.sum(
        weights(np.arange(-furthest, furthest + 1, dtype=np.float32)), -1, keepdims=True
    )
    blur = weights(sample - sample[:, None]) / total
    blur = ops.where(sigma > 0, blur, np.eye(size, dtype=np.float32))
    return ops.matmul(coarsening, blur)
