"""The inverse of preprocessing: from the network's output to the grid of the raw case."""

import numpy as np

from ..core.grid import to_canonical
from .preprocessing import Geometry
from .resample import resample_linear


def restore(probabilities: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Bring the network's output back to the raw grid.

    Parameters
    ----------
    probabilities : (X, Y, Z, R) float32 array
        On the prepared grid.
    geometry : Geometry

    Returns
    -------
    (X, Y, Z, R) float32 array
        On the raw axes and shape, linearly interpolated; 0 outside the crop.

    Raises
    ------
    ValueError
        If the shape is not that of the prepared image.
    """
    if probabilities.shape[:3] != geometry.shape:
        raise ValueError(
            f"expected the prepared shape {geometry.shape}, got {probabilities.shape[:3]}"
        )
    affine = np.array(geometry.raw_affine)
    x, y, z = (stop - start for start, stop in geometry.box)
    inside = tuple(slice(*edges) for edges in geometry.box)
    raw = np.zeros((*geometry.raw_shape, probabilities.shape[-1]), np.float32, order="F")
    canonical = to_canonical(raw, affine)  # a view: writing to it fills the raw array
    for channel in range(probabilities.shape[-1]):
        voxels = probabilities[..., channel]
        voxels = resample_linear(voxels, (x, y, z)) if geometry.shape != (x, y, z) else voxels
        canonical[..., channel][inside] = voxels
    return raw
