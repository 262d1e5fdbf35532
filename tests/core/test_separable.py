import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

from pipeline.core import separable


def test_each_matrix_acts_along_its_own_axis_and_the_axes_keep_their_order():
    volume = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    rng = np.random.default_rng(1)
    matrices = [rng.standard_normal((k + 2, k + 3)).astype(np.float32) for k in range(3)]
    result = separable.along_axes(volume, tuple(map(csr_array, matrices)))
    expected = np.einsum("abc,xa,yb,zc->xyz", volume, *matrices)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_the_gaussian_equals_the_one_of_scipy_with_zeros_beyond_the_ends(sigma):
    volume = np.random.default_rng(0).standard_normal((9, 12, 7)).astype(np.float32)
    blurs = tuple(separable.gaussian(size, sigma) for size in volume.shape)
    result = separable.along_axes(volume, blurs)
    np.testing.assert_allclose(result, gaussian_filter(volume, sigma, mode="constant"), atol=2e-6)


def test_coarsening_by_one_changes_nothing():
    np.testing.assert_array_equal(separable.coarsening(7, 1.0).toarray(), np.eye(7))


def test_coarsening_by_two_gives_the_pair_means_interpolated_between_their_centres():
    samples = np.array([0, 2, 4, 6, 8, 10], np.float32)  # pair means 1, 5, 9 at 0.5, 2.5, 4.5
    np.testing.assert_allclose(
        separable.coarsening(6, 2.0) @ samples, [1, 2, 4, 6, 8, 9], rtol=1e-6
    )


def test_coarsening_and_spline_keep_a_constant():
    coarse, lone = separable.coarsening(11, 2.3), separable.coarsening(1, 2.0)
    for operator in (coarse, lone, separable.bspline(11, 3.7)):
        np.testing.assert_allclose(operator.sum(axis=1), 1, rtol=1e-5)


def test_the_spline_reproduces_a_straight_line_of_knots():
    operator = separable.bspline(20, 4.0)
    knots = np.arange(operator.shape[1], dtype=np.float32)
    np.testing.assert_allclose(operator @ knots, np.arange(20) / 4 + 1, rtol=1e-5)


def test_a_random_field_is_smooth_over_its_knots_and_reaches_one():
    field = separable.smooth_field(
        np.random.default_rng(3), (40, 30, 20), (1.0, 1.0, 2.0), knots_mm=20.0
    )
    assert field.shape == (40, 30, 20)
    assert np.abs(field).max() == pytest.approx(1)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1)) < 0.2
