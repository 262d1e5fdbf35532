"""Blur and lower resolution of one modality inside the brain."""

import numpy as np
from scipy.sparse import csr_array

from ..core import separable


def soften(
    values: np.ndarray,
    brain: np.ndarray,
    spacing_mm: tuple[float, ...],
    blur_mm: float,
    coarsening: float,
) -> np.ndarray:
    """Blur, then lower the resolution, inside the brain only.

    Sums over the neighbourhood are divided by the brain's share of it (normalised convolution,
    Knutsson and Westin, CVPR 1993), so that the zeros outside do not leak into the cortex.

    Parameters
    ----------
    values : (N,) float32 array
        Intensities of the brain's voxels.
    brain : (X, Y, Z) bool array
        True at the N voxels.
    spacing_mm : tuple of float
        Voxel edge lengths.
    blur_mm : float
        Standard deviation of the Gaussian; 0 for none.
    coarsening : float
        Edge of a coarse voxel in voxels, at least 1; 1 for none.

    Returns
    -------
    (N,) float32 array
    """
    operators = tuple(
        _softening(size, blur_mm / edge, coarsening)
        for size, edge in zip(brain.shape, spacing_mm, strict=True)
    )
    volume = np.zeros(brain.shape, np.float32)
    volume[brain] = values
    weight = separable.along_axes(brain.astype(np.float32), operators)
    return separable.along_axes(volume, operators)[brain] / weight[brain]


def _softening(size: int, sigma: float, coarsening: float) -> csr_array:
    """Blur and coarsening of one axis as one matrix."""
    cells = separable.coarsening(size, coarsening)
    return cells @ separable.gaussian(size, sigma) if sigma > 0 else cells
