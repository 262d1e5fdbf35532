from itertools import combinations, permutations
from math import dist, isnan, sqrt

import numpy as np
import pytest
from scipy import ndimage

from pipeline.domain.surfaces import hd95_mm, surface, surface_distances_mm

SHAPE = (9, 8, 7)
SPACING_MM = (0.7, 1.0, 2.5)


def block(*spans):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def awkward_masks():
    rng = np.random.default_rng(11)
    apart = block((0, 1), (0, 1), (0, 1)) | block((7, 9), (6, 8), (5, 7))
    hollow = block((1, 8), (1, 7), (1, 6)) & ~block((3, 6), (3, 5), (3, 4))
    return {
        "one voxel": block((4, 5), (3, 4), (2, 3)),
        "full": np.ones(SHAPE, bool),
        "face": block((0, 1), (0, 8), (0, 7)),
        "corner": block((6, 9), (5, 8), (4, 7)),
        "apart": apart,
        "hollow": hollow,
        "specks": rng.random(SHAPE) < 0.03,
        "noise": rng.random(SHAPE) < 0.6,
    }


def surface_one_by_one(mask):
    def inside(voxel):
        return all(0 <= i < n for i, n in zip(voxel, mask.shape, strict=True)) and bool(mask[voxel])

    steps = np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    return [v for v in np.ndindex(mask.shape) if mask[v] and not all(inside(tuple(v + step)) for step in steps)]


def distances_one_by_one(start, goal, spacing_mm):
    points = [
        [tuple(i * mm for i, mm in zip(voxel, spacing_mm, strict=True)) for voxel in surface_one_by_one(mask)] for mask in (start, goal)
    ]
    return sorted(min(dist(point, other) for other in points[1]) for point in points[0])


def ranked(sorted_values, share):
    place = share * (len(sorted_values) - 1)
    low = int(place)
    high = min(low + 1, len(sorted_values) - 1)
    return sorted_values[low] + (place - low) * (sorted_values[high] - sorted_values[low])


def test_surface_of_a_cube_of_three_voxels_is_all_but_its_centre():
    cube = block((2, 5), (2, 5), (2, 5))
    assert np.argwhere(cube & ~surface(cube)).tolist() == [[3, 3, 3]]


def test_a_full_image_has_its_surface_at_the_image_border():
    full = np.ones(SHAPE, bool)
    assert np.array_equal(full & ~surface(full), block((1, 8), (1, 7), (1, 6)))


def test_an_image_of_one_slice_has_an_outline_in_the_plane():
    disc = np.zeros((7, 7, 1), bool)
    disc[1:6, 1:6] = True
    assert np.count_nonzero(surface(disc)) == 16


@pytest.mark.parametrize("name", awkward_masks())
def test_surface_equals_a_look_at_each_neighbour(name):
    mask = awkward_masks()[name]
    assert [tuple(voxel) for voxel in np.argwhere(surface(mask))] == surface_one_by_one(mask)


@pytest.mark.parametrize("name", awkward_masks())
def test_surface_equals_an_erosion_with_nothing_outside_the_image(name):
    mask = awkward_masks()[name]
    assert np.array_equal(surface(mask), mask & ~ndimage.binary_erosion(mask, border_value=0))


def test_two_voxels_are_as_far_apart_as_their_centres():
    one, other = block((1, 2), (1, 2), (1, 2)), block((4, 5), (5, 6), (1, 2))
    assert hd95_mm(one, other, (1.0, 1.0, 1.0)) == 5
    assert hd95_mm(one, other, (2.0, 1.0, 9.0)) == pytest.approx(sqrt(6**2 + 4**2))


def test_a_single_stray_voxel_counts_by_the_interpolated_percentile():
    reference = block((0, 1), (0, 5), (0, 1))
    prediction = reference | block((0, 1), (7, 8), (0, 1))  # directed back: five times 0 and once 3 mm
    to_prediction, to_reference = surface_distances_mm(reference, prediction, (1.0, 1.0, 1.0))
    assert sorted(to_prediction) == [0] * 5
    assert sorted(to_reference) == [0] * 5 + [3]
    assert hd95_mm(reference, prediction, (1.0, 1.0, 1.0)) == pytest.approx(0.75 * 3)  # rank 0.95 * 5 = 4.75


