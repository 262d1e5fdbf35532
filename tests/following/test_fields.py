"""Lesions outside the images of another visit are found there, and matched with each other."""

import numpy as np
import pytest

from pipeline.core.grid import Grid
from pipeline.following.aligning import unmoved
from pipeline.following.fields import MOST_BEYOND_MM, around, share_outside

BASE = Grid((40, 40, 20), np.eye(4))


def shifted(z_mm, shape=(40, 40, 20)):
    affine = np.eye(4)
    affine[2, 3] = z_mm
    return Grid(shape, affine)


def lesion(grid, z):
    mask = np.zeros(grid.shape, bool)
    mask[10:20, 10:20, z] = True
    return mask


@pytest.mark.parametrize(
    ("z", "share"), [(slice(0, 10), 0.0), (slice(5, 15), 0.5), (slice(12, 18), 1.0)]
)
def test_the_share_of_a_lesion_outside_the_images_of_another_visit(z, share):
    grid, still = shifted(10), unmoved()
    found = share_outside(lesion(grid, z), grid, still, BASE, still)
    assert found == pytest.approx(share)


def test_nothing_lies_outside_of_nothing():
    assert share_outside(np.zeros(BASE.shape, bool), BASE, unmoved(), BASE, unmoved()) == 0


def test_the_common_grid_holds_the_lesions_of_all_visits_on_the_voxels_of_the_baseline():
    later = shifted(30)
    masks = [lesion(BASE, slice(2, 6)), lesion(later, slice(10, 14))]
    common = around(BASE, masks, [BASE, later], [unmoved()] * 2)
    start, end = common.affine[:3, 3], common.affine[:3, 3] + common.shape
    assert np.array_equal(start, np.rint(start))
    assert start[2] <= 0
    assert start[0] <= 8
    assert end[2] >= 46
    assert common.spacing_mm == BASE.spacing_mm


def test_the_common_grid_does_not_follow_a_failed_registration_far_away():
    far = shifted(5000)
    masks = [lesion(BASE, slice(2, 6)), lesion(far, slice(2, 6))]
    common = around(BASE, masks, [BASE, far], [unmoved()] * 2)
    assert common.shape[2] <= BASE.shape[2] + 2 * MOST_BEYOND_MM
    assert around(far, masks[:1], [BASE], [unmoved()]).shape[2] >= 1


def test_without_lesions_the_grid_is_that_of_the_baseline():
    assert around(BASE, [np.zeros(BASE.shape, bool)], [BASE], [unmoved()]) is BASE
