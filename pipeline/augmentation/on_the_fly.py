"""Cheap augmentation of one patch in training: flips and intensities."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.strict import Strict
from .brightness import Brightness
from .contrast import Contrast
from .gamma import Gamma
from .mirror import Mirror, flip
from .noise import Noise
from .transform import OwnNames, Sample, Transform, brain_mask


class OnTheFly(Strict):
    """The section `train.on_the_fly`: the registry of the transforms of patches.

    Changes of intensity are drawn once per modality, in the order of the fields; `own` names
    further transforms, which act last.
    """

    mirror: Mirror
    gamma: Gamma
    contrast: Contrast
    brightness: Brightness
    noise: Noise
    own: OwnNames


def augment_patch(
    rng: np.random.Generator,
    image: np.ndarray,
    classes: np.ndarray,
    ranges: OnTheFly,
    own: Mapping[str, Transform],
    spacing_mm: tuple[float, ...],
    modalities: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Flip a patch and change its intensities inside the brain.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of this patch alone.
    image : (X, Y, C) or (X, Y, Z, C) float32 array
        z-scores inside the brain; exactly 0 in all modalities outside it. Not changed.
    classes : (X, Y) or (X, Y, Z) uint8 array
        Class indices. Not changed.
    ranges : OnTheFly
        A slice ignores the flip along z.
    own : mapping of str to Transform
        A slice is (X, Y, 1, C) to them.
    spacing_mm : tuple of 3 floats
    modalities : sequence of str
        Names of the C channels.

    Returns
    -------
    image, classes : arrays of the same shapes and dtypes
    """
    shape = image.shape
    mirror = list(ranges.mirror.draw(rng, shape, modalities).values())[: classes.ndim]
    image, classes = flip(image, mirror).copy(), flip(classes, mirror).copy()
    box = (*classes.shape, 1)[:3]
    image, classes = image.reshape(*box, -1), classes.reshape(box)
    sample = Sample(image, classes, brain_mask(image), spacing_mm)
    if sample.brain.any():
        # modality by modality, noise from the same stream: another order would give other patches
        for modality in range(image.shape[-1]):
            channel = image[..., modality]
            channel[sample.brain] = _recolour(rng, channel[sample.brain], ranges, sample)
    for transform in own.values():
        drawn = transform.draw(rng, image.shape, modalities)
        sample = transform.apply(sample, drawn, int(rng.integers(2**32)))
    return (
        np.ascontiguousarray(sample.image.reshape(shape), np.float32),
        np.ascontiguousarray(sample.classes.reshape(shape[:-1])),
    )


def _recolour(
    rng: np.random.Generator, values: np.ndarray, ranges: OnTheFly, sample: Sample
) -> np.ndarray:
    transforms = (ranges.gamma, ranges.contrast, ranges.brightness, ranges.noise)
    amounts = [transform.draw_amount(rng) for transform in transforms]
    for transform, amount in zip(transforms, amounts, strict=True):
        if amount != transform.neutral:
            values = transform.change(values, amount, sample, rng)
    return values
