import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.augmentation.ranges import Brightness, Contrast, Gamma, Noise


def test_amounts_and_factors_stay_in_their_range_and_fill_it():
    rng = np.random.default_rng(0)
    shifts = [Brightness(probability=1.0, shift_sd=(-0.3, 0.1)).draw(rng) for _ in range(500)]
    assert -0.3 <= min(shifts) < -0.28
    assert 0.08 < max(shifts) <= 0.1
    factors = [Contrast(probability=1.0, factors=(0.5, 2.0)).draw(rng) for _ in range(500)]
    assert 0.5 <= min(factors) < 0.52
    assert 1.9 < max(factors) <= 2.0


def test_a_factor_is_as_often_above_one_as_below_in_a_range_symmetric_in_its_logarithm():
    rng = np.random.default_rng(0)
    factors = np.array(
        [Gamma(probability=1.0, exponent=(0.25, 4.0)).draw(rng) for _ in range(2000)]
    )
    assert abs((factors > 1).mean() - 0.5) < 0.04


def test_a_transform_acts_as_often_as_its_probability_says():
    rng = np.random.default_rng(0)
    drawn = [Noise(probability=0.3, sd=(0.1, 0.2)).draw(rng) for _ in range(2000)]
    assert abs(np.mean([sd > 0 for sd in drawn]) - 0.3) < 0.04
    assert {sd for sd in drawn if sd < 0.1} == {0.0}


@pytest.mark.parametrize(
    ("transform", "name", "span"),
    [
        (Gamma, "exponent", (1.5, 0.7)),
        (Gamma, "exponent", (0.0, 1.0)),
        (Noise, "sd", (-0.1, 0.1)),
        (Brightness, "shift_sd", (0.0, float("inf"))),
        (Brightness, "shift_sd", (float("nan"), 0.0)),
        (Contrast, "factors", (1.0,)),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_refused_by_name(transform, name, span):
    with pytest.raises(ValidationError, match=name):
        transform(probability=0.5, **{name: span})


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_of_0_to_1_is_refused(probability):
    with pytest.raises(ValidationError, match="probability"):
        Noise(probability=probability, sd=(0.0, 0.1))
