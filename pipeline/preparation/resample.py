"""Resampling onto a grid of another shape over the same extent: the outer faces of both grids
coincide.
"""

import numpy as np
from scipy.sparse import csr_array

from ..core.separable import along_axes


def resample_linear(voxels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Interpolate linearly, averaging over the target voxel when it is larger than the source
    voxel.

    Parameters
    ----------
    voxels : (X, Y, Z) array
        Any real dtype.
    shape : tuple of int

    Returns
    -------
    (*shape) float32 array
        Separable: along each axis the kernel is a triangle as wide as the larger of both voxel
        sizes (linear interpolation upwards, anti-aliased downwards), renormalised at the faces.
    """
    operators = (
        csr_array(kernel_matrix(length, target))
        for length, target in zip(voxels.shape, shape, strict=True)
    )
    return along_axes(np.asarray(voxels, np.float32), tuple(operators))


def resample_classes(classes: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Resample class indices (uint8): the class whose linearly resampled mask is largest.

    The smaller index wins a tie. No new class appears.
    """
    winner, share = np.zeros(shape, np.uint8), np.full(shape, -1, np.float32)
    for index in np.unique(classes):
        candidate = resample_linear(classes == index, shape)
        better = candidate > share + 1e-6
        winner[better], share[better] = index, candidate[better]
    return winner


def kernel_matrix(length: int, target: int) -> np.ndarray:
    """Weights (target, length) float32 of a triangle kernel along one axis; rows sum to 1."""
    step = length / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    distance = np.abs(np.arange(length)[None, :] - centres[:, None])
    weights = np.clip(1 - distance / max(step, 1), 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
