import itertools

import numpy as np
import pytest

from pipeline.augmentation.mirror import Mirror, flip


@pytest.mark.parametrize("mirror", list(itertools.product((0, 1), repeat=3)))
def test_flipping_twice_is_no_flip(mirror):
    volume = np.random.default_rng(0).standard_normal((3, 4, 5, 2))
    np.testing.assert_array_equal(flip(flip(volume, mirror), mirror), volume)


def test_only_the_marked_axis_is_reversed():
    volume = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(flip(volume, (0, 1, 0)), volume[:, ::-1])
    np.testing.assert_array_equal(flip(volume, (1, 0, 1)), volume[::-1, :, ::-1])


def test_an_axis_of_probability_one_is_always_flipped_and_one_of_zero_never():
    draws = [Mirror(x=1.0, y=0.0, z=0.5).draw(np.random.default_rng(seed)) for seed in range(40)]
    assert {(x, y) for x, y, _ in draws} == {(1, 0)}
    assert {z for *_, z in draws} == {0, 1}
