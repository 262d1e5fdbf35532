"""Orientation, spacing and equality of grids; nibabel is the oracle."""

import itertools

import nibabel
import numpy as np
import pytest

from pipeline.core.grid import Grid, canonical_spacing_mm, onto_axes_of, slice_plane, to_canonical
from tests.conftest import from_canonical

SHAPE = (3, 4, 5)
CODES = [
    "".join(codes)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for codes in itertools.product(*axes)
]


every_orientation = pytest.mark.parametrize("codes", CODES)


def affine_of(codes: str, spacing_mm=(1.0, 2.0, 3.0), turn_degrees: float = 0) -> np.ndarray:
    """An affine whose voxel axes run towards the codes, turned about an oblique axis."""
    right, front, top = np.eye(3)
    columns = {"R": right, "L": -right, "A": front, "P": -front, "S": top, "I": -top}
    axis = np.array([2.0, -1.0, 2.0]) / 3
    cross = np.cross(np.eye(3), axis)
    angle = np.deg2rad(turn_degrees)
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.array([columns[code] for code in codes], float).T * spacing_mm
    affine[:3, 3] = (-90.5, 126.25, -72)
    return affine


def counted(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize("turn_degrees", [0, 25])
@every_orientation
def test_canonical_is_what_nibabel_makes_of_it_and_the_inverse_is_exact(codes, turn_degrees):
    array, affine = counted(), affine_of(codes, turn_degrees=turn_degrees)
    canonical = to_canonical(array, affine)
    oracle = nibabel.as_closest_canonical(nibabel.Nifti1Image(array.astype(np.float32), affine))
    np.testing.assert_array_equal(canonical, oracle.get_fdata())
    np.testing.assert_allclose(canonical_spacing_mm(affine), oracle.header.get_zooms(), rtol=1e-6)
    assert nibabel.aff2axcodes(oracle.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(from_canonical(canonical, affine), array)


@every_orientation
def test_the_names_of_the_axes_and_their_spacing_are_read_off_the_affine(codes):
    grid = Grid(SHAPE, affine_of(codes))
    assert (grid.orientation, grid.spacing_mm) == (codes, (1.0, 2.0, 3.0))
    oblique = Grid(SHAPE, affine_of(codes, (0.9, 1.1, 5.5), 40))
    np.testing.assert_allclose(oblique.spacing_mm, (0.9, 1.1, 5.5))


def test_channels_stay_behind_the_three_axes_and_nothing_is_copied():
    array = counted((*SHAPE, 2))
    canonical = to_canonical(array, affine_of("PIR"))
    assert canonical.shape == (5, 3, 4, 2)
    assert np.shares_memory(canonical, array)
    for channel in range(2):
        np.testing.assert_array_equal(
            canonical[..., channel], to_canonical(array[..., channel], affine_of("PIR"))
        )
    np.testing.assert_array_equal(from_canonical(canonical, affine_of("PIR")), array)


@pytest.mark.parametrize(
    ("shape", "changes", "said"),
    [
        (SHAPE, {}, ""),
        ((3, 4, 6), {}, "shape (3, 4, 5) against (3, 4, 6)"),
        (SHAPE, {(0, 3): 9e-4}, ""),
        (SHAPE, {(0, 3): 1.1e-3}, "apart"),
        (SHAPE, {(0, 3): 8e-4, (1, 3): 8e-4}, "apart"),
        (SHAPE, {(0, 0): -1, (0, 3): SHAPE[0] - 1}, "up to 2 mm apart"),
    ],
    ids=["equal", "shape", "near", "far", "far by its length", "flipped over the same extent"],
)
def test_grids_differ_in_shape_or_by_the_length_of_a_shift(shape, changes, said):
    affine = np.eye(4)
    for place, value in changes.items():
        affine[place] = value
    found = Grid(SHAPE, np.eye(4)).differs(Grid(shape, affine))
    assert said in found
    assert bool(found) == bool(said)


def test_a_slight_turn_counts_by_the_farthest_corner():
    shape, slope = (201, 3, 3), 1e-4
    tilted = np.eye(4)
    tilted[2, 0] = slope  # 200 voxels on, 0.02 mm off
    assert "up to 0.02 mm apart" in Grid(shape, np.eye(4)).differs(Grid(shape, tilted))
    assert Grid(shape, np.eye(4)).differs(Grid(shape, tilted), tolerance_mm=0.03) == ""


@pytest.mark.parametrize(
    ("codes", "plane"),
    [
        ("LPS", "axial"),
        ("RAI", "axial"),
        ("LSA", "coronal"),
        ("RIP", "coronal"),
        ("PIR", "sagittal"),
    ],
)
def test_slices_lie_in_the_plane_that_their_axes_span(codes, plane):
    assert slice_plane(affine_of(codes)) == (plane, pytest.approx(0, abs=1e-5))
    assert slice_plane(affine_of(codes, turn_degrees=14))[0] == plane


def test_the_tilt_of_slices_is_the_angle_between_normals():
    affine = affine_of("RAS")
    cosine, sine = np.cos(np.radians(14)), np.sin(np.radians(14))
    turned = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    affine[:3, :3] = turned @ affine[:3, :3]
    assert slice_plane(affine) == ("axial", pytest.approx(14))
    spun = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    affine[:3, :3] = spun @ affine_of("RAS")[:3, :3]
    assert slice_plane(affine) == ("axial", pytest.approx(0, abs=1e-5))


@every_orientation
def test_voxels_along_other_axes_are_put_in_order_without_loss(codes):
    voxels, expected = counted(), Grid(SHAPE, affine_of("LPS", turn_degrees=7))
    there, here = map(nibabel.orientations.axcodes2ornt, ("LPS", codes))
    image = nibabel.Nifti1Image(voxels.astype(np.int16), expected.affine)
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(there, here))
    found = onto_axes_of(np.asarray(turned.dataobj), Grid(turned.shape, turned.affine), expected)
    assert np.array_equal(found, voxels)


def test_a_grid_of_other_places_is_not_reached_by_reordering():
    voxels, grid = np.zeros(SHAPE), Grid(SHAPE, affine_of("LPS"))
    moved, larger = affine_of("RAS"), affine_of("RAS", (1.0, 2.0, 3.1))
    moved[0, 3] += 0.5
    assert onto_axes_of(voxels, Grid(SHAPE, moved), grid) is None
    assert onto_axes_of(voxels, Grid(SHAPE, larger), grid) is None
    assert onto_axes_of(voxels, Grid(SHAPE, grid.affine), Grid((3, 4, 6), grid.affine)) is None
