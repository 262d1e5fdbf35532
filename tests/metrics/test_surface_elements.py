import warnings
from itertools import combinations, permutations, product
from math import dist, inf, isnan, sqrt

import numpy as np
import pytest

with warnings.catch_warnings(action="ignore"):  # it imports old names of scipy
    import surface_distance
    from surface_distance import lookup_tables

from pipeline.metrics.surface_elements import (
    areas_mm,
    nearest_mm,
    robust_hausdorff_mm,
    surface_dice,
    surfel_distances,
)

SHAPE = (9, 8, 7)
SPACING_MM = (0.7, 1.0, 2.5)
SPACINGS_MM = [(1.0, 1.0, 1.0), SPACING_MM, (3.0, 0.3, 0.9), (0.1, 7.0, 2.0)]


def block(*spans):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def awkward_masks():
    rng = np.random.default_rng(11)
    return {
        "one voxel": block((4, 5), (3, 4), (2, 3)),
        "full": np.ones(SHAPE, bool),
        "face": block((0, 1), (0, 8), (0, 7)),
        "corner": block((6, 9), (5, 8), (4, 7)),
        "apart": block((0, 1), (0, 1), (0, 1)) | block((7, 9), (6, 8), (5, 7)),
        "hollow": block((1, 8), (1, 7), (1, 6)) & ~block((3, 6), (3, 5), (3, 4)),
        "specks": rng.random(SHAPE) < 0.03,
        "noise": rng.random(SHAPE) < 0.6,
    }


PAIRS = list(combinations(awkward_masks(), 2))


def masks_of(pair):
    return tuple(awkward_masks()[name] for name in pair)


def by_deepmind(reference, prediction, spacing_mm):
    with warnings.catch_warnings(action="ignore"):  # it calls old names of scipy
        return surface_distance.compute_surface_distances(reference, prediction, spacing_mm)


def assert_equal_to_deepmind(ours, theirs):
    np.testing.assert_allclose(
        np.sort(ours.reference_mm), theirs["distances_gt_to_pred"], rtol=1e-12
    )
    np.testing.assert_allclose(
        np.sort(ours.prediction_mm), theirs["distances_pred_to_gt"], rtol=1e-12
    )
    np.testing.assert_allclose(
        np.sort(ours.reference_areas), np.sort(theirs["surfel_areas_gt"]), rtol=1e-12
    )
    np.testing.assert_allclose(
        np.sort(ours.prediction_areas), np.sort(theirs["surfel_areas_pred"]), rtol=1e-12
    )
    for tolerance in (0, 0.5, 1, 2, 3, 10):
        expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert surface_dice(ours, tolerance) == pytest.approx(expected, abs=1e-12)
    for percent in (37, 95, 100):
        assert robust_hausdorff_mm(ours, percent) == pytest.approx(
            surface_distance.compute_robust_hausdorff(theirs, percent), abs=1e-9
        )


def readings(reference, prediction, spacing_mm, scale=1):
    measured = surfel_distances(reference, prediction, spacing_mm)
    return [surface_dice(measured, tolerance * scale) for tolerance in (0, 1.1, 2.3, 4.7)] + [
        robust_hausdorff_mm(measured) / scale
    ]


def elements_one_by_one(mask, spacing_mm):
    """Corner and number of voxels of each element, by a look at the eight voxels around each corner
    of the voxel grid.
    """
    found = []
    for corner in product(*(range(length + 1) for length in mask.shape)):
        around = [tuple(np.subtract(corner, step)) for step in product((0, 1), repeat=3)]
        inside = sum(
            all(0 <= i < n for i, n in zip(voxel, mask.shape, strict=True)) and bool(mask[voxel])
            for voxel in around
        )
        if 0 < inside < 8:
            found.append(tuple(i * mm for i, mm in zip(corner, spacing_mm, strict=True)))
    return found


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_areas_of_all_256_neighbourhoods_equal_those_of_deepmind(spacing_mm):
    expected = lookup_tables.create_table_neighbour_code_to_surface_area(spacing_mm)
    np.testing.assert_allclose(areas_mm(spacing_mm), expected, rtol=1e-9)


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_lengths_of_all_16_neighbourhoods_equal_those_of_deepmind(spacing_mm):
    expected = lookup_tables.create_table_neighbour_code_to_contour_length(spacing_mm[:2])
    np.testing.assert_allclose(areas_mm(spacing_mm[:2]), expected, rtol=1e-9)


