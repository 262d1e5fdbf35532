from itertools import combinations, permutations
from math import dist, isnan, nan, sqrt

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from pipeline.metrics.registry import TOLERANCES_MM
from pipeline.metrics.surface_distance import SurfaceDistances, surface, surface_distances_mm
from pipeline.metrics.surface_elements import surface_dice, surfel_distances

SHAPE = (9, 8, 7)
SPACING_MM = (0.7, 1.0, 2.5)


def hd95_mm(*masks_and_spacing):
    return SurfaceDistances.of(*masks_and_spacing).hd95_mm


def distances(*masks_and_spacing):
    measured = SurfaceDistances.of(*masks_and_spacing)
    between = {name: getattr(measured, name) for name in ("hd_mm", "hd95_mm", "assd_mm")}
    return between | {f"nsd_{mm}mm": measured.nsd(mm) for mm in TOLERANCES_MM}


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
    return [
        v
        for v in np.ndindex(mask.shape)
        if mask[v] and not all(inside(tuple(v + step)) for step in steps)
    ]


def distances_one_by_one(start, goal, spacing_mm):
    points = [
        [
            tuple(i * mm for i, mm in zip(voxel, spacing_mm, strict=True))
            for voxel in surface_one_by_one(mask)
        ]
        for mask in (start, goal)
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
    prediction = reference | block(
        (0, 1), (7, 8), (0, 1)
    )  # directed back: five times 0 and once 3 mm
    to_prediction, to_reference = surface_distances_mm(reference, prediction, (1.0, 1.0, 1.0))
    assert sorted(to_prediction) == [0] * 5
    assert sorted(to_reference) == [0] * 5 + [3]
    assert hd95_mm(reference, prediction, (1.0, 1.0, 1.0)) == pytest.approx(
        0.75 * 3
    )  # rank 0.95 * 5 = 4.75


def test_the_larger_of_the_two_directions_is_taken_not_their_pool():
    near = block((0, 1), (0, 1), (0, 1))
    far = near | block((8, 9), (0, 1), (0, 1))
    assert hd95_mm(near, far, (1.0, 1.0, 1.0)) == pytest.approx(
        0.95 * 8
    )  # pooled it would be 0.9 * 8


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_distances_equal_all_pairs_measured_one_by_one(pair):
    one, other = (awkward_masks()[name] for name in pair)
    there, back = surface_distances_mm(one, other, SPACING_MM)
    expected = (
        distances_one_by_one(one, other, SPACING_MM),
        distances_one_by_one(other, one, SPACING_MM),
    )
    np.testing.assert_allclose(np.sort(there), expected[0], atol=1e-12)
    np.testing.assert_allclose(np.sort(back), expected[1], atol=1e-12)
    largest = max(ranked(expected[0], 0.95), ranked(expected[1], 0.95))
    assert hd95_mm(one, other, SPACING_MM) == pytest.approx(largest, abs=1e-12)


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_hd95_does_not_depend_on_which_mask_comes_first(pair):
    one, other = (awkward_masks()[name] for name in pair)
    assert hd95_mm(one, other, SPACING_MM) == hd95_mm(other, one, SPACING_MM)


def test_hd95_of_equal_masks_is_zero():
    assert [hd95_mm(mask, mask, SPACING_MM) for mask in awkward_masks().values()] == [0] * len(
        awkward_masks()
    )


def test_hd95_does_not_change_when_both_masks_move_together():
    one, other = block((2, 5), (2, 4), (2, 5)), block((3, 6), (1, 5), (3, 4))
    moved = (np.roll(mask, (-2, 3, 2), axis=(0, 1, 2)) for mask in (one, other))
    assert hd95_mm(*moved, SPACING_MM) == pytest.approx(hd95_mm(one, other, SPACING_MM), rel=1e-12)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_hd95_does_not_change_when_axes_and_spacing_are_permuted(axes):
    one, other = awkward_masks()["hollow"], awkward_masks()["specks"]
    permuted = hd95_mm(
        one.transpose(axes), other.transpose(axes), tuple(SPACING_MM[axis] for axis in axes)
    )
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
    assert all(
        isnan(hd95_mm(*pair, SPACING_MM)) for pair in ((empty, some), (some, empty), (empty, empty))
    )


@pytest.mark.parametrize(
    "other", [np.zeros(SHAPE, bool), np.ones((9, 8, 6), bool)], ids=["empty", "another grid"]
)
def test_surface_distances_are_rejected_where_they_cannot_be_measured(other):
    with pytest.raises(ValueError, match="one grid, neither empty"):
        surface_distances_mm(np.ones(SHAPE, bool), other, SPACING_MM)


def distances_by_simpleitk(start, goal, spacing_mm):
    """From the contour of one mask to that of the other, in SimpleITK's way; the masks must not
    touch the image border.
    """
    contours = []
    for mask in (start, goal):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(spacing_mm[::-1])
        contours.append(sitk.LabelContour(image))
    away = sitk.SignedMaurerDistanceMap(contours[1], squaredDistance=False, useImageSpacing=True)
    return np.abs(sitk.GetArrayFromImage(away))[sitk.GetArrayFromImage(contours[0]) > 0]


def test_two_voxels_are_equally_far_by_every_distance_between_centres():
    one, other = block((1, 2), (1, 2), (1, 2)), block((4, 5), (5, 6), (1, 2))
    measured = distances(one, other, (1.0, 1.0, 1.0))
    assert measured == {
        "hd_mm": 5,
        "hd95_mm": 5,
        "assd_mm": 5,
        "nsd_1mm": 0,
        "nsd_2mm": 0,
        "nsd_3mm": 0,
    }


def test_every_surface_voxel_counts_once_in_the_average():
    near = block((0, 1), (0, 1), (0, 1))
    both = near | block((8, 9), (0, 1), (0, 1))
    measured = distances(near, both, (1.0, 1.0, 1.0))
    assert measured["assd_mm"] == pytest.approx(8 / 3)  # the mean of the directed means would be 2
    assert measured["hd_mm"] == 8
    assert measured["nsd_3mm"] == pytest.approx(2 / 3)


def test_cubes_that_are_shifted_by_a_voxel_are_within_1_mm():
    cube, shifted = block((1, 6), (1, 6), (1, 6)), block((2, 7), (1, 6), (1, 6))
    measured = distances(cube, shifted, (1.0, 1.0, 1.0))
    assert measured["nsd_1mm"] == 1
    assert measured["hd_mm"] == 1
    assert measured["assd_mm"] == pytest.approx(
        (25 + 9) / 98
    )  # the face that sticks out, and what of the opposite one lies inside


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_all_distances_equal_those_measured_one_by_one(pair):
    one, other = (awkward_masks()[name] for name in pair)
    there, back = (
        distances_one_by_one(one, other, SPACING_MM),
        distances_one_by_one(other, one, SPACING_MM),
    )
    measured = distances(one, other, SPACING_MM)
    assert measured["hd_mm"] == pytest.approx(max(there + back), abs=1e-12)
    assert measured["hd95_mm"] == pytest.approx(
        max(ranked(there, 0.95), ranked(back, 0.95)), abs=1e-12
    )
    assert measured["assd_mm"] == pytest.approx(sum(there + back) / len(there + back), abs=1e-12)
    surfels = surfel_distances(one, other, SPACING_MM)
    for tolerance in TOLERANCES_MM:
        assert measured[f"nsd_{tolerance}mm"] == surface_dice(surfels, tolerance)


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2))[::2], ids="-".join)
def test_distances_of_masks_off_the_border_equal_those_of_simpleitk(pair):
    one, other = (np.pad(awkward_masks()[name], 2) for name in pair)
    there, back = (
        distances_by_simpleitk(one, other, SPACING_MM),
        distances_by_simpleitk(other, one, SPACING_MM),
    )
    measured = distances(one, other, SPACING_MM)
    assert measured["hd_mm"] == pytest.approx(
        max(there.max(), back.max()), abs=1e-5
    )  # 32-bit there
    assert measured["hd95_mm"] == pytest.approx(
        max(np.percentile(there, 95), np.percentile(back, 95)), abs=1e-5
    )
    assert measured["assd_mm"] == pytest.approx(np.concatenate([there, back]).mean(), abs=1e-5)


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_distances_keep_their_order_and_do_not_depend_on_which_mask_comes_first(pair):
    one, other = (awkward_masks()[name] for name in pair)
    measured = distances(one, other, SPACING_MM)
    assert 0 <= measured["assd_mm"] <= measured["hd_mm"]
    assert 0 <= measured["hd95_mm"] <= measured["hd_mm"]
    assert 0 <= measured["nsd_1mm"] <= measured["nsd_2mm"] <= measured["nsd_3mm"] <= 1
    assert measured["hd95_mm"] == hd95_mm(one, other, SPACING_MM)
    assert distances(other, one, SPACING_MM) == pytest.approx(measured, rel=1e-12)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_distances_do_not_change_when_axes_and_spacing_are_permuted(axes):
    one, other = awkward_masks()["hollow"], awkward_masks()["specks"]
    permuted = distances(
        one.transpose(axes), other.transpose(axes), tuple(SPACING_MM[axis] for axis in axes)
    )
    assert permuted == pytest.approx(distances(one, other, SPACING_MM), rel=1e-12)


