import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.registration.mutual_information import (
    Sampled,
    isotropic,
    register,
    resample,
    rigid_part,
)
from tests.registration.conftest import RAS_2MM, error_mm, head, lps_slices, rigid


@pytest.fixture(scope="module")
def pair() -> tuple[Sampled, Sampled, np.ndarray]:
    """Another contrast of the same head in slices of 5 mm on left-posterior axes, turned and
    shifted; and how.
    """
    true = rigid((9, -6, 12), (10, -8, 6))
    slices, other = lps_slices(28, 5.0), head((900, 300, 500, 150))
    moved = resample(other, slices, np.linalg.inv(true), "linear")
    return head((200, 400, 600, 800)), Sampled(moved, slices), true


def test_a_known_turn_and_shift_between_two_contrasts_and_two_slicings_is_found_on_any_threads(
    pair,
):
    fixed, moving, true = pair
    before, matrices = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), set()
    try:
        for threads in (1, 3):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            found = register(moving, fixed, "t2w")
            matrices.add(found.matrix.tobytes())
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert len(matrices) == 1
    assert error_mm(found.matrix, true) < 1.0
    assert found.overlap > 0.9


def test_a_series_of_noise_is_rejected_by_name():
    voxels = np.random.default_rng(1).normal(500, 50, (64, 64, 64)).astype(np.float32)
    said = "t2f: registration found no alignment.*Check that the series shows the same head"
    with pytest.raises(InputError, match=said):
        register(Sampled(voxels, Grid(voxels.shape, RAS_2MM)), head((200, 400, 600, 800)), "t2f")


def test_resampling_by_a_whole_voxel_moves_voxels_without_touching_them():
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    matrix = np.eye(4)
    matrix[0, 3] = 2.0  # one voxel to the right
    grid = Grid((3, 4, 5), np.diag([2.0, 2, 2, 1]))
    for interpolation in ("nearest", "linear"):
        moved = resample(Sampled(voxels, grid), grid, matrix, interpolation)
        np.testing.assert_allclose(moved[1:], voxels[:-1], atol=1e-4)
        assert not moved[0].any()


def test_resampling_between_orientations_keeps_the_place_of_a_voxel():
    voxels = np.zeros((4, 5, 6), bool)
    voxels[1, 2, 3] = True
    flipped = Grid(
        (4, 5, 6), np.array([[-1.0, 0, 0, 3], [0, -1, 0, 4], [0, 0, 1, 0], [0, 0, 0, 1]])
    )
    moved = resample(Sampled(voxels, Grid((4, 5, 6), np.eye(4))), flipped, np.eye(4), "nearest")
    assert moved.dtype == bool
    assert np.argwhere(moved).tolist() == [[2, 2, 3]]


def test_the_rigid_part_of_a_scaled_turn_is_the_turn():
    turn, centre = rigid((10, 20, 30), (1, 2, 3)), np.array([5.0, 6.0, 7.0])
    scaled = turn @ np.diag([1.2, 1.2, 1.2, 1])
    found = rigid_part(scaled, centre)
    np.testing.assert_allclose(found[:3, :3], turn[:3, :3], atol=1e-12)
    np.testing.assert_allclose(found @ [*centre, 1], scaled @ [*centre, 1], atol=1e-12)


def test_an_isotropic_grid_covers_the_same_field_of_view():
    grid = Grid((10, 10, 4), np.array([[1.0, 0, 0, -7], [0, 1, 0, 3], [0, 0, 5, 0], [0, 0, 0, 1]]))
    cubes = isotropic(grid, 2.0)
    assert cubes.shape == (5, 5, 10)
    for end in (0, 1):  # first and last corner
        corner, other = (
            one.affine @ [*np.multiply(one.shape, end) - 0.5, 1] for one in (grid, cubes)
        )
        np.testing.assert_allclose(corner, other)
