import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.registration.mutual_information import (
    Sampled,
    isotropic,
    register,
    resample,
    rigid_part,
)

RAS_2MM = np.array([[2.0, 0, 0, -64], [0, 2, 0, -64], [0, 0, 2, -64], [0, 0, 0, 1]])


def head(contrast: tuple[float, ...], seed: int = 0) -> Sampled:
    """An ellipsoid of smooth tissues that no turn maps to itself, in the contrast given to its four
    tissues.
    """
    place = (np.indices((64, 64, 64)) * 2.0 + RAS_2MM[:3, 3, None, None, None]) / np.array(
        [46, 56, 40]
    )[:, None, None, None]
    tissue = np.digitize(
        gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64, 64)), 4), [-0.02, 0, 0.02]
    )
    return Sampled(
        np.where((place**2).sum(axis=0) < 1, np.array(contrast)[tissue], 0).astype(np.float32),
        Grid((64, 64, 64), RAS_2MM),
    )


def rigid(turn_deg: tuple[float, ...], shift_mm: tuple[float, ...]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def error_mm(found: np.ndarray, true: np.ndarray) -> float:
    points = np.array([[x, y, z, 1.0] for x in (-40, 40) for y in (-40, 40) for z in (-40, 40)]).T
    return float(np.linalg.norm(((found - true) @ points)[:3], axis=0).max())


@pytest.fixture(scope="module")
def pair() -> tuple[Sampled, Sampled, np.ndarray]:
    """Another contrast of the same head in slices of 5 mm on left-posterior axes, turned and
    shifted; and how.
    """
    true = rigid((9, -6, 12), (10, -8, 6))
    slices = Grid(
        (64, 64, 28), np.array([[-2.0, 0, 0, 64], [0, -2, 0, 64], [0, 0, 5, -68], [0, 0, 0, 1]])
    )
    other = head((900, 300, 500, 150))
    return (
        head((200, 400, 600, 800)),
        Sampled(resample(other, slices, np.linalg.inv(true), "linear"), slices),
        true,
    )


def test_a_known_turn_and_shift_between_two_contrasts_and_two_slicings_is_found(pair):
    fixed, moving, true = pair
    found = register(moving, fixed, "t2w")
    assert error_mm(found.matrix, true) < 1.0
    assert found.overlap > 0.9


def test_the_matrix_is_the_same_in_every_run_and_on_any_number_of_threads(pair):
    fixed, moving, _ = pair
    before, found = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), set()
    try:
        for threads in (1, 3, 3):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            found.add(register(moving, fixed, "t2w").matrix.tobytes())
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert len(found) == 1


def test_a_series_of_noise_is_refused_by_name():
    noise = np.random.default_rng(1).normal(500, 50, (64, 64, 64)).astype(np.float32)
    with pytest.raises(
        InputError,
        match=(
            r"t2f: registration found no alignment.*Check that the series shows the same"
            r" head"
        ),
    ):
        register(Sampled(noise, Grid((64, 64, 64), RAS_2MM)), head((200, 400, 600, 800)), "t2f")


def test_a_constant_series_is_refused_by_name():
    with pytest.raises(InputError, match="t2f: cannot be registered"):
        register(
            Sampled(np.ones((64, 64, 64)), Grid((64, 64, 64), RAS_2MM)),
            head((200, 400, 600, 800)),
            "t2f",
        )


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
    turn = rigid((10, 20, 30), (1, 2, 3))
    centre = np.array([5.0, 6.0, 7.0])
    found = rigid_part(turn @ np.diag([1.2, 1.2, 1.2, 1]), centre)
    np.testing.assert_allclose(found[:3, :3], turn[:3, :3], atol=1e-12)
    np.testing.assert_allclose(
        found @ [*centre, 1], turn @ np.diag([1.2, 1.2, 1.2, 1]) @ [*centre, 1], atol=1e-12
    )


def test_an_isotropic_grid_covers_the_same_field_of_view():
    grid = Grid((10, 10, 4), np.array([[1.0, 0, 0, -7], [0, 1, 0, 3], [0, 0, 5, 0], [0, 0, 0, 1]]))
    cubes = isotropic(grid, 2.0)
    assert cubes.shape == (5, 5, 10)
    for corner in (-0.5, 1.0):
        outer = [
            np.array(shape) - 0.5 if corner == 1.0 else np.full(3, -0.5)
            for shape in (grid.shape, cubes.shape)
        ]
        np.testing.assert_allclose(grid.affine @ [*outer[0], 1], cubes.affine @ [*outer[1], 1])
