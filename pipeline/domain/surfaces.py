"""How far apart, in millimetres, the surfaces of two masks lie."""

from math import nan

import numpy as np
from scipy.spatial import cKDTree

from pipeline.domain.bounding_box import bounding_box

HD95_DEFINITION = (
    "HD95: the larger of the two directed 95th percentiles (linear interpolation) of the distances in mm between the "
    "centres of surface voxels; a surface voxel has one of its 6 face neighbours outside the mask, and beyond the image "
    "border is outside."
)


def surface(mask: np.ndarray) -> np.ndarray:
    """Mark the voxels of a mask that one erosion by the 6-neighbour cross removes.

    What lies beyond the image border counts as outside, so a mask voxel at the border is on the surface. An axis of
    length 1 is no axis: in an image of one slice the surface is the outline in the plane.

    Parameters
    ----------
    mask : (X, Y, Z) bool array

    Returns
    -------
    (X, Y, Z) bool array
        A subset of the mask.
    """
    interior = mask.copy()
    for axis, length in enumerate(mask.shape):
        if length > 1:
            inner, outer = np.moveaxis(interior, axis, 0), np.moveaxis(mask, axis, 0)
            inner[1:] &= outer[:-1]
            inner[:-1] &= outer[1:]
            inner[[0, -1]] = False
    return mask & ~interior


def surface_distances_mm(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Measure from each surface voxel of one mask to the nearest surface voxel of the other.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid; neither empty.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.

    Returns
    -------
    reference_to_prediction_mm : (N,) float64 array
        One distance per surface voxel of the reference, in no order.
    prediction_to_reference_mm : (M,) float64 array
        One distance per surface voxel of the prediction.

    Raises
    ------
    ValueError
        If the shapes differ or a mask is empty.
    """
    if reference.shape != prediction.shape or not reference.any() or not prediction.any():
        raise ValueError(
            f"two masks on one grid, neither empty, are needed; got shapes {reference.shape} and {prediction.shape} "
            f"with {np.count_nonzero(reference)} and {np.count_nonzero(prediction)} voxels"
        )
    # A margin of one voxel keeps the border rule: only what touches the image border touches the border of the crop.
    box = bounding_box(reference | prediction, margin_voxels=1)
    one, other = surface(reference[box]), surface(prediction[box])
    return _directed_mm(one, other, spacing_mm), _directed_mm(other, one, spacing_mm)


def hd95_mm(reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Robust Hausdorff distance as `HD95_DEFINITION` says it.

    Definitions differ: MONAI's ``compute_hausdorff_distance(percentile=95)`` takes the maximum of the directed
    percentiles as here; MedPy's ``hd95`` pools both directions before taking one percentile; DeepMind's
    surface-distance weighs surface elements by area. Huttenlocher et al., "Comparing images using the Hausdorff
    distance", IEEE TPAMI 15(9) (1993), defines the directed distance and its ranked (partial) form.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.

    Returns
    -------
    float
        Distance in mm, 0 or more; NaN if a mask is empty.
    """
    if not reference.any() or not prediction.any():
        return nan
    return max(float(np.percentile(directed, 95)) for directed in surface_distances_mm(reference, prediction, spacing_mm))


def _directed_mm(start: np.ndarray, goal: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    distances = np.zeros(np.count_nonzero(start))
    apart = np.argwhere(start & ~goal) * spacing_mm  # where surfaces coincide the distance is 0 without a search
    if len(apart):
        tree = cKDTree(np.argwhere(goal) * spacing_mm, compact_nodes=False, balanced_tree=False)
        distances[: len(apart)] = tree.query(apart)[0]
    return distances
