"""Bias field: a smooth multiplication, as by the sensitivity of a receive coil."""

from typing import ClassVar

import numpy as np

from ..core.separable import smooth_field
from .transform import AmountSpan, IntensityTransform, Length, Sample


class BiasField(IntensityTransform):
    """Largest natural logarithm of the field, and the distance of its knots."""

    largest_log: AmountSpan
    knots_mm: Length
    column: ClassVar[str] = "largest_log"
    stream: ClassVar[str] = "bias field"

    def draw_amount(self, rng: np.random.Generator) -> float:
        return self.amount(rng, self.largest_log)

    def change(
        self, values: np.ndarray, amount: float, sample: Sample, rng: np.random.Generator
    ) -> np.ndarray:
        """The lowest z-score means no signal, so it is left unchanged."""
        field = smooth_field(rng, sample.brain.shape, sample.spacing_mm, self.knots_mm)
        low = values.min()
        return (values - low) * np.exp(field[sample.brain] * np.float32(amount)) + low
