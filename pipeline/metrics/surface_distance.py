"""How far apart, in millimetres, the surfaces of two masks lie."""

from math import nan

import numpy as np

from .surface_elements import (
    ROUNDING_MM,
    SURFACE_DICE_DEFINITION,
    crops,
    nearest_mm,
    surface_dice,
    surfels_between,
)

TOLERANCES_MM = (1, 2, 3)
DISTANCES = ("hd_mm", "hd95_mm", "assd_mm", *(f"nsd_{tolerance}mm" for tolerance in TOLERANCES_MM))

HD95_DEFINITION = (
    "HD95: the larger of the two directed 95th percentiles (linear interpolation) of the distances"
    " in mm between the centres of surface voxels; a surface voxel has one of its 6 face neighbours"
    " outside the mask, and beyond the image border is outside."
)
DEFINITIONS = {
    "hd_mm": (
        "Hausdorff distance: the largest distance in mm from the centre of a surface voxel of one"
        " mask to the nearest of the other, in either direction; surface voxels as for HD95."
    ),
    "hd95_mm": HD95_DEFINITION,
    "assd_mm": (
        "ASSD: the mean distance in mm from the centres of all surface voxels of both masks to the"
        " nearest of the other mask, every voxel counting once (not the mean of the two directed"
        " means); surface voxels as for HD95."
    ),
    **{
        f"nsd_{tolerance}mm": f"{SURFACE_DICE_DEFINITION} Here the tolerance is {tolerance} mm."
        for tolerance in TOLERANCES_MM
    },
}
"""What each of `DISTANCES` is, for reports."""


def surface(mask: np.ndarray) -> np.ndarray:
    """Mark the voxels of a mask that one erosion by the 6-neighbour cross removes.

    What lies beyond the image border counts as outside, so a mask voxel at the border is on the
    surface. An axis of length 1 is no axis: in an image of one slice the surface is the outline in
    the plane.

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
            f"two masks on one grid, neither empty, are needed; got shapes {reference.shape} and"
            f" {prediction.shape} with {np.count_nonzero(reference)} and"
            f" {np.count_nonzero(prediction)} voxels"
        )
    one, other, steps_mm = crops(reference, prediction, spacing_mm)
    return nearest_mm(surface(one), surface(other), steps_mm)


def hd95_mm(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
) -> float:
    """Robust Hausdorff distance as `HD95_DEFINITION` says it.

    Definitions differ: MONAI's ``compute_hausdorff_distance(percentile=95)`` takes the maximum of
    the directed percentiles as here; MedPy's ``hd95`` pools both directions before taking one
    percentile; DeepMind's surface-distance weighs surface elements by area. Huttenlocher et al.,
    "Comparing images using the Hausdorff distance", IEEE TPAMI 15(9) (1993), defines the directed
    distance and its ranked (partial) form.

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
    one, other, steps_mm = crops(reference, prediction, spacing_mm)
    if not one.any() or not other.any():
        return nan
    return _percentile_mm(nearest_mm(surface(one), surface(other), steps_mm), 95)


def distances(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
) -> dict[str, float]:
    """Measure all of `DISTANCES` at once, as `DEFINITIONS` says them.

    Sources: Huttenlocher et al. 1993 for the Hausdorff distance; Heimann et al., "Comparison and
    evaluation of methods for liver segmentation from CT datasets", IEEE TMI 28(8) (2009), for ASSD,
    which equals MONAI's ``compute_average_surface_distance(symmetric=True)`` and MedPy's ``assd``
    (but not that of MedPy 0.4, which averages the two directed means); Nikolov et al., J Med
    Internet Res 23(7) (2021), for the normalised surface Dice.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid. Crops give the same as whole images as long as they hold both masks and
        are thicker than one voxel wherever the image is.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.

    Returns
    -------
    dict of str to float
        Distances in mm, 0 or more, NaN if a mask is empty; ``nsd_*`` in [0, 1], 0 if one mask is
        empty, NaN if both are.

    Raises
    ------
    ValueError
        If the shapes differ, fewer than two axes are longer than 1, or a spacing is not a positive
        number.
    """
    one, other, steps_mm = crops(reference, prediction, spacing_mm)
    surfels = surfels_between(one, other, steps_mm, max(TOLERANCES_MM) + ROUNDING_MM)
    readings = dict.fromkeys(DISTANCES, nan)
    readings |= {
        f"nsd_{tolerance}mm": surface_dice(surfels, tolerance) for tolerance in TOLERANCES_MM
    }
    if one.any() and other.any():
        directed = nearest_mm(surface(one), surface(other), steps_mm)
        readings["hd_mm"] = float(max(lengths.max() for lengths in directed))
        readings["hd95_mm"] = _percentile_mm(directed, 95)
        readings["assd_mm"] = float(
            sum(lengths.sum() for lengths in directed) / sum(map(len, directed))
        )
    return readings


def _percentile_mm(directed: tuple[np.ndarray, np.ndarray], percent: float) -> float:
    return max(float(np.percentile(lengths, percent)) for lengths in directed)
