"""Rotation, displacement and the resampling that applies both."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from pipeline.augmentation.spatial import displacement, rotation, warp


@pytest.mark.parametrize(
    ("degrees", "start", "end"),
    [
        ((90, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((0, 90, 0), (0, 0, 1), (1, 0, 0)),
        ((0, 0, 90), (1, 0, 0), (0, 1, 0)),
        ((90, 0, 90), (0, 1, 0), (0, 0, 1)),
        ((90, 0, 90), (1, 0, 0), (0, 1, 0)),
    ],
)
def test_quarter_turns_follow_the_right_hand_rule_about_x_first_and_z_last(degrees, start, end):
    np.testing.assert_allclose(rotation(degrees) @ start, end, atol=1e-12)


def test_a_displacement_reaches_its_size_and_does_not_fold_at_a_third_of_the_knots_distance():
    shape, spacing_mm = (48, 40, 30), (1.0, 1.0, 2.0)
    for seed in range(5):
        field = displacement(
            np.random.default_rng(seed), shape, spacing_mm, largest_mm=8.0, knots_mm=24.0
        )
        assert np.abs(field).max(axis=(1, 2, 3)) == pytest.approx([8, 8, 4])
        jacobian = (
            np.stack([np.stack(np.gradient(component)) for component in field])
            + np.eye(3)[..., None, None, None]
        )
        assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0


def test_a_single_slice_is_not_displaced_out_of_its_plane():
    field = displacement(np.random.default_rng(0), (20, 20, 1), (1.0, 1.0, 5.0), 2.0, 10.0)
    assert not field[2].any()
    assert field[:2].any(axis=(1, 2, 3)).all()


def _everywhere(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(1, 2, (*shape, 2)).astype(np.float32),
        np.ones(shape, bool),
        rng.integers(0, 4, shape).astype(np.uint8),
    )


def test_without_a_move_every_voxel_takes_its_own_value():
    image, brain, classes = _everywhere((5, 6, 7))
    moved = warp(image, brain, classes, np.eye(3), None)
    for array, original in zip(moved, (image, brain, classes), strict=True):
        np.testing.assert_array_equal(array, original)


def test_inside_the_brain_it_equals_linear_and_nearest_interpolation_of_scipy():
    image, brain, classes = _everywhere((20, 18, 16))
    matrix = rotation((7, -11, 20)).T / 1.4
    field = displacement(np.random.default_rng(1), brain.shape, (1.0, 1.0, 1.0), 2.0, 8.0)
    middle = (np.array(brain.shape)[:, None, None, None] - 1) / 2
    place = np.tensordot(matrix, np.indices(brain.shape) - middle, axes=1) + middle + field
    moved_image, moved_brain, moved_classes = warp(image, brain, classes, matrix, field)
    expected = np.stack(
        [map_coordinates(image[..., c], place, order=1, mode="nearest") for c in (0, 1)], axis=-1
    )
    np.testing.assert_allclose(moved_image[moved_brain], expected[moved_brain], atol=1e-4)
    clear = (np.abs(place - np.floor(place) - 0.5) > 1e-4).all(axis=0)
    nearest = map_coordinates(classes, place, order=0, mode="grid-constant")
    np.testing.assert_array_equal(moved_classes[clear], nearest[clear])
    assert moved_brain.mean() > 0.8


def test_zeros_outside_do_not_dim_the_border_of_the_brain():
    place = np.indices((30, 30, 30)) - 14.5
    brain = (place**2).sum(axis=0) < 100
    image = np.where(brain[..., None], np.float32(2), 0) * np.ones(2, np.float32)
    moved_image, moved_brain, _ = warp(
        image, brain, brain.astype(np.uint8), rotation((10, 20, 30)).T, None
    )
    np.testing.assert_allclose(moved_image[moved_brain], 2, rtol=1e-6)
    assert not moved_image[~moved_brain].any()


def test_what_lies_outside_the_grid_comes_in_as_background():
    image, brain, classes = _everywhere((9, 9, 9))
    moved_image, moved_brain, moved_classes = warp(image, brain, classes + 1, 2 * np.eye(3), None)
    assert moved_brain[4, 4, 4]
    assert moved_brain.sum() == 5**3
    assert not moved_image[0].any()
    assert not moved_classes[0].any()
