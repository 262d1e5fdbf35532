"""Smooth random fields of known variance, for phantoms."""

import numpy as np

from ..core.separable import along_axes, bspline

VARIANCE_PER_AXIS = 0.479
"""Mean over positions of the sum of squared cubic B-spline weights."""


def normal_field(
    rng: np.random.Generator, shape: tuple[int, int, int], scale_voxels: float
) -> np.ndarray:
    """Draw a smooth random field, (X, Y, Z) float32, close to standard normal at every voxel over
    draws; `scale_voxels`, the distance of the knots of its cubic B-spline, is about the size of a
    bump.
    """
    operators = tuple(bspline(length, scale_voxels) for length in shape)
    knots = rng.standard_normal([operator.shape[1] for operator in operators], dtype=np.float32)
    return along_axes(knots * np.float32(VARIANCE_PER_AXIS**-1.5), operators)
