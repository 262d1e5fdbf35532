"""Independent Gaussian noise."""

from typing import ClassVar

import numpy as np

from .transform import AmountSpan, IntensityTransform, Sample


class Noise(IntensityTransform):
    """Gaussian noise, in units of the standard deviation of the intensities in the brain."""

    sd: AmountSpan
    column: ClassVar[str] = "sd"
    stream: ClassVar[str] = "noise"

    def draw_amount(self, rng: np.random.Generator) -> float:
        return self.amount(rng, self.sd)

    def change(
        self, values: np.ndarray, amount: float, sample: Sample, rng: np.random.Generator
    ) -> np.ndarray:
        return values + rng.standard_normal(values.shape, dtype=np.float32) * np.float32(amount)
