"""Distances between surfaces by hand, against slow loops, SimpleITK and DeepMind's
surface-distance.
"""

import warnings
from itertools import product
from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from pipeline.metrics.surface_distance import SurfaceDistances, surface

from .masks import CUBIC_MM, EMPTY, MASKS, PAIRS, SHAPE, SPACING_MM, VOXEL, block

with warnings.catch_warnings(action="ignore"):  # it imports old names of scipy
    import surface_distance

SPACINGS_MM = [CUBIC_MM, SPACING_MM, (3.0, 0.3, 0.9), (0.1, 7.0, 2.0)]
LENGTHS = ("hd_mm", "hd95_mm", "assd_mm")


def measured(reference, prediction, spacing_mm, scale=1):
    """All metrics, with distances divided by a scale."""
    pair = SurfaceDistances.of(reference, prediction, spacing_mm)
    return (
        {name: getattr(pair, name) / scale for name in LENGTHS}
        | {f"nsd_{mm}mm": pair.nsd(mm * scale) for mm in (0, 1, 2.3, 3)}
        | {f"robust_{p}": pair.robust_hausdorff_mm(p) / scale for p in (37, 95, 100)}
    )


def surface_one_by_one(mask):
    def inside(voxel):
        return all(0 <= i < n for i, n in zip(voxel, mask.shape, strict=True)) and bool(mask[voxel])

    steps = np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    return [
        v
        for v in np.ndindex(mask.shape)
        if mask[v] and not all(inside(tuple(v + step)) for step in steps)
    ]


def elements_one_by_one(mask):
    """Corner of each element, by a look at the eight voxels around each corner of the grid."""
    framed = np.pad(mask, 1)
    corners = product(*(range(length + 1) for length in mask.shape))
    return [
        corner for corner in corners if 0 < framed[tuple(slice(i, i + 2) for i in corner)].sum() < 8
    ]


def distances_one_by_one(start, goal):
    start, goal = (np.array(points) * SPACING_MM for points in (start, goal))
    return np.linalg.norm(start[:, None] - goal, axis=2).min(axis=1).tolist()


def lengths_of(directed):
    """Largest, 95 % and mean distance of both directions."""
    both = np.concatenate(directed)
    return [both.max(), max(np.percentile(mm, 95) for mm in directed), both.mean()]


def distances_by_simpleitk(start, goal):
    """From the contour of one mask to that of the other; masks must not touch the border."""
    contours = []
    for mask in (start, goal):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(SPACING_MM[::-1])
        contours.append(sitk.LabelContour(image))
    away = sitk.SignedMaurerDistanceMap(contours[1], squaredDistance=False, useImageSpacing=True)
    return np.abs(sitk.GetArrayFromImage(away))[sitk.GetArrayFromImage(contours[0]) > 0]


def assert_equal_to_deepmind(ours, *masks_and_spacing):
    with warnings.catch_warnings(action="ignore"):  # it calls old names of scipy
        theirs = surface_distance.compute_surface_distances(*masks_and_spacing)
    names = zip(("gt_to_pred", "pred_to_gt"), ("gt", "pred"), ours.elements, strict=True)
    for direction, mask, (mm, areas) in names:
        np.testing.assert_allclose(np.sort(mm), theirs[f"distances_{direction}"], rtol=1e-12)
        expected = np.sort(theirs[f"surfel_areas_{mask}"])
        np.testing.assert_allclose(np.sort(areas), expected, rtol=1e-12)
    for tolerance in (0, 0.5, 1, 2, 3, 10):
        expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert ours.nsd(tolerance) == pytest.approx(expected, abs=1e-12)
    for percent in (37, 95, 100):
        expected = surface_distance.compute_robust_hausdorff(theirs, percent)
        assert ours.robust_hausdorff_mm(percent) == pytest.approx(expected, abs=1e-9)


def test_the_surface_of_a_block_is_all_but_its_inside():
    cube, full = block((2, 5), (2, 5), (2, 5)), np.ones(SHAPE, bool)
    assert np.argwhere(cube & ~surface(cube)).tolist() == [[3, 3, 3]]
    assert np.array_equal(full & ~surface(full), block((1, 8), (1, 7), (1, 6)))
    assert np.count_nonzero(surface(np.ones((5, 5, 1), bool))) == 16, "the outline in the plane"


@pytest.mark.parametrize("name", MASKS)
def test_the_surface_equals_a_look_at_each_neighbour_and_an_erosion(name):
    mask = MASKS[name]
    assert np.argwhere(surface(mask)).tolist() == list(map(list, surface_one_by_one(mask)))
    assert np.array_equal(surface(mask), mask & ~ndimage.binary_erosion(mask, border_value=0))


