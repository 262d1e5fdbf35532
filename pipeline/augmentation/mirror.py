"""Flips along the axes of a volume or a slice."""

import numpy as np

from ..core.strict import Strict
from .ranges import Probability


class Mirror(Strict):
    """Probability of a flip along each axis; x is left-right, y back-front, z bottom-top."""

    x: Probability
    y: Probability
    z: Probability

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """1 for each axis to flip, else 0."""
        return tuple(
            int(acts < share)
            for acts, share in zip(rng.random(3), (self.x, self.y, self.z), strict=True)
        )


def flip(array: np.ndarray, mirror: tuple[int, ...]) -> np.ndarray:
    """View of an array reversed along each leading axis marked with 1."""
    return array[tuple(slice(None, None, -1 if reverse else None) for reverse in mirror)]
