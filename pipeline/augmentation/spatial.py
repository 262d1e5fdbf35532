"""Rotation, scaling and elastic displacement, in one resampling."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from pydantic import model_validator

from ..core import separable
from ..core.rng import generator
from .transform import AmountSpan, Drawn, FactorSpan, Length, Sample, Sometimes, Span, Transform


class Rotation(Sometimes):
    """Angles about the three axes, by the right-hand rule, drawn one by one."""

    degrees: Span


class Scaling(Sometimes):
    """Enlargement about the middle of the grid."""

    factors: FactorSpan


class Elastic(Sometimes):
    """Smooth displacement: its largest size along an axis, and the distance of its knots."""

    largest_mm: AmountSpan
    knots_mm: Length

    @model_validator(mode="after")
    def _does_not_fold(self) -> Self:
        if self.largest_mm[1] > self.knots_mm / 3:
            raise ValueError(
                "largest_mm must not exceed a third of knots_mm, or space folds, got"
                f" {self.largest_mm[1]} and {self.knots_mm}"
            )
        return self


class Spatial(Transform):
    """Rotation about x, then y, then z, then scaling, then displacement."""

    rotation: Rotation
    scaling: Scaling
    elastic: Elastic

    def draw(
        self, rng: np.random.Generator, shape: Sequence[int], modalities: Sequence[str]
    ) -> Drawn:
        """Angles, 0 for none, scale, 1 for none, largest displacement, 0 for none.

        A single slice turns in its plane only.
        """
        acts, *places = rng.random(4)
        low, high = self.rotation.degrees
        degrees = {
            f"{axis}_degrees": float(low + (high - low) * place)
            if acts < self.rotation.probability and (axis == "z" or shape[2] > 1)
            else 0.0
            for axis, place in zip("xyz", places, strict=True)
        }
        scale = self.scaling.factor(rng, self.scaling.factors)
        elastic_mm = self.elastic.amount(rng, self.elastic.largest_mm)
        return degrees | {"scale": scale, "elastic_mm": elastic_mm}

    def apply(self, sample: Sample, drawn: Drawn, seed: int) -> Sample:
        """Resample once; without any of the three the arrays are left as they are."""
        x, y, z, scale, elastic_mm = drawn.values()
        if not any((x, y, z)) and scale == 1 and not elastic_mm:
            return sample
        spacing = np.array(sample.spacing_mm)
        inverse = rotation((x, y, z)).T / scale  # from a place to its source, in mm
        field = None
        if elastic_mm:
            rng, knots_mm = generator(seed, "elastic"), self.elastic.knots_mm
            shape = sample.brain.shape
            field = displacement(rng, shape, sample.spacing_mm, elastic_mm, knots_mm)
        in_voxels = inverse * spacing / spacing[:, None]
        image, brain, classes = warp(sample.image, sample.brain, sample.classes, in_voxels, field)
        return replace(sample, image=image, brain=brain, classes=classes)


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    """Rotation about x, then y, then z, each by the right-hand rule; (3, 3) float64."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[second, first], turn[first, second] = np.sin(angle), -np.sin(angle)
        matrix = turn @ matrix
    return matrix


def displacement(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    largest_mm: float,
    knots_mm: float,
) -> np.ndarray:
    """A smooth random displacement of every voxel.

    Parameters
    ----------
    rng, shape, spacing_mm
        Of the knots, and of the volume (X, Y, Z).
    largest_mm : float
        Largest displacement along any axis. A third of `knots_mm` or less does not fold space.
    knots_mm : float
        Distance between the knots of the cubic B-spline.

    Returns
    -------
    (3, X, Y, Z) float32 array
        In voxels along x, y, z; 0 along an axis of one voxel.
    """
    field = np.zeros((3, *shape), np.float32)
    for axis, (size, edge) in enumerate(zip(shape, spacing_mm, strict=True)):
        if size > 1:
            field[axis] = separable.smooth_field(rng, shape, spacing_mm, knots_mm) * np.float32(
                largest_mm / edge
            )
    return field


