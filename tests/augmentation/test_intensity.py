import numpy as np
import pytest

from pipeline.augmentation import intensity


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal(20_000).astype(np.float32)


@pytest.mark.parametrize("exponent", [0.5, 1.7])
def test_gamma_keeps_the_order_the_mean_and_the_standard_deviation(values, exponent):
    bent = intensity.gamma(values, exponent)
    assert np.all(np.diff(bent[np.argsort(values)]) >= 0)
    assert bent.mean() == pytest.approx(values.mean(), abs=1e-5)
    assert bent.std() == pytest.approx(values.std(), rel=1e-5)


def test_a_gamma_below_one_lifts_the_middle_tones_and_one_above_lowers_them():
    values = np.linspace(-2, 2, 101, dtype=np.float32)
    place = [
        (bent[50] - bent[0]) / (bent[-1] - bent[0])
        for bent in (intensity.gamma(values, g) for g in (0.5, 2.0))
    ]
    assert place == pytest.approx([0.5**0.5, 0.5**2], rel=1e-5)


def test_gamma_leaves_a_constant_alone():
    np.testing.assert_array_equal(intensity.gamma(np.full(5, 1.5, np.float32), 2.0), 1.5)


def test_contrast_multiplies_the_standard_deviation_and_keeps_the_mean(values):
    changed = intensity.contrast(values + 3, 1.5)
    assert changed.std() == pytest.approx(1.5 * values.std(), rel=1e-4)
    assert changed.mean() == pytest.approx(values.mean() + 3, rel=1e-5)


def test_brightness_adds_the_shift(values):
    np.testing.assert_allclose(intensity.brightness(values, -0.3) - values, -0.3, atol=1e-6)


def test_noise_is_white_with_the_given_standard_deviation(values):
    added = intensity.noise(values, 0.2, np.random.default_rng(1)) - values
    assert added.std() == pytest.approx(0.2, rel=0.02)
    assert abs(added.mean()) < 0.006
    assert abs(np.corrcoef(added[1:], added[:-1])[0, 1]) < 0.03


def test_a_bias_field_multiplies_the_distance_from_the_darkest_value():
    values = np.array([-1, 0, 3], np.float32)
    field = np.log(np.array([2, 2, 0.5], np.float32))
    np.testing.assert_allclose(intensity.bias(values, field), [-1, 1, 1], atol=1e-6)


def test_the_brain_is_where_any_modality_is_not_zero():
    image = np.zeros((2, 2, 3), np.float32)
    image[0, 1, 2] = -1e-3
    image[1, 0, 0] = 2
    np.testing.assert_array_equal(intensity.brain_mask(image), [[False, True], [True, False]])


def test_every_change_keeps_float32(values):
    rng = np.random.default_rng(0)
    changed = [
        intensity.gamma(values, 0.8),
        intensity.contrast(values, 0.8),
        intensity.brightness(values, 0.8),
        intensity.noise(values, 0.8, rng),
        intensity.bias(values, values / 10),
    ]
    assert {array.dtype for array in changed} == {np.dtype(np.float32)}
