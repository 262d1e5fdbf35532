"""Diameters in the slices as acquired; beside a cavity, of the nodule or of the wall."""

import numpy as np
import pytest

from pipeline.core.grid import Grid
from pipeline.following.measuring import is_measurable, measure, slices_of, slicing_of

CUBES = Grid((80, 80, 24), np.eye(4))
AXIAL = slicing_of(CUBES)
NOTHING = np.zeros(CUBES.shape, bool)


def block(*spans, shape=CUBES.shape):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def disc(centre, radius):
    x, y = np.indices(CUBES.shape[:2])
    return np.hypot(x - centre[0], y - centre[1]) <= radius


def through(mask_2d, first, last):
    mask = np.zeros(CUBES.shape, bool)
    mask[:, :, first:last] = mask_2d[:, :, None]
    return mask


@pytest.mark.parametrize(
    ("affine", "axis", "plane"),
    [
        (np.diag([1.0, 1, 1, 1]), 2, "axial"),
        (np.diag([0.5, 0.5, 5, 1]), 2, "axial"),
        (np.diag([-1.0, -1, 1.2, 1]), 2, "axial"),
        (np.array([[0, 0, 6.0, 0], [0.9, 0, 0, 0], [0, 0.9, 0, 0], [0, 0, 0, 1]]), 2, "sagittal"),
        (np.array([[0, 0, 1.0, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]), 0, "axial"),
    ],
)
def test_slices_run_across_the_longest_edge_of_voxels_or_are_axial_if_they_are_cubes(
    affine, axis, plane
):
    slicing = slicing_of(Grid((10, 10, 10), affine))
    assert (slicing.axis, slicing.plane) == (axis, plane)


def test_thick_slices_need_twice_their_thickness():
    assert slicing_of(Grid((9, 9, 9), np.diag([1.0, 1, 5, 1]))).least_mm == 10
    assert slicing_of(Grid((9, 9, 9), np.diag([1.0, 1, 6, 1]))).least_mm == 12


def test_a_lesion_of_ten_by_ten_millimetres_on_two_slices_is_measurable():
    for size, slices, expected in ((10, 2, True), (9, 2, False), (10, 1, False)):
        mask = block((10, 10 + size), (10, 40), (5, 5 + slices))
        lines = measure(mask, NOTHING, CUBES, AXIAL)
        assert is_measurable(lines, slices_of(mask, AXIAL), AXIAL) == expected


def test_a_thin_wall_around_a_cavity_is_measured_by_its_thickness():
    ring, hole = disc((40, 40), 20) & ~disc((40, 40), 15), disc((40, 40), 15)
    wall = through(ring, 5, 10)
    bridged = measure(wall, NOTHING, CUBES, AXIAL)
    assert bridged.product_mm2 == pytest.approx(41 * 41, rel=0.05)
    own = measure(wall, through(hole, 5, 10), CUBES, AXIAL)
    assert own.short_axis_mm < 8
    assert own.long_axis_mm < 30  # a chord beside a circle of 15 in one of 20 has 2 sqrt(400 - 225)
    assert not is_measurable(own, 5, AXIAL)


def test_beside_a_cavity_the_nodule_in_its_wall_is_measured():
    hole = disc((40, 40), 15)
    ring = disc((40, 40), 18) & ~hole
    nodule = disc((62, 40), 8) & ~hole
    lines = measure(through(ring | nodule, 4, 20), through(hole, 4, 20), CUBES, AXIAL)
    assert lines.long_axis_mm == pytest.approx(17, abs=2.5)
    assert lines.short_axis_mm == pytest.approx(15, abs=2.5)
    assert (np.stack([lines.long_ends, lines.short_ends])[..., 0] > 50).all()
    assert is_measurable(lines, 5, AXIAL)


def test_no_diameter_crosses_a_cavity_in_a_thick_wall_either():
    hole = disc((40, 40), 12)
    cavity = through(hole, 4, 20)
    lines = measure(through(disc((40, 40), 30) & ~hole, 4, 20), cavity, CUBES, AXIAL)
    assert lines.product_mm2 > 600
    for ends in (lines.long_ends, lines.short_ends):
        points = np.rint(np.linspace(*ends, 200)).astype(int)
        assert not cavity[tuple(points.T)].any()


def test_a_cavity_elsewhere_changes_nothing():
    mask, cavity = through(disc((25, 25), 10), 5, 10), through(disc((60, 60), 10), 5, 10)
    one, other = (measure(mask, hole, CUBES, AXIAL) for hole in (NOTHING, cavity))
    assert (one.product_mm2, one.index) == (other.product_mm2, other.index)
    assert measure(NOTHING, NOTHING, CUBES, AXIAL) is None


def test_the_cap_of_a_thin_shell_around_a_cavity_is_no_mass():
    places = np.linalg.norm(np.moveaxis(np.indices((48, 48, 48)), 0, -1) - 24.0, axis=-1)
    shell, hole = (places > 11) & (places <= 14), places <= 11
    grid = Grid((48, 48, 48), np.eye(4))
    lines = measure(shell, hole, grid, slicing_of(grid))
    assert lines.short_axis_mm < 10
    assert hole[:, :, lines.index].any()