def test_two_voxels_are_as_far_apart_as_their_centres():
    other = block((4, 5), (5, 6), (1, 2))
    for spacing_mm, mm in ((CUBIC_MM, 5), ((2.0, 1.0, 9.0), sqrt(6**2 + 4**2))):
        found = measured(VOXEL, other, spacing_mm)
        assert [found[name] for name in LENGTHS] == pytest.approx([mm] * 3)
        assert found["nsd_3mm"] == 0


def test_a_single_stray_voxel_counts_by_the_interpolated_percentile():
    reference = block((0, 1), (0, 5), (0, 1))
    pair = SurfaceDistances.of(reference, reference | block((0, 1), (7, 8), (0, 1)), CUBIC_MM)
    assert [sorted(mm) for mm in pair.directed_mm] == [[0] * 5, [0] * 5 + [3]]
    assert pair.hd95_mm == pytest.approx(0.75 * 3)  # rank 0.95 * 5 = 4.75


def test_the_larger_direction_is_taken_and_every_surface_voxel_counts_once_in_the_average():
    near = block((0, 1), (0, 1), (0, 1))
    found = measured(near, near | block((8, 9), (0, 1), (0, 1)), CUBIC_MM)
    assert found["hd95_mm"] == pytest.approx(0.95 * 8)  # pooled it would be 0.9 * 8
    assert found["assd_mm"] == pytest.approx(8 / 3)  # the mean of the directed means would be 2
    assert (found["hd_mm"], found["robust_95"]) == (8, 8)
    assert found["nsd_3mm"] == pytest.approx(2 / 3)


def test_cubes_that_are_shifted_by_a_voxel_are_within_1_mm():
    cube, shifted = block((1, 6), (1, 6), (1, 6)), block((2, 7), (1, 6), (1, 6))
    found = measured(cube, shifted, CUBIC_MM)
    assert (found["nsd_1mm"], found["hd_mm"]) == (1, 1)
    # the face that sticks out, and what of the opposite one lies inside
    assert found["assd_mm"] == pytest.approx((25 + 9) / 98)


def test_voxels_three_apart_are_as_far_as_their_nearest_corners():
    pair = SurfaceDistances.of(VOXEL, block((5, 6), (1, 2), (1, 2)), CUBIC_MM)
    assert sorted(pair.elements[0][0]) == [3] * 4 + [4] * 4
    assert [pair.nsd(tolerance) for tolerance in (2, 3, 4)] == [0, 0.5, 1]
    assert [pair.robust_hausdorff_mm(percent) for percent in (50, 51)] == [3, 4]


def test_a_voxel_has_the_surface_of_an_octahedron_and_a_pixel_the_outline_of_a_diamond():
    def areas(mask, spacing_mm):
        return SurfaceDistances.of(mask, mask, spacing_mm).elements[0][1]

    assert areas(VOXEL, CUBIC_MM) == pytest.approx([sqrt(3) / 8] * 8)
    assert sum(areas(VOXEL, (1.0, 2.0, 3.0))) == pytest.approx(7)  # sqrt(6**2 + 3**2 + 2**2)
    pixel = np.zeros((5, 1, 6), bool)
    pixel[2, 0, 3] = True
    assert areas(pixel, (3.0, 99.0, 4.0)) == pytest.approx([2.5] * 4)


def test_an_image_of_one_slice_is_measured_in_the_plane():
    small, large = np.zeros((2, 12, 12, 1), bool)
    small[4:7, 4:7], large[3:8, 3:8] = True, True
    pair = SurfaceDistances.of(small, large, (2.0, 2.0, 99.0))
    assert pair.hd_mm == pytest.approx(2 * sqrt(2))
    assert pair.assd_mm == pytest.approx((8 * 2 + 12 * 2 + 4 * 2 * sqrt(2)) / 24)
    outlines = (8 + 16) * 2 + (4 + 4) * sqrt(2)  # straight pieces, and diagonal ones at the corners
    assert pair.nsd(2) == pytest.approx(1 - 4 * sqrt(2) / outlines)  # all but four outer corners


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_distances_between_surface_voxels_equal_those_measured_one_by_one(pair):
    one, other = (MASKS[name] for name in pair)
    found = SurfaceDistances.of(one, other, SPACING_MM)
    points = surface_one_by_one(one), surface_one_by_one(other)
    expected = [distances_one_by_one(*points), distances_one_by_one(*points[::-1])]
    for mm, own in zip(found.directed_mm, expected, strict=True):
        np.testing.assert_allclose(np.sort(mm), sorted(own), atol=1e-12)
    assert [found.hd_mm, found.hd95_mm, found.assd_mm] == pytest.approx(lengths_of(expected))


