"""Gliomas grown in an anatomy by fronts that spread through tissue up to a given volume."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.boxes import bounding_box
from .anatomy import Anatomy
from .random_fields import normal_field

NECROTIC, EDEMA, ENHANCING = 1, 2, 3
MULTIFOCAL_SHARE = 0.25
CORE_CM3, CORE_LOG_SD, CORE_RANGE_CM3 = 28.0, 0.5, (12.0, 70.0)
EDEMA_CM3, EDEMA_LOG_SD, EDEMA_RANGE_CM3 = 40.0, 0.6, (10.0, 120.0)
SATELLITE_SHARE_OF_CORE = (0.25, 0.45)
RIM_MM = (3.5, 5.5)
SATELLITE_DISTANCE_MM = (26.0, 60.0)
CORE_SPEED = {"gray": 0.7, "white": 1.0, "csf": 0.02}
EDEMA_SPEED = {"gray": 0.12, "white": 1.0, "csf": 0.01}
CORE_ROUGHNESS, EDEMA_ROUGHNESS, RIM_ROUGHNESS = map(np.float32, (0.7, 0.35, 0.4))
"""Log standard deviations: of the fronts' speeds, and of the rim's thickness."""
STEP = 2
"""Fronts run on every second voxel: eight times faster, and smooth between."""
UNREACHED = np.float32(1e4)


@dataclass(frozen=True)
class Tumour:
    """The parameters of a tumour."""

    enhancing: bool  # whether the core has an enhancing rim
    cores_cm3: tuple[float, ...]  # of each focus, the largest first
    edema_cm3: float  # around all of them
    rim_mm: float  # typical thickness

    @property
    def radius_mm(self) -> float:
        """Radius of a ball of the largest core's volume."""
        return float(np.cbrt(3000 * self.cores_cm3[0] / (4 * np.pi)))


@dataclass(frozen=True)
class Lesion:
    """A grown tumour."""

    classes: np.ndarray
    """(X, Y, Z) uint8: 0 none, 1 necrotic or non-enhancing core, 2 edema, 3 enhancing"""
    nearness: np.ndarray
    """(X, Y, Z) float32: 1 in the core, falling to 0 where the edema ends and beyond"""


def draw_tumour(rng: np.random.Generator, enhancing: bool) -> Tumour:
    """Draw volumes, number of foci and rim; one in four is multifocal."""
    core = float(np.clip(rng.lognormal(np.log(CORE_CM3), CORE_LOG_SD), *CORE_RANGE_CM3))
    satellites = int(rng.integers(1, 3)) if rng.random() < MULTIFOCAL_SHARE else 0
    others = (float(core * rng.uniform(*SATELLITE_SHARE_OF_CORE)) for _ in range(satellites))
    cores = (core, *others)
    edema = float(np.clip(rng.lognormal(np.log(EDEMA_CM3), EDEMA_LOG_SD), *EDEMA_RANGE_CM3))
    return Tumour(enhancing, cores, edema, float(rng.uniform(*RIM_MM)))


def draw_seed(rng: np.random.Generator, home: np.ndarray) -> np.ndarray:
    """Draw the first voxel of a tumour, (3,) int, where the (X, Y, Z) bool `home` allows it."""
    return STEP * rng.choice(np.argwhere(_coarse(home)))


def grow(
    rng: np.random.Generator, anatomy: Anatomy, tumour: Tumour, seed: np.ndarray, home: np.ndarray
) -> Lesion:
    """Grow a tumour from a seed.

    Each core is what a front of smoothly varying random speed reaches first, up to the core's
    volume; edema grows likewise from the surface of all cores, fast in white matter and slow in
    gray. Neither enters fluid or leaves the brain.

    Parameters
    ----------
    seed : (3,) int array
        First voxel of the largest core.
    home : (X, Y, Z) bool array
        Where further foci may begin.
    """
    solid = anatomy.brain & (anatomy.csf < 0.5)
    core = np.zeros(solid.shape, bool)
    speed = _speed(rng, anatomy, CORE_SPEED, CORE_ROUGHNESS, 12)
    for focus, volume_cm3 in enumerate(tumour.cores_cm3):
        start = seed if focus == 0 else _draw_satellite(rng, home & ~core, seed)
        arrival = _arrival(speed, start[None] // STEP, solid.shape)
        core |= _first(arrival, solid & ~core, volume_cm3)
    speed = _speed(rng, anatomy, EDEMA_SPEED, EDEMA_ROUGHNESS, 10)
    arrival = _arrival(speed, np.argwhere(_coarse(core)), solid.shape)
    edema = _first(arrival, solid & ~core, tumour.edema_cm3)
    classes = np.where(edema, np.uint8(EDEMA), np.uint8(0))
    classes[core] = NECROTIC
    if tumour.enhancing:
        classes[_rim(rng, core, tumour.rim_mm)] = ENHANCING
    nearness = np.clip(1 - arrival / arrival[edema].max(), 0, 1)
    nearness[core] = 1
    return Lesion(classes, nearness)


def _coarse(fine: np.ndarray) -> np.ndarray:
    """Every second voxel along each axis."""
    return fine[::STEP, ::STEP, ::STEP]


def _speed(
    rng: np.random.Generator,
    anatomy: Anatomy,
    speeds: dict[str, float],
    roughness: np.float32,
    scale_mm: float,
) -> np.ndarray:
    """Speed of a front on the coarse grid; next to none outside the brain."""
    parts = [_coarse(getattr(anatomy, name)) * np.float32(speed) for name, speed in speeds.items()]
    mean = np.add(sum(parts), np.float32(1e-3))
    return mean * np.exp(roughness * normal_field(rng, mean.shape, scale_mm / STEP))


def _arrival(speed: np.ndarray, starts: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """When a front from the start points reaches each voxel of the fine grid (fast marching,
    Sethian 1996).
    """
    march = sitk.FastMarchingImageFilter()
    march.SetTrialPoints([tuple(int(index) for index in point[::-1]) for point in starts])
    coarse = sitk.GetArrayFromImage(march.Execute(sitk.GetImageFromArray(speed)))
    coarse = np.minimum(coarse, UNREACHED).astype(np.float32)
    return ndimage.affine_transform(
        coarse, np.full(3, 1 / STEP), output_shape=shape, order=1, prefilter=False, mode="nearest"
    )


def _first(arrival: np.ndarray, allowed: np.ndarray, volume_cm3: float) -> np.ndarray:
    """The allowed voxels of 1 mm3 that a front reaches first, of the given volume in all."""
    times = arrival[allowed]
    voxels = min(int(1000 * volume_cm3), times.size - 1)
    return allowed & (arrival <= np.partition(times, voxels)[voxels])


def _draw_satellite(rng: np.random.Generator, home: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The first voxel of a further focus, some way from the first."""
    candidates = STEP * np.argwhere(_coarse(home))
    distance = np.linalg.norm(candidates - seed, axis=1)
    return rng.choice(
        candidates[(distance > SATELLITE_DISTANCE_MM[0]) & (distance < SATELLITE_DISTANCE_MM[1])]
    )


def _rim(rng: np.random.Generator, core: np.ndarray, rim_mm: float) -> np.ndarray:
    """The outer layer of a core, of varying thickness."""
    box = bounding_box(core, 1)
    depth = ndimage.distance_transform_edt(core[box])
    thickness = rim_mm * np.exp(RIM_ROUGHNESS * normal_field(rng, depth.shape, 9.0))
    rim = np.zeros_like(core)
    rim[box] = core[box] & (depth <= thickness)
    return rim
