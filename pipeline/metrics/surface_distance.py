"""Distances in mm between the surfaces of two masks."""

from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np

from .metric import Spacing
from .registry import TOLERANCES_MM
from .surface_elements import (
    ROUNDING_MM,
    SurfelDistances,
    crops,
    nearest_mm,
    surface_dice,
    surfels_between,
)


@dataclass(frozen=True)
class SurfaceDistances:
    """Surfaces of two masks; their distances are measured once and read as several metrics.

    Definitions differ: MONAI's ``compute_hausdorff_distance(percentile=95)`` takes the maximum of
    the directed percentiles as here; MedPy's ``hd95`` pools both directions before taking one
    percentile; DeepMind's surface-distance weights surface elements by area. Sources: Huttenlocher
    et al., "Comparing images using the Hausdorff distance", IEEE TPAMI 15(9) (1993), for the
    directed distance and its ranked form; Heimann et al., "Comparison and evaluation of methods for
    liver segmentation from CT datasets", IEEE TMI 28(8) (2009), for ASSD, which equals MONAI's
    ``compute_average_surface_distance(symmetric=True)`` and MedPy's ``assd`` (but not that of MedPy
    0.4, which averages the two directed means); Nikolov et al., J Med Internet Res 23(7) (2021),
    for the normalised surface Dice.

    Attributes
    ----------
    one, other : bool array
        Reference and prediction as `crops` gives them.
    steps_mm : tuple of float
        Voxel edge lengths along their axes.
    """

    one: np.ndarray
    other: np.ndarray
    steps_mm: tuple[float, ...]

    @classmethod
    def of(
        cls, reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing
    ) -> "SurfaceDistances":
        """Prepare two masks.

        Parameters
        ----------
        reference, prediction : (X, Y, Z) bool array
            On the same grid. Crops give the same as whole images as long as they hold both masks
            and are thicker than one voxel wherever the image is.
        spacing_mm : tuple of 3 float
            Voxel edge lengths in mm.

        Raises
        ------
        ValueError
            If the shapes differ, no axis is longer than 1, or a spacing is not a positive number.
        """
        return cls(*crops(reference, prediction, spacing_mm))

    @cached_property
    def directed_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """From each surface voxel of one mask to the nearest of the other, and back; float64."""
        return nearest_mm(surface(self.one), surface(self.other), self.steps_mm)

    @cached_property
    def surfels(self) -> SurfelDistances:
        """Surface elements, with distances up to the largest tolerance."""
        reach_mm = max(TOLERANCES_MM) + ROUNDING_MM
        return surfels_between(self.one, self.other, self.steps_mm, reach_mm)

    @cached_property
    def _defined(self) -> bool:
        return bool(self.one.any() and self.other.any())

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance in mm; NaN if a mask is empty."""
        return float(max(mm.max() for mm in self.directed_mm)) if self._defined else nan

    @property
    def hd95_mm(self) -> float:
        """The larger directed 95th percentile in mm; NaN if a mask is empty."""
        if not self._defined:
            return nan
        return max(float(np.percentile(mm, 95)) for mm in self.directed_mm)

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance in mm; NaN if a mask is empty."""
        if not self._defined:
            return nan
        return float(sum(mm.sum() for mm in self.directed_mm) / sum(map(len, self.directed_mm)))

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice at a tolerance of at most the largest of `TOLERANCES_MM`, in
        [0, 1]; 0 if one mask is empty, NaN if both are.
        """
        return surface_dice(self.surfels, tolerance_mm)


def surface(mask: np.ndarray) -> np.ndarray:
    """Mark the voxels of a mask that one erosion by the 6-neighbour cross removes.

    Beyond the image border is outside, so a mask voxel at the border is on the surface. Singleton
    axes are ignored: in an image of one slice the surface is the outline in the plane.

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
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing
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
