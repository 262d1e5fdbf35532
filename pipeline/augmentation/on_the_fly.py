"""Cheap augmentation of one patch while training: flips and intensities."""

import numpy as np

from ..core.strict import Strict
from . import intensity
from .mirror import Mirror, flip
from .ranges import Brightness, Contrast, Gamma, Noise


class OnTheFly(Strict):
    """What patches are augmented with; changes of intensity are drawn once per modality."""

    mirror: Mirror
    gamma: Gamma
    contrast: Contrast
    brightness: Brightness
    noise: Noise


def augment_patch(
    rng: np.random.Generator, image: np.ndarray, classes: np.ndarray, ranges: OnTheFly
) -> tuple[np.ndarray, np.ndarray]:
    """Flip a patch and change its intensities inside the brain.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of this patch alone.
    image : (X, Y, C) or (X, Y, Z, C) float32 array
        z-scores inside the brain; exactly 0 in all modalities outside it. Left untouched.
    classes : (X, Y) or (X, Y, Z) uint8 array
        Class indices. Left untouched.
    ranges : OnTheFly
        Probabilities and ranges; a slice ignores the flip along z.

    Returns
    -------
    image : array of the same shape and dtype
    classes : array of the same shape and dtype
    """
    mirror = ranges.mirror.draw(rng)[: classes.ndim]
    image, classes = flip(image, mirror).copy(), flip(classes, mirror).copy()
    brain = intensity.brain_mask(image)
    if brain.any():
        for modality in range(image.shape[-1]):
            channel = image[..., modality]
            channel[brain] = _recolour(rng, channel[brain], ranges)
    return image, classes


def _recolour(rng: np.random.Generator, values: np.ndarray, ranges: OnTheFly) -> np.ndarray:
    exponent, factor = ranges.gamma.draw(rng), ranges.contrast.draw(rng)
    shift, sd = ranges.brightness.draw(rng), ranges.noise.draw(rng)
    if exponent != 1:
        values = intensity.gamma(values, exponent)
    if factor != 1:
        values = intensity.contrast(values, factor)
    if shift:
        values = intensity.brightness(values, shift)
    return intensity.noise(values, sd, rng) if sd else values
