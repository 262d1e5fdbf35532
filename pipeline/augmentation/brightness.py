"""Brightness: a number added to all intensities."""

from typing import ClassVar

import numpy as np

from .transform import IntensityTransform, Sample, Span


class Brightness(IntensityTransform):
    """A number added to the intensities, in units of their standard deviation in the brain."""

    shift_sd: Span
    column: ClassVar[str] = "shift_sd"

    def draw_amount(self, rng: np.random.Generator) -> float:
        return self.amount(rng, self.shift_sd)

    def change(
        self, values: np.ndarray, amount: float, sample: Sample, rng: np.random.Generator
    ) -> np.ndarray:
        return values + np.float32(amount)
