"""Resampling by hand, against SimpleITK, and what it must keep."""

import numpy as np
import pytest
import SimpleITK
from threadpoolctl import threadpool_limits

from pipeline.preparation.resample import kernel_matrix, resample_classes, resample_linear

PAIRS = [(1, 1), (1, 4), (4, 1), (6, 3), (3, 6), (7, 4), (4, 7), (155, 77), (31, 155), (240, 239)]


def line(values) -> np.ndarray:
    """Values along X, as a volume."""
    return np.array(values, np.float32).reshape(-1, 1, 1)


def noise(shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("length", "target"), PAIRS)
def test_weights_sum_to_one_and_are_the_same_from_both_ends(length, target):
    weights = kernel_matrix(length, target)
    assert weights.shape == (target, length)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-6)


def test_the_same_shape_gives_the_same_voxels_and_classes():
    voxels, classes = noise((5, 6, 7)), (noise((5, 6, 7)) > 0).astype(np.uint8) * 3
    np.testing.assert_array_equal(resample_linear(voxels, voxels.shape), voxels)
    np.testing.assert_array_equal(resample_classes(classes, classes.shape), classes)


def test_twice_as_many_voxels_are_interpolated_at_quarters():
    # the centres of the halves of a voxel lie a quarter to each side of its own; beyond the outer
    # centres nothing changes
    result = resample_linear(line([0, 4, 8]), (6, 1, 1)).ravel()
    assert result.tolist() == [0, 1, 3, 5, 7, 8]


def test_half_as_many_voxels_are_averages_over_four_with_triangle_weights():
    # distances 1.5, 0.5, 0.5, 1.5 under a triangle that reaches 2 voxels: weights 1, 3, 3, 1; at a
    # face the outermost falls away
    result = resample_linear(line([0, 8, 0, 0, 0, 16, 0, 0]), (4, 1, 1)).ravel()
    np.testing.assert_allclose(result, [8 * 3 / 7, 8 / 8, 16 * 3 / 8, 16 / 7], rtol=1e-6)


def test_axes_are_resampled_one_by_one():
    voxels = np.multiply.outer(np.multiply.outer([0, 4.0, 8], [1.0, 1.0]), [0, 1.0, 2, 3])
    result = resample_linear(voxels, (6, 2, 2))
    assert result.dtype == np.float32
    along_x, along_z = np.array([0, 1, 3, 5, 7, 8]), np.array([5 / 7, 16 / 7])
    np.testing.assert_allclose(result, np.einsum("x,y,z->xyz", along_x, [1, 1], along_z), rtol=1e-6)


@pytest.mark.parametrize("shape", [(20, 20, 20), (13, 16, 40), (60, 55, 50), (33, 21, 14)])
def test_the_middle_of_a_blob_stays_where_it_is(shape):
    source = np.array((40, 36, 32))
    centre = np.array((0.42, 0.55, 0.5))  # of the extent
    place = np.moveaxis(np.indices(source) + 0.5, 0, -1)
    blob = np.exp(-0.5 * (((place - centre * source) / 3) ** 2).sum(axis=-1))
    result = resample_linear(blob, shape)
    middle = [
        (result.sum(axis=tuple({0, 1, 2} - {axis})) * (np.arange(n) + 0.5)).sum() / result.sum() / n
        for axis, n in enumerate(shape)
    ]
    np.testing.assert_allclose(middle * source, centre * source, atol=0.02)  # source voxels


@pytest.mark.parametrize("shape", [(24, 20, 16), (15, 17, 31), (12, 10, 9)])
def test_inside_of_the_outer_centres_upsampling_is_that_of_simpleitk(shape):
    voxels = noise((12, 10, 8))
    step = np.array(voxels.shape) / shape
    image = SimpleITK.GetImageFromArray(voxels.T)  # SimpleITK counts z, y, x
    sampler = SimpleITK.ResampleImageFilter()
    sampler.SetInterpolator(SimpleITK.sitkLinear)
    sampler.SetSize(shape)
    sampler.SetOutputSpacing(step.tolist())
    sampler.SetOutputOrigin(((step - 1) / 2).tolist())
    expected = SimpleITK.GetArrayFromImage(sampler.Execute(image)).T
    inside = tuple(
        slice(int(np.ceil(0.5 / s)), n - int(np.ceil(0.5 / s)))
        for s, n in zip(step, shape, strict=True)
    )
    np.testing.assert_allclose(resample_linear(voxels, shape)[inside], expected[inside], atol=1e-5)


def test_bytes_depend_neither_on_threads_nor_on_memory_order():
    voxels, shape = noise((90, 80, 70)), (45, 120, 33)
    made = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            made += [
                resample_linear(array, shape)
                for array in (voxels, np.asfortranarray(voxels), voxels[::-1].copy()[::-1])
            ]
    assert len({np.ascontiguousarray(one).tobytes() for one in made}) == 1


@pytest.mark.parametrize("shape", [(20, 18, 16), (6, 5, 3), (13, 4, 9)])
def test_no_class_appears_between_two_others(shape):
    classes = np.zeros((10, 9, 8), np.uint8)
    classes[2:8] = 3
    classes[4:6, 4:] = 1
    result = resample_classes(classes, shape)
    assert result.dtype == np.uint8
    assert set(np.unique(result)) <= {0, 1, 3}


def test_the_largest_share_wins_and_the_smaller_class_on_a_tie():
    # weights 3, 3, 1 of 7 at each face; the two middle voxels are a tie of 1, 3 against 3, 1
    for classes, expected in (([2, 2, 1, 1], [2, 1]), ([3, 1], [1]), ([0, 3, 3, 0], [3])):
        result = resample_classes(line(classes).astype(np.uint8), (len(expected), 1, 1))
        assert result.ravel().tolist() == expected


def test_a_block_comes_back_from_half_the_resolution_but_for_its_corners():
    classes = np.zeros((16, 16, 16), np.uint8)
    classes[4:12, 4:12, 4:12] = 2
    small = resample_classes(classes, (8, 8, 8))
    assert (small == 2).sum() == 4**3
    classes[np.ix_((4, 11), (4, 11), (4, 11))] = 0  # whose share is (3/4)³, below one half
    np.testing.assert_array_equal(resample_classes(small, (16, 16, 16)), classes)