def test_distances_grow_with_the_spacing():
    one, other = awkward_masks()["corner"], awkward_masks()["specks"]
    grown, measured = (
        distances(one, other, tuple(2 * mm for mm in SPACING_MM)),
        distances(one, other, SPACING_MM),
    )
    for name in ("hd_mm", "hd95_mm", "assd_mm"):
        assert grown[name] == pytest.approx(2 * measured[name], rel=1e-12)
    assert grown["nsd_2mm"] == pytest.approx(measured["nsd_1mm"], rel=1e-12)


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2))[::3], ids="-".join)
def test_neither_background_around_the_masks_nor_their_layout_in_memory_changes_a_distance(pair):
    one, other = (awkward_masks()[name] for name in pair)
    padded = [np.asfortranarray(np.pad(mask, ((3, 0), (0, 5), (2, 2)))) for mask in (one, other)]
    assert distances(*padded, SPACING_MM) == distances(one, other, SPACING_MM)


def test_distances_leave_the_masks_as_they_are():
    one, other = awkward_masks()["hollow"], awkward_masks()["noise"]
    distances(one, other, SPACING_MM)
    assert np.array_equal(one, awkward_masks()["hollow"])
    assert np.array_equal(other, awkward_masks()["noise"])


def test_an_image_of_one_slice_is_measured_in_the_plane():
    small, large = np.zeros((2, 12, 12, 1), bool)
    small[4:7, 4:7], large[3:8, 3:8] = True, True
    measured = distances(small, large, (2.0, 2.0, 99.0))
    assert measured["hd_mm"] == pytest.approx(2 * sqrt(2))
    assert measured["assd_mm"] == pytest.approx((8 * 2 + 12 * 2 + 4 * 2 * sqrt(2)) / 24)
    outlines = (8 + 16) * 2 + (4 + 4) * sqrt(2)  # straight pieces, and diagonal ones at the corners
    assert measured["nsd_2mm"] == pytest.approx(
        1 - 4 * sqrt(2) / outlines
    )  # all but the four outer corners


def test_equal_masks_are_not_apart():
    for mask in awkward_masks().values():
        assert tuple(distances(mask, mask, SPACING_MM).values()) == (0, 0, 0, 1, 1, 1)


def test_an_empty_mask_leaves_distances_undefined_and_agrees_nowhere():
    empty, some = np.zeros(SHAPE, bool), block((1, 2), (1, 2), (1, 2))
    for pair in ((empty, some), (some, empty)):
        assert list(distances(*pair, SPACING_MM).values()) == pytest.approx(
            [nan, nan, nan, 0, 0, 0], nan_ok=True
        )
    assert all(isnan(value) for value in distances(empty, empty, SPACING_MM).values())


def test_distances_between_different_grids_are_rejected():
    with pytest.raises(ValueError, match="one grid"):
        distances(np.ones(SHAPE, bool), np.ones((9, 8, 6), bool), SPACING_MM)
