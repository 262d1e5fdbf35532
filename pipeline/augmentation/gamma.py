"""A power law on the intensities."""

from typing import ClassVar

import numpy as np

from .transform import FactorSpan, IntensityTransform, Sample


class Gamma(IntensityTransform):
    """A power law between the lowest and the highest intensity, mean and standard deviation kept.

    Exponents below 1 brighten the middle tones, above 1 darken them. As the gamma transform of
    nnU-Net with kept statistics (Isensee et al., Nature Methods 2021, supplement 4).
    """

    exponent: FactorSpan
    column: ClassVar[str] = "exponent"
    neutral: ClassVar[float] = 1.0

    def draw_amount(self, rng: np.random.Generator) -> float:
        return self.factor(rng, self.exponent)

    def change(
        self, values: np.ndarray, amount: float, sample: Sample, rng: np.random.Generator
    ) -> np.ndarray:
        """In the same order of size; unchanged where all values are equal."""
        low, high = values.min(), values.max()
        if not high > low:
            return values
        bent = ((values - low) / (high - low)) ** np.float32(amount)
        return (bent - bent.mean()) * (values.std() / bent.std()) + values.mean()
