"""Windows, draws and cuts, on volumes small enough to check by hand."""

import numpy as np
import pytest

from pipeline.preparation.patches import (
    box_of,
    cut,
    cut_slab,
    draw_origin,
    importance,
    overlap_of,
    window_origins,
)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
@pytest.mark.parametrize(
    ("shape", "patch"),
    [
        ((10, 9, 8), (4, 3, 8)),
        ((5, 5, 5), (8, 2, 5)),
        ((7, 6, 4), (4, 4)),
        ((3, 3, 2), (8, 8)),
        ((33, 32, 31), (16, 16, 16)),
    ],
)
def test_windows_cover_every_voxel_and_stay_inside_where_they_fit(shape, patch, overlap):
    seen = np.zeros(shape, int)
    box = box_of(patch)
    for origin in window_origins(shape, patch, overlap):
        inside, _ = overlap_of(shape, origin, box)
        seen[inside] += 1
        for lowest, side, length in zip(origin, box, shape, strict=True):
            assert side > length or 0 <= lowest <= length - side
    assert seen.min() >= 1


def test_windows_tile_a_volume_or_share_the_overlap_and_one_larger_than_it_is_centred_on_it():
    starts = sorted({origin[0] for origin in window_origins((100, 4, 4), (16, 4, 4), 0.5)})
    assert (starts[0], starts[-1]) == (0, 84)
    assert max(np.diff(starts)) <= 8
    assert window_origins((4, 2, 2), (2, 2), 0.0) == [(0, 0, 0), (0, 0, 1), (2, 0, 0), (2, 0, 1)]
    assert window_origins((4, 6, 1), (8, 6), 0.5) == [(-2, 0, 0)]


@pytest.mark.parametrize("patch", [(8, 6), (9, 8, 4)])
def test_importance_is_a_symmetric_gaussian_that_never_vanishes(patch):
    weights = importance(patch)
    assert weights.shape == box_of(patch)
    assert weights.dtype == np.float32
    assert weights.max() == 1
    assert weights.min() > 0
    for axis in range(3):
        np.testing.assert_array_equal(weights, np.flip(weights, axis))
    along = importance((17, 1, 1))[:, 0, 0]  # sigma is an eighth of the side
    assert along[8 + 2] == pytest.approx(np.exp(-0.5 * (2 / (17 / 8)) ** 2), rel=1e-6)


def test_draws_without_foreground_reach_every_origin_and_no_other():
    drawn = np.random.default_rng(0)
    origins = {
        draw_origin(drawn, (5, 4, 3), (3, 4), np.empty((0, 4), np.int16), 1.0) for _ in range(300)
    }
    assert origins == {(x, 0, z) for x in range(3) for z in range(3)}


@pytest.mark.parametrize("patch", [(4, 4), (4, 4, 4)])
def test_a_foreground_draw_holds_the_voxel_and_sees_rare_classes_as_often(patch):
    foreground = np.array([[1, x, 5, 5] for x in range(9)] + [[3, 0, 9, 2]], np.int16)
    drawn, rare = np.random.default_rng(1), 0
    for _ in range(200):
        origin = draw_origin(drawn, (10, 10, 10), patch, foreground, 1.0)
        held = [
            all(
                lowest <= at < lowest + side
                for lowest, at, side in zip(origin, voxel, box_of(patch), strict=True)
            )
            for voxel in foreground[:, 1:]
        ]
        assert any(held)
        rare += held[-1]
    assert 60 < rare < 140


def test_the_share_of_foreground_draws_is_kept_and_a_larger_patch_is_drawn_centred():
    drawn = np.random.default_rng(2)
    middle, corner = np.array([[1, 50, 50, 50]], np.int16), np.array([[1, 0, 0, 0]], np.int16)
    origins = [draw_origin(drawn, (100, 100, 100), (4, 4, 4), middle, 0.25) for _ in range(400)]
    assert 60 < origins.count((48, 48, 48)) < 140
    assert draw_origin(drawn, (4, 10, 1), (8, 4), corner, 1.0) == (-2, 0, 0)


def test_cut_copies_a_slice_or_a_box_and_pads_with_zeros_beyond_the_volume():
    volume = np.arange(1, 25, dtype=np.float16).reshape(2, 3, 4, 1)
    patch = cut(volume, (-1, 1, 0), (4, 2, 4))
    assert patch.dtype == np.float16
    np.testing.assert_array_equal(patch[1:3], volume[:, 1:3])
    assert not patch[0].any()
    assert not patch[3].any()
    plane = cut(volume, (0, 1, 2), (2, 2))
    np.testing.assert_array_equal(plane, volume[:, 1:3, 2])
    assert not np.shares_memory(plane, volume)


def test_a_slab_holds_a_slice_between_its_neighbours_and_zeros_beyond_the_volume():
    volume = np.arange(1, 25, dtype=np.float16).reshape(2, 3, 4, 1)
    slab = cut_slab(volume, (0, 1, 2), (2, 2), 3)
    np.testing.assert_array_equal(slab, volume[:, 1:3, 1:4])
    last = cut_slab(volume[..., 0], (0, 0, 3), (2, 3), 5)
    np.testing.assert_array_equal(last[..., :3], volume[:, :, 1:4, 0])
    assert not last[..., 3:].any()
