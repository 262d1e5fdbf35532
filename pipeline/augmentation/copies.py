"""Replayable augmentation of a whole case: parameters are drawn first, recorded, then applied."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Self

import numpy as np
from pydantic import model_validator

from ..core.rng import generator
from ..core.separable import smooth_field
from ..core.strict import Strict
from . import intensity, spatial
from .blur import soften
from .mirror import Mirror, flip
from .ranges import (
    AmountSpan,
    Brightness,
    CoarseningSpan,
    Contrast,
    FactorSpan,
    Gamma,
    Length,
    Noise,
    Sometimes,
    Span,
)


class Rotation(Sometimes):
    """Turns about the three axes, drawn one by one, acting together."""

    degrees: Span

    def draw(self, rng: np.random.Generator, slices: int) -> tuple[float, float, float]:
        """Angles about x, y, z, 0 for none; a single slice turns in its plane only."""
        acts, *places = rng.random(4)
        low, high = self.degrees
        x, y, z = (
            float(low + (high - low) * place) if acts < self.probability else 0.0
            for place in places
        )
        return (x, y, z) if slices > 1 else (0.0, 0.0, z)


class Scaling(Sometimes):
    """Enlargement about the middle of the grid."""

    factors: FactorSpan

    def draw(self, rng: np.random.Generator) -> float:
        """The enlargement, 1 for none."""
        return self.factor(rng, self.factors)


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

    def draw(self, rng: np.random.Generator) -> float:
        """The largest displacement, 0 for none."""
        return self.amount(rng, self.largest_mm)


class BiasField(Sometimes):
    """Smooth multiplication: the largest size of its natural logarithm, and the distance of its
    knots.
    """

    largest_log: AmountSpan
    knots_mm: Length

    def draw(self, rng: np.random.Generator) -> float:
        """The largest logarithm, 0 for none."""
        return self.amount(rng, self.largest_log)


class Blur(Sometimes):
    """Gaussian blur."""

    sigma_mm: AmountSpan

    def draw(self, rng: np.random.Generator) -> float:
        """The standard deviation, 0 for none."""
        return self.amount(rng, self.sigma_mm)


class LowResolution(Sometimes):
    """Averages over coarse voxels, interpolated back; the factors are edges of a coarse voxel in
    voxels.
    """

    factors: CoarseningSpan

    def draw(self, rng: np.random.Generator) -> float:
        """The edge of a coarse voxel, 1 for none."""
        return self.factor(rng, self.factors)


class Ranges(Strict):
    """What copies are drawn from. Moves are drawn once per copy, changes of intensity once per
    modality.
    """

    mirror: Mirror
    rotation: Rotation
    scaling: Scaling
    elastic: Elastic
    gamma: Gamma
    bias_field: BiasField
    contrast: Contrast
    brightness: Brightness
    blur: Blur
    low_resolution: LowResolution
    noise: Noise


_Recolouring = Gamma | BiasField | Contrast | Brightness | Blur | LowResolution | Noise


@dataclass(frozen=True)
class Draw:
    """One copy's parameters. With the shard they determine every byte of the copy.

    Attributes
    ----------
    seed : int
        Of the displacement's knots, the bias field's knots and the noise, 0 .. 2**32 - 1.
    mirror : three int
        1 for each of the axes x, y, z that is flipped, else 0.
    rotation_degrees : three float
        About x, then y, then z, by the right-hand rule.
    scale : float
        Enlargement; 1 for none.
    elastic_mm, elastic_knots_mm : float
        Largest displacement along an axis (0 for none), distance of its knots.
    bias_knots_mm : float
        Distance of the bias field's knots.
    gamma, contrast, low_resolution : tuple of float
        Exponent, factor, edge of a coarse voxel in voxels; one per modality, 1 for none.
    bias_log, brightness, blur_mm, noise_sd : tuple of float
        Largest logarithm of the bias field, shift, sigma, standard deviation; one per modality, 0
        for none.
    """

    seed: int
    mirror: tuple[int, int, int]
    rotation_degrees: tuple[float, float, float]
    scale: float
    elastic_mm: float
    elastic_knots_mm: float
    bias_knots_mm: float
    gamma: tuple[float, ...]
    bias_log: tuple[float, ...]
    contrast: tuple[float, ...]
    brightness: tuple[float, ...]
    blur_mm: tuple[float, ...]
    low_resolution: tuple[float, ...]
    noise_sd: tuple[float, ...]

    def row(self, modalities: tuple[str, ...]) -> dict[str, int | float]:
        """The draw as one row of a table, a column per axis or modality (``mirror_x``,
        ``gamma_t1c``).
        """
        cells = {}
        for field in fields(self):
            value = getattr(self, field.name)
            columns = _columns(field, modalities)
            cells |= zip(columns, value if isinstance(value, tuple) else (value,), strict=True)
        return cells

    @classmethod
    def from_row(cls, row: Mapping[str, int | float | str], modalities: tuple[str, ...]) -> "Draw":
        """The draw that `row` wrote, from numbers or their text; the text of a float gives back
        every bit.
        """
        values = {}
        for field in fields(cls):
            number = int if field.name in ("seed", "mirror") else float
            cells = tuple(number(row[column]) for column in _columns(field, modalities))
            values[field.name] = cells[0] if field.type in (int, float) else cells
        return cls(**values)


def _columns(field: Field, modalities: tuple[str, ...]) -> list[str]:
    """Columns of the table that hold one field of a draw."""
    if field.type in (int, float):
        return [field.name]
    return [
        f"{field.name}_{part}"
        for part in ("xyz" if field.name in ("mirror", "rotation_degrees") else modalities)
    ]


def draw(rng: np.random.Generator, ranges: Ranges, shape: tuple[int, int, int, int]) -> Draw:
    """Draw the parameters of one copy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of this case and copy alone.
    ranges : Ranges
        Probabilities and ranges.
    shape : tuple of int
        (X, Y, Z, C) of the shard's image.

    Returns
    -------
    Draw
        Every transform takes as many random numbers whatever its probability, so the others keep
        theirs.
    """
    slices, modalities = shape[2:]
    return Draw(
        seed=int(rng.integers(2**32)),
        mirror=ranges.mirror.draw(rng),
        rotation_degrees=ranges.rotation.draw(rng, slices),
        scale=ranges.scaling.draw(rng),
        elastic_mm=ranges.elastic.draw(rng),
        elastic_knots_mm=ranges.elastic.knots_mm,
        bias_knots_mm=ranges.bias_field.knots_mm,
        gamma=_per_modality(rng, ranges.gamma, modalities),
        bias_log=_per_modality(rng, ranges.bias_field, modalities),
        contrast=_per_modality(rng, ranges.contrast, modalities),
        brightness=_per_modality(rng, ranges.brightness, modalities),
        blur_mm=_per_modality(rng, ranges.blur, modalities),
        low_resolution=_per_modality(rng, ranges.low_resolution, modalities),
        noise_sd=_per_modality(rng, ranges.noise, modalities),
    )


def _per_modality(
    rng: np.random.Generator, transform: _Recolouring, modalities: int
) -> tuple[float, ...]:
    return tuple(transform.draw(rng) for _ in range(modalities))


def apply(
    draw: Draw, image: np.ndarray, classes: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Make the copy that a draw describes.

    Parameters
    ----------
    draw : Draw
        The copy's parameters.
    image : (X, Y, Z, C) float16 or float32 array
        z-scores inside the brain; exactly 0 in all modalities outside it.
    classes : (X, Y, Z) uint8 array
        Class indices.
    spacing_mm : tuple of float
        Voxel edge lengths.

    Returns
    -------
    image : (X, Y, Z, C) array of the same dtype
        On the same grid: what is moved out of it is lost, and outside the brain all is 0.
    classes : (X, Y, Z) uint8 array
        Moved as the image is.
    """
    volume = image.astype(np.float32, order="C")  # below, a flat view of it is written to
    brain = intensity.brain_mask(volume)
    volume, brain, classes = _move(draw, volume, brain, classes, spacing_mm)
    voxels = np.flatnonzero(brain)
    channels = volume.reshape(-1, volume.shape[-1])
    for modality in range(len(draw.gamma)) if voxels.size else ():
        channels[voxels, modality] = _recolour(
            draw, modality, channels[voxels, modality], brain, spacing_mm
        )
    return (
        np.ascontiguousarray(flip(volume, draw.mirror), dtype=image.dtype),
        np.ascontiguousarray(flip(classes, draw.mirror)),
    )