def test_the_larger_of_the_two_directions_is_taken_not_their_pool():
    near = block((0, 1), (0, 1), (0, 1))
    far = near | block((8, 9), (0, 1), (0, 1))
    assert hd95_mm(near, far, (1.0, 1.0, 1.0)) == pytest.approx(0.95 * 8)  # pooled it would be 0.9 * 8


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_distances_equal_all_pairs_measured_one_by_one(pair):
    one, other = (awkward_masks()[name] for name in pair)
    there, back = surface_distances_mm(one, other, SPACING_MM)
    expected = distances_one_by_one(one, other, SPACING_MM), distances_one_by_one(other, one, SPACING_MM)
    np.testing.assert_allclose(np.sort(there), expected[0], atol=1e-12)
    np.testing.assert_allclose(np.sort(back), expected[1], atol=1e-12)
    largest = max(ranked(expected[0], 0.95), ranked(expected[1], 0.95))
    assert hd95_mm(one, other, SPACING_MM) == pytest.approx(largest, abs=1e-12)


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_hd95_does_not_depend_on_which_mask_comes_first(pair):
    one, other = (awkward_masks()[name] for name in pair)
    assert hd95_mm(one, other, SPACING_MM) == hd95_mm(other, one, SPACING_MM)


def test_hd95_of_equal_masks_is_zero():
    assert [hd95_mm(mask, mask, SPACING_MM) for mask in awkward_masks().values()] == [0] * len(awkward_masks())


def test_hd95_does_not_change_when_both_masks_move_together():
    one, other = block((2, 5), (2, 4), (2, 5)), block((3, 6), (1, 5), (3, 4))
    moved = (np.roll(mask, (-2, 3, 2), axis=(0, 1, 2)) for mask in (one, other))
    assert hd95_mm(*moved, SPACING_MM) == pytest.approx(hd95_mm(one, other, SPACING_MM), rel=1e-12)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_hd95_does_not_change_when_axes_and_spacing_are_permuted(axes):
    one, other = awkward_masks()["hollow"], awkward_masks()["specks"]
    permuted = hd95_mm(one.transpose(axes), other.transpose(axes), tuple(SPACING_MM[axis] for axis in axes))
    assert permuted == pytest.approx(hd95_mm(one, other, SPACING_MM), rel=1e-12)


def test_hd95_grows_with_the_spacing():
    one, other = awkward_masks()["corner"], awkward_masks()["specks"]
    doubled = hd95_mm(one, other, tuple(2 * mm for mm in SPACING_MM))
    assert doubled == pytest.approx(2 * hd95_mm(one, other, SPACING_MM), rel=1e-12)


def test_background_around_both_masks_changes_nothing_where_they_do_not_touch_the_border():
    one, other = awkward_masks()["hollow"], block((2, 4), (1, 7), (1, 3))
    padded = (np.pad(mask, 4) for mask in (one, other))
    assert hd95_mm(*padded, SPACING_MM) == pytest.approx(hd95_mm(one, other, SPACING_MM), rel=1e-12)


def test_a_mask_one_slice_thick_in_a_volume_is_surface_all_over():
    sheet, spot = block((0, 9), (0, 8), (3, 4)), block((4, 5), (4, 5), (3, 4))
    to_spot, _ = surface_distances_mm(sheet, spot, SPACING_MM)
    assert len(to_spot) == 72


def test_an_empty_mask_leaves_hd95_undefined():
    empty, some = np.zeros(SHAPE, bool), block((1, 2), (1, 2), (1, 2))
    assert all(isnan(hd95_mm(*pair, SPACING_MM)) for pair in ((empty, some), (some, empty), (empty, empty)))


@pytest.mark.parametrize("other", [np.zeros(SHAPE, bool), np.ones((9, 8, 6), bool)], ids=["empty", "another grid"])
def test_surface_distances_are_refused_where_they_cannot_be_measured(other):
    with pytest.raises(ValueError, match="one grid, neither empty"):
        surface_distances_mm(np.ones(SHAPE, bool), other, SPACING_MM)