@pytest.mark.parametrize("pair", PAIRS[::3], ids="-".join)
def test_distances_between_surface_elements_equal_those_measured_one_by_one(pair):
    one, other = (MASKS[name] for name in pair)
    points = elements_one_by_one(one), elements_one_by_one(other)
    expected = distances_one_by_one(*points), distances_one_by_one(*points[::-1])
    elements = SurfaceDistances.of(one, other, SPACING_MM).elements
    for (mm, _), own in zip(elements, expected, strict=True):
        np.testing.assert_allclose(mm, own, atol=1e-12)


@pytest.mark.parametrize("pair", PAIRS[::2], ids="-".join)
def test_distances_of_masks_off_the_border_equal_those_of_simpleitk(pair):
    one, other = (np.pad(MASKS[name], 2) for name in pair)
    both = distances_by_simpleitk(one, other), distances_by_simpleitk(other, one)
    found = measured(one, other, SPACING_MM)
    expected = pytest.approx(lengths_of(both), abs=1e-5)  # 32-bit there
    assert [found[name] for name in LENGTHS] == expected


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_surface_elements_equal_those_of_deepmind(pair, spacing_mm):
    masks = [MASKS[name] for name in pair]
    assert_equal_to_deepmind(SurfaceDistances.of(*masks, spacing_mm), *masks, spacing_mm)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("pair", PAIRS[::2], ids="-".join)
def test_outlines_in_an_image_of_one_slice_equal_those_of_deepmind_in_the_plane(pair, axis):
    slices = [MASKS[name].take(3, axis) | MASKS[name].take(6, axis) for name in pair]
    if all(mask.any() for mask in slices):
        ours = SurfaceDistances.of(*(np.expand_dims(mask, axis) for mask in slices), SPACING_MM)
        assert_equal_to_deepmind(ours, *slices, np.delete(SPACING_MM, axis))


@pytest.mark.parametrize("seed", range(20))
def test_small_lesions_equal_deepmind_where_shares_of_area_are_round(seed):
    rng = np.random.default_rng(seed)
    lesion = np.pad(rng.random((3, 3, 3)) < 0.7, 3)
    moved = np.roll(lesion, rng.integers(-2, 3, 3), (0, 1, 2))
    with warnings.catch_warnings(action="ignore"):
        theirs = surface_distance.compute_surface_distances(lesion, moved, CUBIC_MM)
    expected = surface_distance.compute_robust_hausdorff(theirs, 95)
    assert SurfaceDistances.of(lesion, moved, CUBIC_MM).robust_hausdorff_mm() == expected


@pytest.mark.parametrize("pair", PAIRS[::3], ids="-".join)
def test_neither_background_around_the_masks_nor_their_layout_in_memory_changes_a_metric(pair):
    masks = [MASKS[name] for name in pair]
    padded = [np.asfortranarray(np.pad(mask, ((3, 0), (0, 5), (2, 2)))) for mask in masks]
    assert measured(*padded, SPACING_MM) == measured(*masks, SPACING_MM)


@pytest.mark.parametrize("at_most_mm", [0, 1, 2.5, 3, 7])
@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_a_bound_changes_no_distance_within_it(spacing_mm, at_most_mm):
    pair = MASKS["apart"], MASKS["specks"]
    whole, bounded = (
        SurfaceDistances.of(*pair, spacing_mm, bound).elements for bound in (inf, at_most_mm)
    )
    for (all_mm, _), (some_mm, _) in zip(whole, bounded, strict=True):
        assert np.array_equal(some_mm[all_mm <= at_most_mm], all_mm[all_mm <= at_most_mm])
        assert np.all((some_mm == all_mm) | (some_mm == inf))


@pytest.mark.parametrize("edge_mm", [0.9999999, 1.0000001])
def test_a_distance_of_three_voxels_is_within_3_mm_whatever_the_rounding_of_the_affine(edge_mm):
    pair = SurfaceDistances.of(VOXEL, block((4, 5), (1, 2), (1, 2)), (edge_mm,) * 3)
    assert (pair.nsd(3), pair.nsd_of_voxels(3)) == (1, 1)


def test_equal_masks_are_not_apart_and_an_empty_one_agrees_nowhere():
    for mask in MASKS.values():
        found = measured(mask, mask, SPACING_MM)
        assert list(found.values()) == [0] * 3 + [1] * 4 + [0] * 3
    for pair in ((EMPTY, VOXEL), (VOXEL, EMPTY)):
        found = list(measured(*pair, SPACING_MM).values())
        assert found == pytest.approx([nan] * 3 + [0] * 4 + [nan] * 3, nan_ok=True)
    assert all(isnan(value) for value in measured(EMPTY, EMPTY, SPACING_MM).values())


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
def test_what_has_no_surface_is_rejected(shapes, spacing_mm, message):
    with pytest.raises(ValueError, match=message):
        SurfaceDistances.of(*(np.ones(shape, bool) for shape in shapes), spacing_mm).nsd(1)
