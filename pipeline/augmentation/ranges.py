"""The ranges that augmentation draws from: how often a transform acts, and how strongly."""

import math
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from ..core.strict import Strict


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1] < math.inf:
        raise ValueError(f"must be two finite numbers, the smaller first, got {list(span)}")
    return span


def _not_negative(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] < 0:
        raise ValueError(f"must not hold negative numbers, got {list(span)}")
    return span


def _above_zero(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] <= 0:
        raise ValueError(f"must hold numbers above 0 only, got {list(span)}")
    return span


def _at_least_one(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] < 1:
        raise ValueError(f"must hold numbers of at least 1, got {list(span)}")
    return span


Probability = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Span = Annotated[tuple[float, float], AfterValidator(_ordered)]
AmountSpan = Annotated[Span, AfterValidator(_not_negative)]
FactorSpan = Annotated[Span, AfterValidator(_above_zero)]
CoarseningSpan = Annotated[Span, AfterValidator(_at_least_one)]


class Sometimes(Strict):
    """A transform that acts with some probability.

    Both methods take two numbers from the generator whatever they return, so that another
    probability or range of one transform leaves the draws of all others as they were.
    """

    probability: Probability

    def amount(self, rng: np.random.Generator, span: tuple[float, float]) -> float:
        """A number drawn uniformly from the span, or 0 when the transform does not act."""
        acts, place = rng.random(2)
        return float(span[0] + (span[1] - span[0]) * place) if acts < self.probability else 0.0

    def factor(self, rng: np.random.Generator, span: tuple[float, float]) -> float:
        """A number drawn uniformly in its logarithm, so that 1/2 is as likely as 2, or 1 when the
        transform does not act.
        """
        acts, place = rng.random(2)
        return float(span[0] * (span[1] / span[0]) ** place) if acts < self.probability else 1.0


class Gamma(Sometimes):
    """A power law on the intensities; below 1 brightens the middle tones, above 1 darkens them."""

    exponent: FactorSpan

    def draw(self, rng: np.random.Generator) -> float:
        """The exponent, 1 for none."""
        return self.factor(rng, self.exponent)


class Contrast(Sometimes):
    """Distances from the mean intensity multiplied by a factor."""

    factors: FactorSpan

    def draw(self, rng: np.random.Generator) -> float:
        """The factor, 1 for none."""
        return self.factor(rng, self.factors)


class Brightness(Sometimes):
    """A number added to the intensities, in units of their standard deviation in the brain."""

    shift_sd: Span

    def draw(self, rng: np.random.Generator) -> float:
        """The shift, 0 for none."""
        return self.amount(rng, self.shift_sd)


class Noise(Sometimes):
    """Gaussian noise, in units of the standard deviation of the intensities in the brain."""

    sd: AmountSpan

    def draw(self, rng: np.random.Generator) -> float:
        """The noise's standard deviation, 0 for none."""
        return self.amount(rng, self.sd)
