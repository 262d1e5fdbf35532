from itertools import product
from math import inf, isnan, nan

import numpy as np
import pytest
from scipy import stats

from pipeline.statistics.bootstrap import interval, interval_of_means

SAMPLES = {
    "skewed to 1": np.random.default_rng(3).beta(8, 2, 40),
    "skewed to 0": np.random.default_rng(4).exponential(5.0, 25),
    "with ties": np.round(np.random.default_rng(5).beta(6, 2, 31), 1),
}


def enumerated(values, statistic, confidence):
    """BCa from all N^N bootstrap samples, term by term."""
    taken = {"mean": np.mean, "median": np.median}[statistic]
    replicates = np.array([taken(drawn) for drawn in product(values, repeat=len(values))])
    apart = replicates - taken(values)
    bias = stats.norm.ppf(((apart < -1e-12).mean() + (apart <= 1e-12).mean()) / 2)
    left_out = [taken(values[:place] + values[place + 1 :]) for place in range(len(values))]
    pulls = np.mean(left_out) - left_out
    acceleration = (pulls**3).sum() / (6 * (pulls**2).sum() ** 1.5) if pulls.any() else 0
    reach = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    shares = stats.norm.cdf(bias + reach / (1 - acceleration * reach))
    return np.quantile(replicates, shares).tolist()


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize(
    "values", [[0.1, 0.5, 0.7, 0.9, 0.95], [3.0, 1.0, 4.0, 1.0, 5.0], [1.0, 1.0, 1.0, 0.0, 0.5]]
)
def test_few_values_have_the_interval_of_all_their_bootstrap_samples(values, statistic):
    drawn = interval(values, statistic, resamples=100_000, confidence=0.9)
    assert drawn == pytest.approx(enumerated(values, statistic, 0.9), abs=0.01 * max(values))


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("name", SAMPLES)
def test_an_interval_is_that_of_scipy_but_for_the_draws(name, statistic):
    values = SAMPLES[name]
    oracle = stats.bootstrap(
        (values,), getattr(np, statistic), method="BCa", n_resamples=20_000, rng=1
    ).confidence_interval
    width = oracle.high - oracle.low
    assert interval(values, statistic, resamples=20_000) == pytest.approx(oracle, abs=0.06 * width)


def test_intervals_hold_the_true_mean_as_often_as_they_say_and_as_those_of_scipy():
    drawn = np.random.default_rng(6).exponential(1.0, (200, 30))
    ours = np.array([interval(sample, "mean", resamples=1000) for sample in drawn])
    theirs = stats.bootstrap(
        (drawn,), np.mean, method="BCa", n_resamples=1000, rng=2, axis=1, batch=200
    ).confidence_interval
    held = ((ours[:, 0] <= 1) & (ours[:, 1] >= 1)).mean()
    held_theirs = ((theirs.low <= 1) & (theirs.high >= 1)).mean()
    assert 0.88 <= held <= 0.98
    assert held == pytest.approx(held_theirs, abs=0.03)


@pytest.mark.parametrize("clusters", [None, np.arange(40) // 3])
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_interval_moves_with_the_values_and_mirrors_with_them(statistic, clusters):
    values = SAMPLES["skewed to 1"]
    low, high = interval(values, statistic, clusters=clusters)
    assert low < getattr(np, statistic)(values) < high
    for changed, expected in (
        (values + 5, (low + 5, high + 5)),
        (values * 100, (low * 100, high * 100)),
        (-values, (-high, -low)),
    ):
        found = interval(changed, statistic, clusters=clusters)
        assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_order_of_cases_and_the_names_of_patients_change_nothing(statistic):
    values, patients = SAMPLES["with ties"], np.arange(31) // 2
    order = np.random.default_rng(7).permutation(31)
    assert interval(values[order], statistic) == interval(values, statistic)
    named = [f"patient {number * 7 % 31}" for number in patients[order]]
    assert interval(values[order], statistic, clusters=named) == interval(
        values, statistic, clusters=patients
    )


def test_the_seed_alone_makes_the_draws_and_more_confidence_a_wider_interval():
    values = SAMPLES["skewed to 0"]
    assert interval(values, "mean", seed=1) == interval(list(values), "mean", seed=1)
    assert interval(values, "mean", seed=1) != interval(values, "mean", seed=2)
    wide, narrow = (interval(values, "mean", confidence=share) for share in (0.99, 0.8))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(("statistic", "clusters"), [("mean", None), ("median", "abcdef")])
def test_undefined_values_are_left_out(statistic, clusters):
    found = interval([nan, 0.2, nan, 0.4, 0.9, 0.5], statistic, clusters=clusters)
    assert found == interval([0.2, 0.4, 0.9, 0.5], statistic)


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        *(([], None), ([0.5], None), ([0.5, 0.6], None)),
        *(([nan, 0.5, 0.6], None), ([nan] * 5, None), (range(31), [1] * 20 + [2] * 11)),
    ],
)
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_fewer_than_three_values_or_patients_have_no_interval(values, clusters, statistic):
    assert all(isnan(end) for end in interval(values, statistic, clusters=clusters))