def warp(
    image: np.ndarray,
    brain: np.ndarray,
    classes: np.ndarray,
    matrix: np.ndarray,
    field: np.ndarray | None,
    shape: tuple[int, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Resample: each voxel takes what lies where the matrix, and then the field, point.

    The image is interpolated linearly between brain voxels alone, so that the zeros outside do not
    dim its border; brain and classes come from the nearest voxel, which keeps volumes unbiased
    where structures are a voxel thin (a vote of the eight neighbours eats them).
    One plane at a time, since what stays in the processor's cache is several times as fast.

    Parameters
    ----------
    image, brain, classes
        As in `Sample`.
    matrix : (3, 3) float64 array
        From a voxel's offset from the middle of the result to the offset from the middle of the
        grid that it takes its value from, in voxels.
    field : (3, *shape) float32 array or None
        Added to that place, in voxels.
    shape : (3,) ints, optional
        Of the result; that of the grid if not given.

    Returns
    -------
    image, brain, classes
        0 where the place lies outside the grid, and the image outside the brain.
    """
    grid, shape = brain.shape, shape or brain.shape
    middle = (np.array(grid) - 1) / 2
    offsets = [np.arange(size) - (size - 1) / 2 for size in shape]
    x_axis, y_axis, z_axis = matrix.T[..., None, None]
    in_plane = y_axis * offsets[1][:, None] + z_axis * offsets[2] + middle[:, None, None]
    in_plane = in_plane.astype(np.float32)  # (3, Y, Z)
    source, flat_brain, flat_classes = _padded(image, brain), brain.reshape(-1), classes.reshape(-1)
    planes = shape[0], shape[1] * shape[2]
    moved_image = np.zeros((*planes, image.shape[-1]), np.float32)
    moved_brain, moved_classes = np.zeros(planes, bool), np.zeros(planes, np.uint8)
    for x, offset in enumerate(offsets[0]):
        place = in_plane + (x_axis * offset).astype(np.float32)
        if field is not None:
            place += field[:, x]
        place = place.reshape(3, -1)
        kept, nearest = _nearest(place, grid)
        moved_classes[x, kept] = flat_classes.take(nearest)
        inside = kept[flat_brain.take(nearest)]
        moved_brain[x, inside] = True
        moved_image[x, inside] = _linear(source, place[:, inside], grid)
    return (
        moved_image.reshape(*shape, -1),
        moved_brain.reshape(shape),
        moved_classes.reshape(shape),
    )


def _padded(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(X+1, Y+1, Z+1, C+1): the brain as last channel, and a rim of zeros so that every voxel has
    an upper neighbour.
    """
    source = np.zeros((*(size + 1 for size in brain.shape), image.shape[-1] + 1), np.float32)
    source[:-1, :-1, :-1, :-1] = image
    source[:-1, :-1, :-1, -1] = brain
    return source


def _nearest(place: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Indices into the plane of the places (3, M) within the grid, and the flat index of the voxel
    nearest to each.
    """
    voxel = np.rint(place).astype(np.int32)
    within = np.ones(place.shape[1], bool)
    for index, size in zip(voxel, shape, strict=True):
        within &= (index >= 0) & (index < size)
    kept = np.flatnonzero(within)
    x, y, z = voxel[:, kept]
    return kept, (x * shape[1] + y) * shape[2] + z


def _linear(source: np.ndarray, place: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Mean (M, C) of the up to eight brain voxels around each place (3, M), by their linear
    weights.
    """
    place = np.clip(place, 0, np.array(shape, np.float32)[:, None] - 1)
    corner = place.astype(np.int32)
    upper = place - corner
    weights = (1 - upper, upper)
    strides = source.shape[1] * source.shape[2], source.shape[2], 1
    first = corner[0] * strides[0] + corner[1] * strides[1] + corner[2]
    rows = source.reshape(-1, source.shape[-1])
    total = np.zeros((place.shape[1], source.shape[-1]), np.float32)
    for a, b, c in np.ndindex(2, 2, 2):
        neighbour = rows.take(first + (a * strides[0] + b * strides[1] + c), axis=0)
        neighbour *= (weights[a][0] * weights[b][1] * weights[c][2])[:, None]
        total += neighbour
    return total[:, :-1] / total[:, -1:]
