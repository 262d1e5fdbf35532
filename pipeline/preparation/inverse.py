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
    raw = np.zeros((*geometry.raw_shape, probabilities.shape[-1]), np.float32, order="F")
    crop = _crop_of(raw, geometry)
    for channel in range(probabilities.shape[-1]):
        voxels, shape = probabilities[..., channel], crop.shape[:3]
        crop[..., channel] = voxels if voxels.shape == shape else resample_linear(voxels, shape)
    return raw


def uncropped(classes: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Class indices (uint8) of the crop, on canonical axes at the raw resolution, on the raw axes
    and shape; 0 outside the crop.
    """
    raw = np.zeros(geometry.raw_shape, np.uint8, order="F")
    _crop_of(raw, geometry)[:] = classes
    return raw


def _crop_of(raw: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The crop, on canonical axes, of an array on the raw ones: a view."""
    inside = tuple(slice(*edges) for edges in geometry.box)
    return to_canonical(raw, np.array(geometry.raw_affine))[inside]