@pytest.mark.parametrize("steps_mm", [SPACING_MM, SPACING_MM[:2]], ids=["cube", "square"])
def test_the_area_between_inside_and_outside_is_the_same_from_both_sides(steps_mm):
    np.testing.assert_allclose(areas_mm(steps_mm), areas_mm(steps_mm)[::-1], rtol=1e-12)


def test_a_voxel_has_the_surface_of_an_octahedron():
    voxel = block((4, 5), (3, 4), (2, 3))
    assert surfel_distances(voxel, voxel, (1.0, 1.0, 1.0)).reference_areas == pytest.approx(
        [sqrt(3) / 8] * 8
    )
    assert sum(surfel_distances(voxel, voxel, (1.0, 2.0, 3.0)).reference_areas) == pytest.approx(
        7
    )  # sqrt(6**2 + 3**2 + 2**2)


def test_a_pixel_has_the_outline_of_a_diamond():
    pixel = np.zeros((5, 1, 6), bool)
    pixel[2, 0, 3] = True
    assert surfel_distances(pixel, pixel, (3.0, 99.0, 4.0)).reference_areas == pytest.approx(
        [2.5] * 4
    )


def test_voxels_three_apart_are_as_far_as_their_nearest_corners():
    one, other = block((1, 2), (1, 2), (1, 2)), block((5, 6), (1, 2), (1, 2))
    measured = surfel_distances(one, other, (1.0, 1.0, 1.0))
    assert sorted(measured.reference_mm) == [3] * 4 + [4] * 4
    assert [surface_dice(measured, tolerance) for tolerance in (2, 3, 4)] == [0, 0.5, 1]
    assert [robust_hausdorff_mm(measured, percent) for percent in (50, 51)] == [3, 4]


def test_both_surfaces_count_by_their_areas():
    near = block((0, 1), (0, 1), (0, 1))
    both = near | block((8, 9), (0, 1), (0, 1))
    measured = surfel_distances(near, both, (1.0, 1.0, 1.0))
    assert surface_dice(measured, 1) == pytest.approx(2 / 3)
    assert robust_hausdorff_mm(measured) == 8


@pytest.mark.parametrize("pair", PAIRS[::3], ids="-".join)
def test_distances_equal_all_pairs_of_corners_measured_one_by_one(pair):
    one, other = masks_of(pair)
    measured = surfel_distances(one, other, SPACING_MM)
    start, goal = (elements_one_by_one(mask, SPACING_MM) for mask in (one, other))
    np.testing.assert_allclose(
        measured.reference_mm, [min(dist(a, b) for b in goal) for a in start], atol=1e-12
    )
    np.testing.assert_allclose(
        measured.prediction_mm, [min(dist(a, b) for a in start) for b in goal], atol=1e-12
    )


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_everything_equals_deepmind(pair, spacing_mm):
    one, other = masks_of(pair)
    assert_equal_to_deepmind(
        surfel_distances(one, other, spacing_mm), by_deepmind(one, other, spacing_mm)
    )


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("pair", PAIRS[::2], ids="-".join)
def test_everything_in_an_image_of_one_slice_equals_deepmind_in_the_plane(pair, axis):
    one, other = (mask.take(3, axis) | mask.take(6, axis) for mask in masks_of(pair))
    if one.any() and other.any():
        ours = surfel_distances(np.expand_dims(one, axis), np.expand_dims(other, axis), SPACING_MM)
        assert_equal_to_deepmind(ours, by_deepmind(one, other, np.delete(SPACING_MM, axis)))


@pytest.mark.parametrize("seed", range(20))
def test_small_lesions_equal_deepmind_where_shares_of_area_are_round(seed):
    rng = np.random.default_rng(seed)
    lesion = np.pad(rng.random((3, 3, 3)) < 0.7, 3)
    moved = np.roll(lesion, rng.integers(-2, 3, 3), (0, 1, 2))
    theirs = by_deepmind(lesion, moved, (1.0, 1.0, 1.0))
    assert robust_hausdorff_mm(
        surfel_distances(lesion, moved, (1.0, 1.0, 1.0))
    ) == surface_distance.compute_robust_hausdorff(theirs, 95)


@pytest.mark.parametrize("pair", PAIRS[::3], ids="-".join)
def test_readings_do_not_depend_on_which_mask_comes_first(pair):
    one, other = masks_of(pair)
    assert readings(one, other, SPACING_MM) == pytest.approx(
        readings(other, one, SPACING_MM), rel=1e-12
    )


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_readings_do_not_change_when_axes_and_spacing_are_permuted(axes):
    one, other = masks_of(("hollow", "specks"))
    permuted = readings(
        one.transpose(axes), other.transpose(axes), tuple(SPACING_MM[axis] for axis in axes)
    )
    assert permuted == pytest.approx(readings(one, other, SPACING_MM), rel=1e-12)


