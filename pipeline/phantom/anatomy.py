"""Healthy anatomy: a template's tissue maps, and the brain of one person made of them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from .random_fields import normal_field

COARSE_MM, COARSE_SD_MM = 36.0, 3.2
FINE_MM, FINE_SD_MM = 11.0, 0.9
"""Scale and standard deviation of the displacement of lobes and of gyri."""
SCALE, SCALE_SD, STRETCH_SD = 0.89, 0.02, 0.02
TURN_SD_RADIANS, SHIFT_SD_MM = 0.05, 1.5
SINK_MM = 4.0
"""Shift of a brain below the middle: its stem may leave the grid, as in scans; its crown not."""
MARGIN_VOXELS = 4
"""Room around the template's box on the grid that a case is made on."""


@dataclass(frozen=True)
class Anatomy:
    """Tissue maps on one 1 mm grid, RAS+, (X, Y, Z) float32 in [0, 1]; all 0 outside the brain."""

    gray: np.ndarray
    white: np.ndarray
    csf: np.ndarray  # the three sum to 1 inside the brain
    ventricles: np.ndarray  # membership of the lateral ventricles

    @property
    def brain(self) -> np.ndarray:
        """(X, Y, Z) bool array: more tissue or fluid than void."""
        return self.gray + self.white + self.csf > 0.5


def draw_coordinates(
    rng: np.random.Generator, template: Anatomy, shape: tuple[int, int, int]
) -> np.ndarray:
    """Draw where each voxel of a new brain lies in the template, near whose middle its own falls.

    Turn, scale, stretch and shift, then a smooth displacement at two scales (lobes and gyri).

    Returns
    -------
    (3, X, Y, Z) float32 array
        Template voxel coordinates, of the 1 mm grid of the given shape.
    """
    coordinates = np.empty((3, *shape), np.float32)
    for axis in range(3):
        coordinates[axis] = COARSE_SD_MM * normal_field(rng, shape, COARSE_MM)
        coordinates[axis] += FINE_SD_MM * normal_field(rng, shape, FINE_MM)
    size = rng.normal(SCALE, SCALE_SD) * np.exp(rng.normal(0, STRETCH_SD, 3))
    size = np.clip(size, SCALE - 0.05, SCALE + 0.05)
    matrix = Rotation.from_rotvec(rng.normal(0, TURN_SD_RADIANS, 3)).as_matrix() / size
    shift = rng.normal(0, SHIFT_SD_MM, 3)
    middle = (np.array(template.gray.shape) - 1) / 2 + shift + (0, 0, SINK_MM)
    offsets = [np.arange(length) - (length - 1) / 2 for length in shape]
    for axis in range(3):
        for other, offset in enumerate(offsets):
            along = [1, 1, 1]
            along[other] = -1
            coordinates[axis] += (matrix[axis, other] * offset).astype(np.float32).reshape(along)
        coordinates[axis] += np.float32(middle[axis])
    return coordinates


def push(coordinates: np.ndarray, centre: np.ndarray, radius_mm: float, strength: float) -> None:
    """Displace tissue away from a growing mass, in the `coordinates` from `draw_coordinates`.

    Parameters
    ----------
    centre : (3,) int array
        Voxel of the new grid that stays where it is.
    radius_mm : float
        Reach of the push.
    strength : float
        Share of the distance to the centre that tissue there has moved, [0, 1).
    """
    offsets = [
        np.arange(length, dtype=np.float32) - position
        for length, position in zip(coordinates.shape[1:], centre, strict=True)
    ]
    bells = [np.exp(-(offset**2) / np.float32(2 * radius_mm**2)) for offset in offsets]
    bell = np.float32(strength) * bells[0][:, None, None] * bells[1][:, None] * bells[2]
    for axis in range(3):
        coordinates[axis] -= bell * (coordinates[axis] - coordinates[axis][tuple(centre)])


def sample(template: Anatomy, coordinates: np.ndarray) -> Anatomy:
    """The template's maps at the given template coordinates, (3, X, Y, Z), linearly."""
    maps = (template.gray, template.white, template.csf, template.ventricles)
    return Anatomy(
        *(ndimage.map_coordinates(tissue, coordinates, order=1, prefilter=False) for tissue in maps)
    )