def _move(
    draw: Draw,
    volume: np.ndarray,
    brain: np.ndarray,
    classes: np.ndarray,
    spacing_mm: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation, scaling and displacement; without any of them the voxels are left as they are."""
    if not any(draw.rotation_degrees) and draw.scale == 1 and not draw.elastic_mm:
        return volume, brain, classes
    spacing = np.array(spacing_mm)
    back = (
        spatial.rotation(draw.rotation_degrees).T / draw.scale
    )  # the inverse: from a place to its source, in mm
    field = None
    if draw.elastic_mm:
        rng = generator(draw.seed, "elastic")
        field = spatial.displacement(
            rng, brain.shape, spacing_mm, draw.elastic_mm, draw.elastic_knots_mm
        )
    return spatial.warp(volume, brain, classes, back * spacing / spacing[:, None], field)


def _recolour(
    draw: Draw, modality: int, values: np.ndarray, brain: np.ndarray, spacing_mm: tuple[float, ...]
) -> np.ndarray:
    """Contrast mechanisms first, then the coil, the scanner's resolution, and last its noise."""
    if draw.gamma[modality] != 1:
        values = intensity.gamma(values, draw.gamma[modality])
    if draw.bias_log[modality]:
        rng = generator(draw.seed, "bias field", modality)
        field = smooth_field(rng, brain.shape, spacing_mm, draw.bias_knots_mm)
        values = intensity.bias(values, field[brain] * np.float32(draw.bias_log[modality]))
    if draw.contrast[modality] != 1:
        values = intensity.contrast(values, draw.contrast[modality])
    if draw.brightness[modality]:
        values = intensity.brightness(values, draw.brightness[modality])
    if draw.blur_mm[modality] or draw.low_resolution[modality] != 1:
        values = soften(
            values, brain, spacing_mm, draw.blur_mm[modality], draw.low_resolution[modality]
        )
    if draw.noise_sd[modality]:
        values = intensity.noise(
            values, draw.noise_sd[modality], generator(draw.seed, "noise", modality)
        )
    return values
