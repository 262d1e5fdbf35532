"""Visits are registered, or left where they agree already; agreement is measured."""

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.following.aligning import align, normalised_mutual_information
from pipeline.registration.mutual_information import Sampled, resample
from tests.registration.conftest import RAS_2MM, error_mm, head, rigid

TISSUES = (200, 400, 600, 800)


def moved(motion):
    source = head((900, 300, 500, 150))
    return Sampled(resample(source, source.grid, motion, "linear"), source.grid)


def test_a_moved_head_of_another_contrast_is_brought_back_and_agrees_better():
    motion = rigid((5, -4, 9), (6, -8, 4))
    found = align(moved(motion), head(TISSUES), "visit 2")
    assert error_mm(found.matrix, np.linalg.inv(motion)) < 1
    assert found.turn_deg == pytest.approx(11, abs=1)  # of the three turns together
    assert found.nmi_after > found.nmi_before + 0.05
    assert found.dice_after > 0.95 > found.dice_before
    assert found.poor == ""


def test_a_head_that_lies_right_is_not_moved():
    found = align(head(TISSUES), head(TISSUES), "visit 2")
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    assert (found.shift_mm, found.turn_deg) == (0, 0)
    assert found.nmi_after == found.nmi_before == pytest.approx(2)


def test_half_a_head_is_reported_as_a_poor_match():
    half = head(TISSUES).voxels.copy()
    half[:, :24] = 0
    found = align(Sampled(half, head(TISSUES).grid), head(TISSUES), "visit 2")
    assert found.poor.startswith("the heads overlap by Dice 0.")


def test_noise_is_rejected_by_the_name_of_the_visit():
    voxels = np.random.default_rng(1).normal(500, 50, (64, 64, 64)).astype(np.float32)
    noise = Sampled(voxels, Grid(voxels.shape, RAS_2MM))
    with pytest.raises(InputError, match=r"visit 3: .* Or move this visit out of the folder"):
        align(noise, head(TISSUES), "visit 3")


def test_mutual_information_is_two_for_equal_and_one_for_independent_values():
    values = np.arange(64.0).repeat(64)
    assert normalised_mutual_information(values, -values) == pytest.approx(2)
    assert normalised_mutual_information(values, np.tile(np.arange(64.0), 64)) == pytest.approx(1)
    assert normalised_mutual_information(np.empty(0), np.empty(0)) == 1