def test_readings_do_not_change_when_spacing_and_tolerance_grow_together():
    one, other = masks_of(("corner", "specks"))
    grown = readings(one, other, tuple(4 * mm for mm in SPACING_MM), scale=4)
    assert grown == pytest.approx(readings(one, other, SPACING_MM), rel=1e-12)


@pytest.mark.parametrize("pair", PAIRS[::3], ids="-".join)
def test_background_around_both_masks_changes_nothing(pair):
    one, other = masks_of(pair)
    moved = (np.pad(mask, ((5, 0), (2, 3), (0, 4))) for mask in (one, other))
    assert readings(*moved, SPACING_MM) == readings(one, other, SPACING_MM)


def test_equal_masks_agree_wholly():
    assert all(
        readings(mask, mask, SPACING_MM) == [1, 1, 1, 1, 0] for mask in awkward_masks().values()
    )


def test_an_empty_mask_scores_nothing_and_two_are_undefined():
    empty, some = np.zeros(SHAPE, bool), block((1, 2), (1, 2), (1, 2))
    for pair in ((empty, some), (some, empty)):
        measured = surfel_distances(*pair, SPACING_MM)
        assert surface_dice(measured, 100) == 0
        assert isnan(robust_hausdorff_mm(measured))
    measured = surfel_distances(empty, empty, SPACING_MM)
    assert isnan(surface_dice(measured, 1))
    assert isnan(robust_hausdorff_mm(measured))


@pytest.mark.parametrize("edge_mm", [0.9999999, 1.0000001])
def test_a_distance_of_three_voxels_is_within_3_mm_whatever_the_rounding_of_the_affine(edge_mm):
    one, other = block((1, 2), (1, 2), (1, 2)), block((4, 5), (1, 2), (1, 2))
    assert surface_dice(surfel_distances(one, other, (edge_mm,) * 3), 3) == 1


@pytest.mark.parametrize(
    "steps_mm", [*SPACINGS_MM, (1.0, 1.0), (0.1, 3.0), (0.01, 1.0, 1.0)], ids=str
)
def test_nearest_points_are_found_near_and_far(steps_mm):
    rng = np.random.default_rng(5)
    shape = (40, 12, 9)[: len(steps_mm)]
    one, other = rng.random(shape) < 0.02, rng.random(shape) < 0.05
    other[: shape[0] // 2] = False
    there, back = nearest_mm(one, other, steps_mm)
    apart = np.linalg.norm((np.argwhere(one)[:, None] - np.argwhere(other)) * steps_mm, axis=2)
    np.testing.assert_allclose(there, apart.min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(back, apart.min(axis=0), rtol=1e-12)


@pytest.mark.parametrize("at_most_mm", [0, 1, 2.5, 3, 7])
@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_a_bound_changes_no_distance_within_it(spacing_mm, at_most_mm):
    one, other = masks_of(("apart", "specks"))
    whole, bounded = (
        surfel_distances(one, other, spacing_mm, bound) for bound in (inf, at_most_mm)
    )
    for all_mm, some_mm in (
        (whole.reference_mm, bounded.reference_mm),
        (whole.prediction_mm, bounded.prediction_mm),
    ):
        assert np.array_equal(some_mm[all_mm <= at_most_mm], all_mm[all_mm <= at_most_mm])
        assert np.all((some_mm == all_mm) | (some_mm == inf))


def test_one_step_of_a_tenth_is_a_tenth_wherever_it_starts():
    one, other = np.zeros((2, 30, 1), bool)
    one[10], other[13] = True, True
    assert nearest_mm(one, other, (0.1, 1.0))[0] == [3 * 0.1]


@pytest.mark.parametrize(
    ("shapes", "spacing_mm", "message"),
    [
        (((5, 5, 5), (5, 5, 4)), SPACING_MM, "one grid"),
        (((1, 1, 1), (1, 1, 1)), SPACING_MM, "several voxels"),
        (((5, 1, 1), (5, 1, 1)), SPACING_MM, "2 or 3 axes"),
        (((5, 5, 5), (5, 5, 5)), (1.0, 0.0, 1.0), "positive lengths"),
        (((5, 5, 5), (5, 5, 5)), (1.0, float("nan"), 1.0), "positive lengths"),
    ],
)
def test_what_has_no_surface_elements_is_rejected(shapes, spacing_mm, message):
    with pytest.raises(ValueError, match=message):
        surfel_distances(*(np.ones(shape, bool) for shape in shapes), spacing_mm)
