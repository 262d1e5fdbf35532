"""Heads of known contrast and pose."""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from pipeline.core.grid import Grid
from pipeline.registration.mutual_information import Sampled

RAS_2MM = np.array([[2.0, 0, 0, -64], [0, 2, 0, -64], [0, 0, 2, -64], [0, 0, 0, 1]])


def squared_radius() -> np.ndarray:
    """Of every voxel, 1 on the ellipsoid of the brain."""
    places_mm = np.moveaxis(np.indices((64, 64, 64)) * 2.0 - 64, 0, -1)
    return ((places_mm / [46, 56, 40]) ** 2).sum(axis=-1)


def head(contrast: tuple[float, ...]) -> Sampled:
    """An ellipsoid of smooth tissues that no turn maps to itself, in the contrast given to its four
    tissues.
    """
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(64, 64, 64)), 4)
    tissue = np.array(contrast)[np.digitize(noise, [-0.02, 0, 0.02])]
    voxels = np.where(squared_radius() < 1, tissue, 0).astype(np.float32)
    return Sampled(voxels, Grid(voxels.shape, RAS_2MM))


def lps_slices(count: int, thick_mm: float) -> Grid:
    """64 x 64 voxels of 2 mm in thick slices on left-posterior axes."""
    affine = np.diag([-2.0, -2.0, thick_mm, 1.0])
    affine[:3, 3] = (64, 64, -68)
    return Grid((64, 64, count), affine)


def rigid(turn_deg: tuple[float, ...], shift_mm: tuple[float, ...]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def error_mm(found: np.ndarray, true: np.ndarray) -> float:
    points = np.array([[x, y, z, 1.0] for x in (-40, 40) for y in (-40, 40) for z in (-40, 40)]).T
    return float(np.linalg.norm(((found - true) @ points)[:3], axis=0).max())


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
