"""Distances in mm between the surfaces of two masks: Hausdorff distance, HD95, mean surface
distance, normalised surface Dice.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf, nan

import numpy as np

from ..core.boxes import bounding_box
from .metric import Spacing
from .nearest_points import nearest_mm
from .surface_elements import surface_elements

ROUNDING_MM = 1e-6
"""A distance beyond the tolerance by less than this is within it: voxel edges of 1 mm read from a
file's 32-bit affine may be 1.0000001.
"""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Surfaces of two masks; their distances are measured once and read as several metrics.

    Surface voxels (`surface`) count once each, surface elements
    (`pipeline.metrics.surface_elements`) by their areas. Each metric is NaN where a mask is empty,
    but that surface Dice of a single empty mask is 0. MedPy's ``hd95`` pools both directions before
    taking one percentile (`pooled_hd95_mm`), and MedPy 0.4 averages the two directed means as
    ``assd``.

    Attributes
    ----------
    one, other : bool array
        Reference and prediction, cropped to their common bounding box, padded by a voxel, without
        singleton axes.
    steps_mm : tuple of float
        Voxel edge lengths along their axes.
    at_most_mm : float
        Surface elements farther away than this may get an infinite distance, which takes less time.
        Surface Dice needs as much as its tolerance and `ROUNDING_MM`, the robust Hausdorff distance
        no bound.
    """

    one: np.ndarray
    other: np.ndarray
    steps_mm: tuple[float, ...]
    at_most_mm: float

    @classmethod
    def of(
        cls,
        reference: np.ndarray,
        prediction: np.ndarray,
        spacing_mm: Spacing,
        at_most_mm: float = inf,
    ) -> "SurfaceDistances":
        """Prepare two masks.

        Parameters
        ----------
        reference, prediction : (X, Y, Z) bool array
            On the same grid. Crops give the same as whole images as long as they hold both masks
            and are thicker than one voxel wherever the image is.
        spacing_mm : tuple of 3 float
            Voxel edge lengths.

        Raises
        ------
        ValueError
            If the shapes differ, no axis is longer than 1, or a spacing is not a positive number.
        """
        if reference.shape != prediction.shape or max(reference.shape) == 1:
            raise ValueError(
                "two masks on one grid of several voxels are needed; got shapes"
                f" {reference.shape} and {prediction.shape}"
            )
        if not all(0 < step < inf for step in spacing_mm):
            raise ValueError(
                f"voxel edges are positive lengths in mm; got spacing {tuple(spacing_mm)}"
            )
        box = bounding_box(reference | prediction)
        flat = tuple(axis for axis, length in enumerate(reference.shape) if length == 1)
        one, other = (
            np.pad(np.ascontiguousarray(mask[box].any(axis=flat)), 1)
            for mask in (reference, prediction)
        )
        steps_mm = tuple(float(step) for axis, step in enumerate(spacing_mm) if axis not in flat)
        return cls(one, other, steps_mm, at_most_mm)

    @cached_property
    def directed_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """From each surface voxel of one mask to the nearest of the other, and back; float64."""
        return nearest_mm(surface(self.one), surface(self.other), self.steps_mm)

    @cached_property
    def elements(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Of the reference's surface elements the distances to the nearest of the prediction and
        the areas in mm2 (lengths in mm in a slice), then the other way round; (N,) float64 each.
        """
        one, areas_of_one = surface_elements(self.one, self.steps_mm)
        other, areas_of_other = surface_elements(self.other, self.steps_mm)
        to_other_mm, to_one_mm = nearest_mm(one, other, self.steps_mm, self.at_most_mm)
        return (to_other_mm, areas_of_one), (to_one_mm, areas_of_other)

    @cached_property
    def _defined(self) -> bool:
        return bool(self.one.any() and self.other.any())

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance between surface voxels: Huttenlocher et al., "Comparing images using
        the Hausdorff distance", IEEE TPAMI 15(9) (1993).
        """
        return float(max(mm.max() for mm in self.directed_mm)) if self._defined else nan

    @property
    def hd95_mm(self) -> float:
        """The larger directed 95th percentile between surface voxels, interpolated linearly; equals
        MONAI's ``compute_hausdorff_distance(percentile=95)``.
        """
        if not self._defined:
            return nan
        return max(float(np.percentile(mm, 95)) for mm in self.directed_mm)

    @property
    def pooled_hd95_mm(self) -> float:
        """The 95th percentile of both directions together, interpolated linearly, as MedPy and
        panoptica compute HD95.
        """
        return float(np.percentile(np.concatenate(self.directed_mm), 95)) if self._defined else nan

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance: Heimann et al., "Comparison and evaluation of methods
        for liver segmentation from CT datasets", IEEE TMI 28(8) (2009); equals MONAI's
        ``compute_average_surface_distance(symmetric=True)``.
        """
        if not self._defined:
            return nan
        return float(sum(mm.sum() for mm in self.directed_mm) / sum(map(len, self.directed_mm)))

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice, in [0, 1]: the share of both surfaces' area within the tolerance
        of the other; equals ``compute_surface_dice_at_tolerance`` of surface-distance.
        """
        reach_mm = tolerance_mm + ROUNDING_MM
        within = sum(areas[mm <= reach_mm].sum() for mm, areas in self.elements)
        area = sum(areas.sum() for _, areas in self.elements)
        return float(within / area) if area else nan

    def nsd_of_voxels(self, tolerance_mm: float) -> float:
        """Mean of the shares of both masks' surface voxels within the tolerance of the other, as
        nnU-Net computes the normalised surface Dice; neither mask may be empty.
        """
        reach_mm = tolerance_mm + ROUNDING_MM
        return float(np.mean([np.mean(mm <= reach_mm) for mm in self.directed_mm]))

    def robust_hausdorff_mm(self, percent: float = 95) -> float:
        """The larger of the two directed distances within which a share of a surface's area lies.

        It equals ``compute_robust_hausdorff`` of surface-distance, which gives infinity where this
        gives NaN. Where an element reaches the share to the last bit, rounding decides between it
        and the next in both, and on voxels that are not cubes the decisions may differ.
        """
        if not self._defined:
            return nan
        return max(_weighted_percentile(mm, areas, percent) for mm, areas in self.elements)


def _weighted_percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """The first value at which the share is reached, summed in the order of surface-distance so
    that rounding is the same.
    """
    order = np.lexsort((weights, values))
    weights = weights[order]
    place = int(np.searchsorted(np.cumsum(weights) / weights.sum(), percent / 100))
    return float(values[order[min(place, len(values) - 1)]])


def surface(mask: np.ndarray) -> np.ndarray:
    """Mark the voxels of a mask that one erosion by the 6-neighbour cross removes.

    Beyond the image border is outside, so a mask voxel at the border is on the surface. Singleton
    axes are ignored: in an image of one slice the surface is the outline in the plane.
    """
    interior = mask.copy()
    for axis, length in enumerate(mask.shape):
        if length > 1:
            inner, outer = np.moveaxis(interior, axis, 0), np.moveaxis(mask, axis, 0)
            inner[1:] &= outer[:-1]
            inner[:-1] &= outer[1:]
            inner[[0, -1]] = False
    return mask & ~interior