@pytest.mark.parametrize("clusters", [None, "aabbccc"])
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_equal_values_have_an_interval_without_width(statistic, clusters):
    assert interval([0.1] * 7, statistic, clusters=clusters) == (0.1, 0.1)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_patients_with_one_case_each_are_cases_and_one_with_two_equal_ones_counts_once(statistic):
    values = SAMPLES["skewed to 1"]
    alone = interval(values, statistic)
    assert interval(values, statistic, clusters=range(40)) == alone
    doubled = interval(np.repeat(values, 2), statistic, clusters=np.repeat(np.arange(40), 2))
    assert doubled == pytest.approx(alone, abs=1e-12)


def test_the_median_of_patients_drawn_whole_is_taken_over_their_cases():
    rng = np.random.default_rng(8)
    patients = rng.integers(0, 12, 40)
    values = SAMPLES["skewed to 1"]
    groups = [values[patients == patient] for patient in np.unique(patients)]
    draws = rng.integers(len(groups), size=(2000, len(groups)))
    replicates = [np.median(np.concatenate([groups[place] for place in own])) for own in draws]
    low, high = interval(values, "median", clusters=patients)
    assert (low, high) == pytest.approx(np.quantile(replicates, [0.025, 0.975]), abs=0.03)


@pytest.mark.parametrize(
    ("values", "changes", "says"),
    [
        ([0.1, inf, 0.3], {}, "finite"),
        ([0.1, 0.2, 0.3], {"clusters": "ab"}, "a cluster for each of 3 values"),
        ([0.1, 0.2, 0.3], {"resamples": 999}, "even"),
        ([0.1, 0.2, 0.3], {"resamples": 0}, "even"),
    ],
)
def test_what_cannot_be_drawn_from_is_rejected(values, changes, says):
    with pytest.raises(ValueError, match=says):
        interval(values, "mean", **changes)


@pytest.mark.parametrize("clusters", [None, np.arange(30) // 2])
def test_the_mean_over_regions_has_the_interval_of_the_means_of_the_cases_if_all_are_defined(
    clusters,
):
    table = np.random.default_rng(9).beta(8, 2, (30, 3))
    of_means = interval(table.mean(axis=1), "mean", clusters=clusters)
    assert interval_of_means(table, clusters=clusters) == pytest.approx(of_means, abs=1e-12)
    one = interval(table[:, 0], "mean", clusters=clusters)
    assert interval_of_means(table[:, :1], clusters=clusters) == one


def test_a_case_without_one_region_counts_in_the_others():
    table = np.random.default_rng(10).beta(8, 2, (30, 2))
    table[::3, 1] = nan
    table[4] = nan
    low, high = interval_of_means(np.column_stack([table, [nan] * 30]))
    assert low < np.nanmean(table, axis=0).mean() < high
    assert (low, high) == interval_of_means(table[::-1])
    assert (low, high) != interval_of_means(np.nan_to_num(table))


def test_a_region_that_a_draw_misses_is_left_out_of_its_mean_and_one_without_a_case_altogether():
    table = np.array([[0.1, 0.5], [0.2, nan], [0.3, nan], [0.4, nan]])
    low, high = interval_of_means(table)
    assert 0.1 <= low < high <= 0.5
    assert all(isnan(end) for end in interval_of_means(np.full((5, 2), nan)))
