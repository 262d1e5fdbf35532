"""Every transform of the registries: its ranges, its draws, and its effect on intensities."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.augmentation.bias_field import BiasField
from pipeline.augmentation.brightness import Brightness
from pipeline.augmentation.contrast import Contrast
from pipeline.augmentation.gamma import Gamma
from pipeline.augmentation.mirror import Mirror, flip
from pipeline.augmentation.noise import Noise
from pipeline.augmentation.resolution import LowResolution
from pipeline.augmentation.transform import IntensityTransform, Sample, brain_mask

INTENSITIES = {
    "gamma": Gamma(probability=1.0, exponent=(0.5, 2.0)),
    "bias_field": BiasField(probability=1.0, largest_log=(0.1, 0.4), knots_mm=20.0),
    "contrast": Contrast(probability=1.0, factors=(0.5, 2.0)),
    "brightness": Brightness(probability=1.0, shift_sd=(-0.3, 0.1)),
    "noise": Noise(probability=1.0, sd=(0.1, 0.2)),
}
CUBE = np.ones((20, 20, 50), bool)
VALUES = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)


def changed(name, amount, values=VALUES, brain=CUBE):
    sample = Sample(np.zeros((*brain.shape, 1)), brain, brain, (1.0, 1.0, 1.0))
    result = INTENSITIES[name].change(values, amount, sample, np.random.default_rng(1))
    assert result.dtype == np.float32
    return result


def drawn(transform, count=500):
    rng = np.random.default_rng(0)
    return np.array([transform.draw_amount(rng) for _ in range(count)])


@pytest.mark.parametrize("exponent", [0.5, 1.7])
def test_gamma_keeps_the_order_the_mean_and_the_standard_deviation(exponent):
    bent = changed("gamma", exponent)
    assert np.all(np.diff(bent[np.argsort(VALUES)]) >= 0)
    assert bent.mean() == pytest.approx(VALUES.mean(), abs=1e-5)
    assert bent.std() == pytest.approx(VALUES.std(), rel=1e-5)


def test_a_gamma_below_one_lifts_the_middle_tones_and_one_above_lowers_them():
    values = np.linspace(-2, 2, 101, dtype=np.float32)
    place = [
        (bent[50] - bent[0]) / (bent[-1] - bent[0])
        for bent in (changed("gamma", exponent, values) for exponent in (0.5, 2.0))
    ]
    assert place == pytest.approx([0.5**0.5, 0.5**2], rel=1e-5)


def test_gamma_leaves_a_constant_alone():
    np.testing.assert_array_equal(changed("gamma", 2.0, np.full(5, 1.5, np.float32)), 1.5)


def test_contrast_multiplies_the_standard_deviation_and_keeps_the_mean():
    result = changed("contrast", 1.5, VALUES + 3)
    assert result.std() == pytest.approx(1.5 * VALUES.std(), rel=1e-4)
    assert result.mean() == pytest.approx(VALUES.mean() + 3, rel=1e-5)


def test_brightness_adds_the_shift():
    np.testing.assert_allclose(changed("brightness", -0.3) - VALUES, -0.3, atol=1e-6)


def test_noise_is_white_with_the_given_standard_deviation():
    added = changed("noise", 0.2) - VALUES
    assert added.std() == pytest.approx(0.2, rel=0.02)
    assert abs(added.mean()) < 0.006
    assert abs(np.corrcoef(added[1:], added[:-1])[0, 1]) < 0.03


def test_a_bias_field_multiplies_the_distance_from_the_lowest_value_smoothly_up_to_its_size():
    factor = (changed("bias_field", 0.4) - VALUES.min()) / (VALUES - VALUES.min() + 1e-12)
    log = np.log(factor[VALUES.min() < VALUES])
    assert np.abs(log).max() == pytest.approx(0.4, rel=1e-3)
    volume = np.log(np.where(VALUES.min() < VALUES, factor, 1)).reshape(CUBE.shape)
    assert np.median(np.abs(np.diff(volume, axis=0))) < 0.05


def test_amounts_and_factors_stay_in_their_range_and_fill_it():
    shifts, factors = drawn(INTENSITIES["brightness"]), drawn(INTENSITIES["contrast"])
    assert -0.3 <= shifts.min() < -0.28
    assert 0.08 < shifts.max() <= 0.1
    assert 0.5 <= factors.min() < 0.52
    assert 1.9 < factors.max() <= 2.0


def test_a_factor_is_as_often_above_one_as_below_in_a_range_symmetric_in_its_logarithm():
    factors = drawn(Gamma(probability=1.0, exponent=(0.25, 4.0)), 2000)
    assert abs((factors > 1).mean() - 0.5) < 0.04


@pytest.mark.parametrize("name", INTENSITIES)
def test_a_transform_acts_as_often_as_its_probability_says(name):
    rare = INTENSITIES[name].model_copy(update={"probability": 0.3})
    assert abs((drawn(rare, 2000) != rare.neutral).mean() - 0.3) < 0.04


@pytest.mark.parametrize(
    ("kind", "name", "span"),
    [
        (Gamma, "exponent", (1.5, 0.7)),
        (Gamma, "exponent", (0.0, 1.0)),
        (Noise, "sd", (-0.1, 0.1)),
        (Brightness, "shift_sd", (0.0, float("inf"))),
        (Brightness, "shift_sd", (float("nan"), 0.0)),
        (Contrast, "factors", (1.0,)),
        (Contrast, "factors", (1.0, float("inf"))),
        (LowResolution, "factors", (0.5, 2.0)),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_rejected_by_name(kind, name, span):
    with pytest.raises(ValidationError, match=name):
        kind(probability=0.5, **{name: span})


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_of_0_to_1_is_rejected(probability):
    with pytest.raises(ValidationError, match="probability"):
        Noise(probability=probability, sd=(0.0, 0.1))


def test_a_transform_that_does_not_say_what_it_draws_or_changes_cannot_be_made():
    with pytest.raises(TypeError, match="change"):
        type("Own", (IntensityTransform,), {"draw_amount": Noise.draw_amount})(probability=0.5)


def test_the_brain_is_where_any_modality_is_not_zero():
    image = np.zeros((2, 2, 3), np.float32)
    image[0, 1, 2] = -1e-3
    image[1, 0, 0] = 2
    np.testing.assert_array_equal(brain_mask(image), [[False, True], [True, False]])


def test_flips_reverse_the_marked_axes_only_and_twice_nothing():
    volume = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(flip(volume, (0, 1, 0)), volume[:, ::-1])
    np.testing.assert_array_equal(flip(volume, (1, 0, 1)), volume[::-1, :, ::-1])
    np.testing.assert_array_equal(flip(flip(volume, (1, 1, 1)), (1, 1, 1)), volume)


def test_each_axis_is_flipped_as_often_as_its_probability_says():
    rng, mirror = np.random.default_rng(0), Mirror(x=0.5, y=0.0, z=1.0)
    flips = [mirror.draw(rng, (4, 4, 4, 1), ("t1n",)) for _ in range(200)]
    assert 70 < sum(one["x"] for one in flips) < 130
    assert {one["y"] for one in flips} == {0}
    assert {one["z"] for one in flips} == {1}
