"""Contrast: distances from the mean intensity multiplied by a factor."""

from typing import ClassVar

import numpy as np

from .transform import FactorSpan, IntensityTransform, Sample


class Contrast(IntensityTransform):
    """Distances from the mean intensity multiplied by a factor."""

    factors: FactorSpan
    column: ClassVar[str] = "factor"
    neutral: ClassVar[float] = 1.0

    def draw_amount(self, rng: np.random.Generator) -> float:
        return self.factor(rng, self.factors)

    def change(
        self, values: np.ndarray, amount: float, sample: Sample, rng: np.random.Generator
    ) -> np.ndarray:
        mean = values.mean()
        return (values - mean) * np.float32(amount) + mean
