"""Flips along the axes of a volume or a slice."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.params import Share
from .transform import Drawn, Sample, Transform


class Mirror(Transform):
    """Probability of a flip along each axis; x is left-right, y back-front, z bottom-top."""

    x: Share
    y: Share
    z: Share

    def draw(
        self, rng: np.random.Generator, shape: Sequence[int], modalities: Sequence[str]
    ) -> Drawn:
        """1 for each axis to flip, else 0."""
        return {
            axis: int(acts < getattr(self, axis))
            for axis, acts in zip("xyz", rng.random(3), strict=True)
        }

    def apply(self, sample: Sample, drawn: Drawn, seed: int) -> Sample:
        """Views of the arrays, reversed along each axis marked with 1."""
        image, classes, brain = (
            flip(array, list(drawn.values()))
            for array in (sample.image, sample.classes, sample.brain)
        )
        return replace(sample, image=image, classes=classes, brain=brain)


def flip(array: np.ndarray, mirror: Sequence[float]) -> np.ndarray:
    """View of an array reversed along each leading axis marked with 1."""
    return array[tuple(slice(None, None, -1 if reverse else None) for reverse in mirror)]
