"""Rigid and affine registration by mutual information, reproducible on any number of cores."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.errors import InputError
from ..core.grid import Grid
from .brain_extraction import largest_component

COARSEST_MM = 8.0
FINER = {"rigid": ((4.0, 60, 1.0), (2.0, 30, 0.3)), "affine": ((4.0, 60, 1.0), (2.0, 60, 0.3))}
"""Isotropic sampling in mm, iterations, and the share of the fixed voxels that the metric uses."""
BINS = 32
STARTING_TURN_DEG = 20.0
STARTING_HEIGHTS_MM = (*(0.0, -60.0, -45.0, -30.0), *(-15.0, 15.0, 30.0, 45.0, 60.0))
"""A head's centre of mass depends on how much of the neck is in view."""
LEAST_OVERLAP = 0.4
LEAST_INFORMATION = 0.1
_ROTATION_SCALE = 75.0**2  # a radian moves the brain's surface by about 75 mm
_SEED = 1
_OPTIMIZED = 6  # starts at the coarsest resolution
_Linear = sitk.Euler3DTransform | sitk.AffineTransform


@dataclass(frozen=True, eq=False)
class Sampled:
    """Voxels (X, Y, Z) of any real dtype and their grid."""

    voxels: np.ndarray
    grid: Grid


@dataclass(frozen=True, eq=False)
class Registered:
    """The transform of one volume to the space of another.

    Attributes
    ----------
    matrix : (4, 4) float64 array
        RAS+ millimetres of the moving volume to RAS+ millimetres of the fixed one.
    mutual_information : float
        Of both at that place, in nats, at the finest level.
    overlap : float
        Share of the fixed foreground that lies inside the moving volume, 0 to 1.
    """

    matrix: np.ndarray
    mutual_information: float
    overlap: float


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run ITK on one thread: a filter's setting does not reach the metric, so the default of the
    process is changed and restored.
    """
    default = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(default)


@_one_thread()
def register(
    moving: Sampled,
    fixed: Sampled,
    name: str,
    model: Literal["rigid", "affine"] = "rigid",
    within: np.ndarray | None = None,
) -> Registered:
    """Find the transform that aligns one volume with another.

    Parameters
    ----------
    moving, fixed : Sampled
        Finite and not constant, of any contrast, each on its own grid, with thick or thin slices
        and any axes.
    name : str
        Of the moving volume.
    model : {"rigid", "affine"}
        6 or 12 parameters; an affine starts from the rigid result.
    within : (X, Y, Z) bool array, optional
        Where the metric is computed on the fixed volume; by default its `head`.

    Raises
    ------
    InputError
        If the two do not overlap, or the best transform found aligns no common anatomy.

    Notes
    -----
    Mutual information after Mattes et al., "PET-CT image registration in the chest using free-form
    deformations", IEEE TMI 22 (2003), maximised by regular-step gradient descent on three
    resolutions (Gaussian smoothing to each isotropic spacing, a scale that thick and thin slices
    share). At the coarsest, every combination of ten positions (scanner coordinates, centres of
    mass and above or below) and seven rotations is evaluated. ITK sums the metric in the order in
    which threads end, so it runs on one: the matrix is reproducible.
    """
    foreground = head(fixed) if within is None else within
    best = _started(moving, fixed, foreground, name)
    for spacing_mm, iterations, share in FINER["rigid"]:
        best = _optimized(_Pair(moving, fixed, foreground, spacing_mm), best, iterations, share)
    if model == "affine":
        best = _affine_of(best)
        for spacing_mm, iterations, share in FINER["affine"]:
            best = _optimized(_Pair(moving, fixed, foreground, spacing_mm), best, iterations, share)
    matrix = _matrix(best)
    overlap = _overlap(fixed, foreground, moving, matrix)
    information = -_metric(_Pair(moving, fixed, foreground, 4.0), best)
    if overlap < LEAST_OVERLAP or information < LEAST_INFORMATION:
        raise InputError(
            f"{name}: registration found no alignment (overlap {overlap:.2f} of the foreground,"
            f" expected at least {LEAST_OVERLAP}; mutual information {information:.3f} nats,"
            f" expected at least {LEAST_INFORMATION}). Check that the series shows the same head as"
            " the others, covers the brain and has a correct affine; or register it by another"
            " tool and skip this step."
        )
    return Registered(np.linalg.inv(matrix), information, overlap)


def resample(
    source: Sampled,
    target: Grid,
    matrix: np.ndarray,
    interpolation: Literal["nearest", "linear", "bspline"],
) -> np.ndarray:
    """Resample a volume onto another grid through a transform.

    Parameters
    ----------
    source : Sampled
    target : Grid
    matrix : (4, 4) array
        RAS+ millimetres of the source to those of the target.
    interpolation : {"nearest", "linear", "bspline"}
        The last is cubic; it overshoots at sharp edges.

    Returns
    -------
    (*target.shape) array
        float32, or the source's dtype under "nearest"; 0 outside the source.
    """
    kinds = {
        "nearest": sitk.sitkNearestNeighbor,
        "linear": sitk.sitkLinear,
        "bspline": sitk.sitkBSpline,
    }
    dtype = source.voxels.dtype if interpolation == "nearest" else np.dtype(np.float32)
    stored = np.uint8 if np.issubdtype(dtype, np.bool) else dtype
    # target voxel to source voxel: no axis convention enters
    index = np.linalg.inv(matrix @ source.grid.affine) @ target.affine
    image = sitk.GetImageFromArray(np.ascontiguousarray(source.voxels.T, stored))
    transform = sitk.AffineTransform(index[:3, :3].ravel().tolist(), index[:3, 3].tolist())
    sampler = sitk.ResampleImageFilter()
    sampler.SetNumberOfThreads(1)
    sampler.SetSize([int(length) for length in target.shape])
    sampler.SetTransform(transform)
    sampler.SetInterpolator(kinds[interpolation])
    return sitk.GetArrayFromImage(sampler.Execute(image)).T.astype(dtype, copy=False)


def rigid_part(matrix: np.ndarray, centre_mm: np.ndarray) -> np.ndarray:
    """The rigid transform nearest to an affine that maps one point to the same place.

    Parameters
    ----------
    matrix : (4, 4) array
        Between millimetre spaces.
    centre_mm : (3,) array
        The point, in the space that the affine starts from.

    Returns
    -------
    (4, 4) float64 array
        The rotation is the orthogonal polar factor (Higham 1986), the nearest in the Frobenius
        norm.
    """
    left, _, right = np.linalg.svd(matrix[:3, :3])
    rotation = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    rigid = np.eye(4)
    rigid[:3, :3] = rotation
    rigid[:3, 3] = matrix[:3, :3] @ centre_mm + matrix[:3, 3] - rotation @ centre_mm
    return rigid


def centre_of_mass_mm(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """RAS+ millimetres of the centre of a mask; (3,) float64."""
    return (grid.affine @ [*ndimage.center_of_mass(mask), 1])[:3]


def isotropic(grid: Grid, spacing_mm: float) -> Grid:
    """A grid of cubes over the same field of view, on the same axes."""
    x, y, z = (
        max(round(n / (spacing_mm / length)), 1)
        for n, length in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    step = np.array(grid.shape) / (x, y, z)
    to_grid = np.diag([*step, 1.0])
    to_grid[:3, 3] = (step - 1) / 2  # outer faces coincide
    return Grid((x, y, z), grid.affine @ to_grid)


class _Pair:
    """Two volumes at one resolution as SimpleITK images, whose physical space is RAS+ here."""

    def __init__(self, moving: Sampled, fixed: Sampled, foreground: np.ndarray, spacing_mm: float):
        self.spacing_mm = spacing_mm
        self.moving, _ = _smoothed(moving, spacing_mm)
        self.fixed, grid = _smoothed(fixed, spacing_mm)
        mask = (
            resample(Sampled(foreground.astype(np.float32), fixed.grid), grid, np.eye(4), "linear")
            >= 0.25
        )
        self.mask = _image(mask.astype(np.uint8), grid)


def _smoothed(volume: Sampled, spacing_mm: float) -> tuple[sitk.Image, Grid]:
    """A volume on cubes of the spacing, blurred where its own voxels are smaller."""
    voxels = np.asarray(volume.voxels, np.float32)
    low, high = np.percentile(voxels[::2, ::2], (0.5, 99.5))
    sigmas = [
        np.sqrt(max((spacing_mm / length) ** 2 - 1, 0)) / 2.355 for length in volume.grid.spacing_mm
    ]
    grid = isotropic(volume.grid, spacing_mm)
    blurred = Sampled(
        ndimage.gaussian_filter(np.clip(voxels, low, high), sigmas, truncate=3), volume.grid
    )
    return _image(resample(blurred, grid, np.eye(4), "linear"), grid), grid


def _image(voxels: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.affine[:3, 3].tolist())
    image.SetDirection((grid.affine[:3, :3] / grid.spacing_mm).ravel().tolist())
    return image


def head(volume: Sampled) -> np.ndarray:
    """The head in a volume of any contrast with a dark background, (X, Y, Z) bool.

    The largest component above Otsu's threshold (1979) of the log intensities, holes filled.
    """
    bright = np.log1p(np.clip(volume.voxels, 0, None).astype(np.float32))
    image = sitk.GetImageFromArray(np.ascontiguousarray(bright.T))
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetInsideValue(0)
    otsu.SetOutsideValue(1)
    mask = sitk.GetArrayFromImage(otsu.Execute(image)).T.astype(bool)
    return ndimage.binary_fill_holes(largest_component(mask))


def _started(moving: Sampled, fixed: Sampled, foreground: np.ndarray, name: str) -> _Linear:
    """The best transform at the coarsest level: all starts are evaluated, some are optimised."""
    pair = _Pair(moving, fixed, foreground, COARSEST_MM)

    def score(transform: _Linear) -> float:
        # a small overlap may agree well
        return -_metric(pair, transform) * _overlap(fixed, foreground, moving, _matrix(transform))

    starts = [
        start
        for start in _starts(moving, fixed, foreground)
        if _overlap(fixed, foreground, moving, _matrix(start)) >= LEAST_OVERLAP
    ]
    if not starts:
        raise InputError(
            f"{name}: does not overlap with the volume it is registered to. Check its affine and"
            " its field of view."
        )
    promising = sorted(starts, key=score, reverse=True)[:_OPTIMIZED]
    return max((_optimized(pair, start, 60, 1.0) for start in promising), key=score)


def _starts(
    moving: Sampled, fixed: Sampled, foreground: np.ndarray
) -> Iterator[sitk.Euler3DTransform]:
    """Every combination of the positions and rotations."""
    centre = centre_of_mass_mm(foreground, fixed.grid)
    there = centre_of_mass_mm(head(moving), moving.grid)
    shifts = [np.zeros(3), *(there - centre + [0, 0, height] for height in STARTING_HEIGHTS_MM)]
    turns = [
        np.zeros(3),
        *(sign * np.radians(STARTING_TURN_DEG) * axis for axis in np.eye(3) for sign in (-1, 1)),
    ]
    for shift, turn in itertools.product(shifts, turns):
        yield sitk.Euler3DTransform(centre.tolist(), *turn.tolist(), shift.tolist())


def _method(pair: _Pair) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(pair.mask)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _optimized(pair: _Pair, start: _Linear, iterations: int, share: float) -> _Linear:
    method = _method(pair)
    if share < 1:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(share, _SEED)
    turning = len(start.GetParameters()) - 3
    method.SetOptimizerScales([_ROTATION_SCALE] * turning + [1.0] * 3)
    method.SetOptimizerAsRegularStepGradientDescent(
        pair.spacing_mm / 2, pair.spacing_mm / 200, iterations, relaxationFactor=0.6
    )
    found = type(start)(start)
    method.SetInitialTransform(found, inPlace=True)
    try:
        method.Execute(pair.fixed, pair.moving)
    except RuntimeError:  # all samples left the moving volume: other starts will be better
        return start
    return found


def _metric(pair: _Pair, transform: _Linear) -> float:
    method = _method(pair)
    method.SetInitialTransform(transform)
    try:
        return method.MetricEvaluate(pair.fixed, pair.moving)
    except RuntimeError:
        return 0.0


def _affine_of(transform: _Linear) -> sitk.AffineTransform:
    affine = sitk.AffineTransform(3)
    affine.SetCenter(transform.GetCenter())
    affine.SetMatrix(transform.GetMatrix())
    affine.SetTranslation(transform.GetTranslation())
    return affine


def _matrix(transform: _Linear) -> np.ndarray:
    """The 4x4 from fixed to moving millimetres."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return matrix


def _overlap(fixed: Sampled, foreground: np.ndarray, moving: Sampled, matrix: np.ndarray) -> float:
    """Share of the foreground (every fourth voxel in plane) in the moving field of view."""
    points = np.argwhere(foreground[::4, ::4]) * [4, 4, 1]
    index = np.linalg.inv(moving.grid.affine) @ matrix @ fixed.grid.affine
    seen = points @ index[:3, :3].T + index[:3, 3]
    inside = ((seen >= -0.5) & (seen <= np.array(moving.grid.shape) - 0.5)).all(axis=1)
    return float(inside.mean()) if len(points) else 0.0
