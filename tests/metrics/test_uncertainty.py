"""Entropy and the risk-coverage curve, by hand, against slow loops, and between the best and no
ranking.
"""

from itertools import permutations
from math import isnan, log, log2

import numpy as np
import pytest

from pipeline.metrics.uncertainty import (
    LEVELS,
    aurc,
    aurc_oracle,
    aurc_random,
    count_errors,
    entropy_bits,
    uncertainty_percent,
)


def counts_of(*levels):
    """(right, wrong) of each level, from sure to unsure."""
    return np.array(levels, np.int64).reshape(-1, 2)


def loop_area(wrong):
    """Mean over k of the share of wrong ones among the first k."""
    return sum(sum(wrong[:k]) / k for k in range(1, len(wrong) + 1)) / len(wrong)


def drawn(voxels, errors, seed):
    """An uncertainty and errors that go with it."""
    random = np.random.default_rng(seed)
    uncertainty = random.random(voxels, dtype=np.float32)
    chances = uncertainty / uncertainty.sum(dtype=np.float64)
    places = random.choice(voxels, errors, replace=False, p=chances)
    return uncertainty, np.isin(np.arange(voxels), places)


def test_entropy_equals_its_formula_down_to_the_smallest_probabilities():
    probabilities = np.concatenate(
        [np.logspace(-37, -0.01, 50), 1 - np.logspace(-7, -0.01, 50), [0.5, 0.25]]
    ).astype(np.float32)
    expected = [-p * log2(p) - (1 - p) * log2(1 - p) for p in map(float, probabilities)]
    found = entropy_bits(probabilities)
    assert entropy_bits(np.array([0, 0.5, 1], np.float32)).tolist() == [0, 1, 0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_voxel_is_as_uncertain_as_its_least_certain_region_in_steps_of_five_percent():
    # entropies: 0; 1 bit; 0.811 bit at 0.25 beside 0.081 at 0.99
    probabilities = np.array([[0, 1], [0.5, 0], [0.25, 0.99], [0.99, 0.75]], np.float32)
    found = uncertainty_percent(probabilities.reshape(4, 1, 1, 2))
    assert found.ravel().tolist() == [0, 100, 80, 80]
    assert found.dtype == np.uint8


def test_four_voxels_by_hand():
    # in order of uncertainty right, wrong, right, wrong: risks 0, 1/2, 1/3, 2/4
    uncertainty, wrong = np.array([0.9, 0.1, 0.6, 0.3], np.float32), np.array([1, 0, 0, 1], bool)
    counts = count_errors(uncertainty, wrong, 1.0)
    assert aurc(counts) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert aurc_random(counts) == pytest.approx(1 / 2)
    assert aurc_oracle(counts) == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)


@pytest.mark.parametrize(
    ("voxels", "errors"), [(1, 0), (1, 1), (7, 3), (500, 40), (3000, 1), (3000, 2999), (5000, 200)]
)
def test_the_area_equals_the_mean_of_all_selective_risks(voxels, errors):
    uncertainty, wrong = drawn(voxels, errors, voxels)
    levels = (uncertainty * np.float32(LEVELS)).astype(int)
    ordered = counts_of(*[(1 - w, w) for w in wrong[np.argsort(levels, kind="stable")].tolist()])
    assert aurc(ordered) == pytest.approx(loop_area(ordered[:, 1].tolist()), rel=1e-9)
    assert aurc(count_errors(uncertainty, wrong, 1.0)) == pytest.approx(
        aurc(ordered), rel=0.02, abs=1e-12
    )


def test_tied_voxels_count_as_the_mean_over_their_orders():
    orders = permutations([0, 0, 1, 1, 1])
    by_hand = np.mean([loop_area([0, 1, *order, 0, 1]) for order in orders])
    counts = counts_of((1, 0), (0, 1), (2, 3), (1, 0), (0, 1))
    assert aurc(counts) == pytest.approx(by_hand, rel=1e-12)


def test_the_area_is_exact_where_large_numbers_would_cancel():
    # a million right voxels, then one wrong: only the last risk differs from 0
    voxels = 1_000_001
    assert aurc(counts_of((voxels - 1, 0), (0, 1))) == pytest.approx(1 / voxels / voxels, rel=1e-6)
    levels = counts_of((999, 1), (2, 0), (999_000, 10), (500, 300))
    risks = np.repeat(levels[:, 1] / levels.sum(1), levels.sum(1)).cumsum()
    expected = (risks / np.arange(1, levels.sum() + 1)).mean()
    assert aurc(levels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("errors", [0, 1, 30, 199, 200])
def test_an_uncertainty_that_ranks_all_errors_last_reaches_the_oracle(errors):
    alone = counts_of(*[(1, 0)] * (200 - errors), *[(0, 1)] * errors)
    assert aurc(alone) == pytest.approx(aurc_oracle(alone), rel=1e-9, abs=1e-15)
    assert aurc(alone) <= aurc_random(alone) + 1e-15


def test_the_oracle_comes_near_its_limit_for_many_voxels():
    # Geifman, Uziel and El-Yaniv 2019: r + (1 - r) ln(1 - r)
    limit = 0.1 + 0.9 * log(0.9)
    assert aurc_oracle(counts_of((900_000, 100_000))) == pytest.approx(limit, rel=1e-4)


def test_any_uncertainty_lies_between_the_oracle_and_its_reverse():
    for seed in range(20):
        counts = count_errors(*drawn(300, 40, seed), 1.0)
        best, worst = aurc_oracle(counts), aurc(np.diag(counts.sum(axis=0))[::-1])
        assert best <= aurc(counts) <= worst


def test_the_largest_uncertainty_has_a_level_and_no_voxel_gets_lost():
    counts = count_errors(np.array([0, 0.5, 0.5], np.float32), np.array([False, True, False]), 0.5)
    assert counts.shape == (LEVELS, 2)
    assert counts[0].tolist() == [1, 0]
    assert counts[-1].tolist() == [1, 1]


def test_without_voxels_there_is_no_area():
    counts = count_errors(np.empty(0, np.float32), np.empty(0, bool), 1.0)
    assert all(isnan(area(counts)) for area in (aurc, aurc_random, aurc_oracle))
