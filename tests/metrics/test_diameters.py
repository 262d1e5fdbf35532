from itertools import product

import numpy as np
import pytest
from contourpy import contour_generator
from scipy.ndimage import binary_fill_holes, gaussian_filter

from pipeline.metrics.diameters import border, lesions, measured
from tests.metrics.masks import EMPTY, MASKS

CUBIC_MM = (1.0, 1.0, 1.0)


def flat(one, thickness=1):
    return np.repeat(np.asarray(one, bool)[..., None], thickness, axis=2)


def disc(diameter_mm, spacing_mm=(1.0, 1.0), centre=(30.3, 30.8), size=61):
    x, y = np.indices((size, size)) * np.reshape(spacing_mm, (2, 1, 1))
    x, y = x - centre[0] * spacing_mm[0], y - centre[1] * spacing_mm[1]
    return flat(x**2 + y**2 <= (diameter_mm / 2) ** 2)


def blob(seed, size=24):
    """A smooth island without holes, of random and often concave shape."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), 2.5)
    one = field > np.quantile(field, 0.8)
    largest = lesions(flat(one), CUBIC_MM)[0]
    return flat(binary_fill_holes(largest.mask[..., 0]))


def samples_mm(one, spacing_mm, per_segment=24):
    """Points on the border that contourpy draws at 0.5, densely, and its corners."""
    lines = contour_generator(z=np.pad(one, 1).astype(float)).lines(0.5)
    corners = [np.asarray(line)[:, ::-1] * spacing_mm for line in lines]
    between = [
        line[:-1] + share * np.diff(line, axis=0)
        for line in corners
        for share in np.linspace(0, 1, per_segment, endpoint=False)
    ]
    return np.concatenate(corners), np.concatenate(between)


def by_brute_force(one, spacing_mm):
    """The longest distance between all pairs of corners, and the longest between all pairs of
    border points that are perpendicular to it within half a degree; of equally long diameters the
    one with the longest perpendicular.
    """
    corners, points = samples_mm(one, spacing_mm)
    apart = np.linalg.norm(corners[:, None] - corners, axis=2)
    found = []
    for first, second in np.argwhere(apart >= apart.max() - 1e-9):
        way = (corners[second] - corners[first]) / apart[first, second]
        differences = points[:, None] - points
        lengths = np.linalg.norm(differences, axis=2)
        with np.errstate(invalid="ignore"):
            perpendicular = np.abs(differences @ way) <= np.sin(np.radians(0.5)) * lengths
        found.append(lengths[perpendicular].max())
    return apart.max(), max(found)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 0.9, 4.0)], ids=["1 mm", "uneven"])
def test_both_diameters_are_those_found_by_trying_every_pair_of_border_points(seed, spacing_mm):
    mask = blob(seed)
    long_axis_mm, short_axis_mm = by_brute_force(mask[..., 0], spacing_mm[:2])
    found = measured(mask, spacing_mm)
    assert found.long_axis_mm == pytest.approx(long_axis_mm, abs=1e-9)
    assert found.short_axis_mm == pytest.approx(short_axis_mm, abs=0.15)
    assert found.product_mm2 == pytest.approx(found.long_axis_mm * found.short_axis_mm)


@pytest.mark.parametrize("seed", range(6))
def test_ends_lie_on_the_border_perpendicular_and_as_far_apart_as_said(seed):
    spacing_mm = np.array([0.5, 0.9, 3.0])
    mask = blob(seed)
    found = measured(mask, tuple(spacing_mm))
    long_mm = np.diff(found.long_ends, axis=0)[0] * spacing_mm
    short_mm = np.diff(found.short_ends, axis=0)[0] * spacing_mm
    assert np.linalg.norm(long_mm) == pytest.approx(found.long_axis_mm)
    assert np.linalg.norm(short_mm) == pytest.approx(found.short_axis_mm)
    assert long_mm @ short_mm == pytest.approx(0, abs=1e-9)
    starts, runs = border(mask[..., 0])[:, 0], np.diff(border(mask[..., 0]), axis=1)[:, 0]
    for end in np.concatenate([found.long_ends, found.short_ends])[:, :2]:
        share = np.clip(((end - starts) * runs).sum(1) / (runs**2).sum(1), 0, 1)[:, None]
        assert np.linalg.norm(starts + share * runs - end, axis=1).min() < 1e-9


@pytest.mark.parametrize("name", [name for name in MASKS if name != "noise"])
def test_the_border_is_closed_and_separates_every_voxel_from_its_neighbours(name):
    for one in np.moveaxis(MASKS[name], 2, 0):
        ends = border(one).reshape(-1, 2)
        _, counts = np.unique(ends, axis=0, return_counts=True)
        assert (counts == 2).all()
        padded = np.pad(one, 1).astype(int)
        assert len(counts) == sum(np.abs(np.diff(padded, axis=axis)).sum() for axis in (0, 1))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 1.0, 5.0), (2.0, 0.7, 1.0)])
def test_one_voxel_measures_its_own_width(spacing_mm):
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    found = measured(mask, spacing_mm)
    assert found.long_axis_mm == pytest.approx(max(spacing_mm[:2]))
    assert found.short_axis_mm == pytest.approx(min(spacing_mm[:2]))


@pytest.mark.parametrize("voxels", [2, 3, 9])
def test_a_row_of_voxels_is_as_long_as_their_number(voxels):
    found = measured(flat(np.ones((voxels, 1))), (0.8, 1.0, 3.0))
    assert found.long_axis_mm == pytest.approx(voxels * 0.8)
    assert found.short_axis_mm == pytest.approx(1.0)


@pytest.mark.parametrize("diameter_mm", [5, 10, 20, 40])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (0.9, 1.0)])
def test_a_disc_measures_its_diameter_within_a_voxel(diameter_mm, spacing_mm):
    found = measured(disc(diameter_mm, spacing_mm), (*spacing_mm, 3.0))
    assert abs(found.long_axis_mm - diameter_mm) < 1
    assert abs(found.short_axis_mm - diameter_mm) < 1


def test_an_oblique_ellipse_measures_its_two_axes():
    x, y = np.indices((80, 80)) - 40.2
    turned = np.radians(33)
    along = x * np.cos(turned) + y * np.sin(turned)
    across = y * np.cos(turned) - x * np.sin(turned)
    found = measured(flat((along / 30) ** 2 + (across / 12) ** 2 <= 1), CUBIC_MM)
    assert found.long_axis_mm == pytest.approx(60, abs=1)
    assert found.short_axis_mm == pytest.approx(24, abs=1)


def test_a_ring_measures_from_its_outer_border_to_its_outer_border():
    ring = disc(30) & ~disc(22)
    assert measured(ring, CUBIC_MM).product_mm2 == measured(disc(30), CUBIC_MM).product_mm2


def test_a_crescent_is_as_wide_as_itself_not_as_the_hull_around_it():
    """A half ring of outer radius 20 and thickness 4: its tips lie 40 apart, and no line
    perpendicular to that runs longer within or across it than at its tips.
    """
    x, y = np.indices((61, 61)) - 30.0
    radius = np.hypot(x, y)
    found = measured(flat((radius <= 20) & (radius >= 16) & (y >= 0)), CUBIC_MM)
    assert found.long_axis_mm == pytest.approx(40, abs=1.1)
    chord = np.sqrt(20**2 - 16**2)
    assert found.short_axis_mm == pytest.approx(chord, abs=1.1)


def test_two_islands_of_a_slice_are_measured_one_by_one():
    """A U that is connected in another slice is not measured from arm to arm."""
    mask = np.zeros((40, 9, 2), bool)
    mask[2:6, 2:7, 0] = mask[30:36, 2:7, 0] = True
    mask[2:36, 2, 1] = True
    assert len(lesions(mask, CUBIC_MM)) == 1
    assert measured(mask[..., :1], CUBIC_MM).long_axis_mm < 8
    assert measured(mask[..., 1:], CUBIC_MM).long_axis_mm == pytest.approx(34)


def test_voxels_that_touch_by_a_corner_are_one_island():
    mask = flat(np.eye(6))
    assert measured(mask, CUBIC_MM).long_axis_mm >= np.hypot(5, 5)


def test_the_slice_with_the_largest_product_is_measured_not_the_one_with_the_most_voxels():
    mask = np.zeros((30, 30, 3), bool)
    mask[2:14, 2:14, 0] = True
    mask[2:24, 2:24, 1] = True
    mask[3:23, 3:23, 1] = False
    assert mask[..., 1].sum() < mask[..., 0].sum()
    assert measured(mask, CUBIC_MM).index == 1


def value(found):
    return found.product_mm2 if found else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_no_slice_has_a_larger_product(seed):
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((30, 28, 20)), 2.5)
    mask = field > np.quantile(field, 0.9)
    for axis, spacing_mm in product(range(3), [CUBIC_MM, (0.5, 0.9, 2.0)]):
        slices = [mask.take([place], axis) for place in range(mask.shape[axis])]
        products = [value(measured(one, spacing_mm, axis)) for one in slices]
        found = measured(mask, spacing_mm, axis)
        assert (found.plane, found.product_mm2) == (axis, pytest.approx(max(products)))
        assert products[found.index] == pytest.approx(max(products))
        assert (found.long_ends[:, axis] == found.index).all()


def test_of_equal_slices_the_first_is_measured():
    assert measured(np.repeat(disc(12), 4, axis=2), CUBIC_MM).index == 0


@pytest.mark.parametrize("turn", ["flip x", "flip y", "swap"])
def test_mirrored_and_transposed_lesions_measure_the_same(turn):
    for seed in range(6):
        mask = blob(seed)
        same = {"flip x": mask[::-1], "flip y": mask[:, ::-1], "swap": mask.swapaxes(0, 1)}[turn]
        one, other = measured(mask, CUBIC_MM), measured(same, CUBIC_MM)
        assert one.product_mm2 == pytest.approx(other.product_mm2, abs=1e-9)


def test_an_empty_mask_has_no_diameters():
    assert measured(EMPTY, CUBIC_MM) is None
    assert lesions(EMPTY, CUBIC_MM) == []


def test_lesions_are_connected_components_the_largest_first_in_voxels_of_the_image():
    mask = np.zeros((40, 40, 12), bool)
    mask[30:33, 30:32, 8:10] = True
    mask[4:16, 5:12, 3:7] = True
    mask[36, 2, 11] = True
    found = lesions(mask, (1.0, 1.0, 2.0))
    assert [lesion.volume_mm3 for lesion in found] == [12 * 7 * 4 * 2, 3 * 2 * 2 * 2, 2]
    assert found[0].measured.index == 3
    assert (found[0].measured.long_ends[:, 0] >= 3.5).all()
    again = np.zeros_like(mask)
    for lesion in found:
        again[lesion.box] |= lesion.mask
        one = np.zeros_like(mask)
        one[lesion.box] = lesion.mask
        assert measured(one, (1.0, 1.0, 2.0)).product_mm2 == pytest.approx(
            lesion.measured.product_mm2
        )
    assert (again == mask).all()
    assert len(lesions(mask, (1.0, 1.0, 2.0), least_mm3=2.5)) == 2
