"""Batch sampler whose cohort lies in device memory: crop, mirror or affine, and intensities.

Draws are a function of a key (`jax.random`), so the batch of a step does not depend on how many
steps one call takes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from pipeline.network.backend import keras

ops = keras.ops

LEVELS = (
    25.0  # codes per standard deviation; code 0 is outside the brain, 128 the mean of the brain
)
SHARES = {"gamma": 0.15, "contrast": 0.15, "brightness": 0.15, "noise": 0.15}


class Cohort(NamedTuple):
    """Cases padded to one shape.

    Attributes
    ----------
    images : (N, X, Y, Z, C) uint8 array
        z-scores inside the brain as ``round(LEVELS * z) + 128`` clipped to 1..255, 0 outside.
    classes : (N, X, Y, Z) uint8 array
    voxels : (N, M, 3) int16 array
        Some tumour voxels of each case.
    """

    images: jax.Array
    classes: jax.Array
    voxels: jax.Array


def draw_batch(
    key, cohort: Cohort, batch: int, patch: tuple[int, int, int], labels: int, spatial: str
):
    """One augmented batch.

    Parameters
    ----------
    key : jax.random key
    cohort : Cohort
    batch, labels : int
        Patches, and labels of which region r unites those above r (WT, TC, ET).
    patch : (3,) ints
    spatial : {"mirror", "affine"}
        Flips of the first axis; or flip, rotation and scaling by trilinear interpolation.

    Returns
    -------
    image : (B, *patch, C) float32 array
    target : (B, *patch, labels) uint8 array
    """
    patches = [_draw_patch(part, cohort, patch, spatial) for part in jax.random.split(key, batch)]
    image, classes = (ops.stack(arrays) for arrays in zip(*patches, strict=True))
    thresholds = jnp.arange(labels, dtype=jnp.uint8)
    return image, ops.cast(classes[..., None] > thresholds, "uint8")


def _draw_patch(key, cohort, patch, spatial):
    case_key, origin_key, share_key, space_key, intensity_key = jax.random.split(key, 5)
    case = jax.random.randint(case_key, (), 0, len(cohort.images))
    slack = jnp.array(cohort.images.shape[1:4]) - jnp.array(patch)
    anywhere = jax.random.randint(origin_key, (3,), 0, slack + 1)
    voxel = cohort.voxels[
        case, jax.random.randint(origin_key, (), 0, cohort.voxels.shape[1])
    ].astype(jnp.int32)
    origin = jnp.where(
        jax.random.bernoulli(share_key), jnp.clip(voxel - jnp.array(patch) // 2, 0, slack), anywhere
    )
    cut = _mirrored if spatial == "mirror" else _resampled
    codes, classes = cut(space_key, cohort, case, origin, patch)
    brain = codes > 0.5
    values = jnp.where(brain, (codes - 128) / LEVELS, 0)
    return _recoloured(intensity_key, values, brain), classes


def _mirrored(key, cohort, case, origin, patch):
    """A crop, flipped along x half of the time; codes float32 (*patch, C) and classes (*patch)."""
    codes = ops.slice(cohort.images, (case, *origin, 0), (1, *patch, cohort.images.shape[-1]))[0]
    classes = ops.slice(cohort.classes, (case, *origin), (1, *patch))[0]
    flipped = jax.random.bernoulli(key)
    codes, classes = (ops.where(flipped, ops.flip(array, 0), array) for array in (codes, classes))
    return ops.cast(codes, "float32"), classes


def _resampled(key, cohort, case, origin, patch):
    """The same with a rotation by up to 15 degrees about each axis, scaled by 0.85 to 1.15."""
    angle_key, scale_key, flip_key = jax.random.split(key, 3)
    angles = jnp.deg2rad(jax.random.uniform(angle_key, (3,), minval=-15, maxval=15))
    matrix = jnp.eye(3)
    for axis in range(3):
        first, second = (other for other in range(3) if other != axis)
        sine, cosine = jnp.sin(angles[axis]), jnp.cos(angles[axis])
        turn = jnp.eye(3).at[first, first].set(cosine).at[second, second].set(cosine)
        matrix = turn.at[first, second].set(-sine).at[second, first].set(sine) @ matrix
    sign = jnp.where(jax.random.bernoulli(flip_key), -1.0, 1.0)
    matrix = (
        matrix * jax.random.uniform(scale_key, minval=0.85, maxval=1.15) * jnp.array([sign, 1, 1])
    )
    centre = jnp.array([(side - 1) / 2 for side in patch])
    axes = [
        jnp.arange(side, dtype=jnp.float32) - middle
        for side, middle in zip(patch, centre, strict=True)
    ]
    grid = jnp.meshgrid(*axes, indexing="ij")
    position = [
        sum(matrix[row, column] * grid[column] for column in range(3)) + (centre + origin)[row]
        for row in range(3)
    ]
    lowest = [ops.floor(along) for along in position]
    fraction = [along - low for along, low in zip(position, lowest, strict=True)]
    shape = cohort.images.shape[1:4]
    flat_images = cohort.images.reshape(-1, cohort.images.shape[-1])
    flat_classes = cohort.classes.reshape(-1)

    def index(offsets):
        ends = [
            jnp.clip(low.astype(jnp.int32) + offset, 0, side - 1)
            for low, offset, side in zip(lowest, offsets, shape, strict=True)
        ]
        return ((case * shape[0] + ends[0]) * shape[1] + ends[1]) * shape[2] + ends[2]

    total = 0
    for corner in range(8):
        offsets = [(corner >> bit) & 1 for bit in range(3)]
        weight = 1.0
        for part, offset in zip(fraction, offsets, strict=True):
            weight = weight * (part if offset else 1 - part)
        total = total + weight[..., None] * flat_images[index(offsets)].astype(jnp.float32)
    nearest = [
        jnp.clip(jnp.round(along).astype(jnp.int32), 0, side - 1)
        for along, side in zip(position, shape, strict=True)
    ]
    classes = flat_classes[
        ((case * shape[0] + nearest[0]) * shape[1] + nearest[1]) * shape[2] + nearest[2]
    ]
    return total, classes


def _recoloured(key, values, brain):
    """Gamma, contrast, brightness and noise inside the brain, as in `augmentation_patch`."""
    keys = iter(jax.random.split(key, 9))
    channels = values.shape[-1]

    def drawn(name, low, high, neutral):
        acts = jax.random.bernoulli(next(keys), SHARES[name], (channels,))
        return jnp.where(
            acts, jax.random.uniform(next(keys), (channels,), minval=low, maxval=high), neutral
        )

    exponent, factor = drawn("gamma", 0.7, 1.5, 1.0), drawn("contrast", 0.75, 1.33, 1.0)
    shift, sd = drawn("brightness", -0.3, 0.3, 0.0), drawn("noise", 0.02, 0.15, 0.0)
    count = jnp.maximum(ops.sum(ops.cast(brain, "float32"), (0, 1, 2)), 1)
    low = ops.min(ops.where(brain, values, jnp.inf), (0, 1, 2))
    high = ops.max(ops.where(brain, values, -jnp.inf), (0, 1, 2))
    mean, deviation = _brain_moments(values, brain, count)
    bent = ops.power(ops.clip((values - low) / ops.maximum(high - low, 1e-6), 1e-6, 1), exponent)
    bent_mean, bent_deviation = _brain_moments(bent, brain, count)
    values = (
        (bent - bent_mean) * (deviation / ops.maximum(bent_deviation, 1e-6)) * factor + mean + shift
    )
    values = values + jax.random.normal(next(keys), values.shape) * sd
    return ops.where(brain, values, 0)


def _brain_moments(values, brain, count):
    inside = ops.where(brain, values, 0)
    mean = ops.sum(inside, (0, 1, 2)) / count
    square = ops.sum(ops.square(inside), (0, 1, 2)) / count
    return mean, ops.sqrt(ops.maximum(square - ops.square(mean), 0))
