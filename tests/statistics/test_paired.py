from functools import partial
from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from pipeline.statistics.bootstrap import interval
from pipeline.statistics.paired import (
    compare_pairs,
    holm,
    most_changed,
    paired_rows,
    sign_flip_p,
    wilcoxon_p,
)

BOTH = {"dice": 1, "hd95_mm": -1}


def row(case, **values):
    shared = {"patient": f"P{case}", "kind": "region", "name": "WT", "filled": ""}
    return {"case": case, **shared, **values}


def rows_of(values, **more):
    return [row(f"{number:02d}", dice=value, **more) for number, value in enumerate(values)]


@pytest.fixture
def runs():
    """Dice and HD95 of two regions of 20 cases under two runs, some undefined."""
    rng = np.random.default_rng(11)
    first = [
        row(f"{case:02d}", dice=rng.beta(8, 2), hd95_mm=rng.exponential(5)) | {"name": name}
        for name in ("WT", "ET")
        for case in range(20)
    ]
    second = [
        one
        | {
            "dice": min(one["dice"] + rng.normal(0.02, 0.03), 1.0),
            "hd95_mm": one["hd95_mm"] * rng.uniform(0.7, 1.1),
        }
        for one in first
    ]
    first[25]["hd95_mm"] = nan
    return first, second


@pytest.mark.parametrize(
    ("test", "differences", "p"),
    [
        (sign_flip_p, [1.0, 2.0, 3.0], 2 / 8),  # of eight sums only 6 and -6 reach 6
        (sign_flip_p, [1.0, 2.0, -3.0], 1),  # every sum reaches 0
        (sign_flip_p, [3.0, 2.0, -1.0], 4 / 8),  # 6, 4, -4 and -6 reach 4
        (sign_flip_p, [0.0] * 30 + [1.0, 2.0, 3.0], 2 / 8),  # zeros carry no sign
        (sign_flip_p, [0.0, 0.0], 1),
        (sign_flip_p, [0.3], 1),
        (sign_flip_p, [], nan),
        (partial(sign_flip_p, permutations=999), [1.0] * 100, 1 / 1000),  # never 0
        (wilcoxon_p, [0.1, 0.2, 0.3], 2 / 8),
        (wilcoxon_p, [0.0, 0.0], 1),
        (wilcoxon_p, [], nan),
    ],
)
def test_few_differences_have_the_p_of_their_signs_counted_by_hand(test, differences, p):
    assert test(differences) == pytest.approx(p, nan_ok=True)


@pytest.mark.parametrize("count", [2, 5, 9, 14])
def test_p_of_few_differences_is_that_of_scipy(count):
    values = np.random.default_rng(count).normal(0.3, 1, count)
    oracle = stats.permutation_test(
        (values, np.zeros(count)),
        lambda one, other: np.mean(one - other),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert sign_flip_p(values) == pytest.approx(oracle.pvalue, abs=1e-12)


def test_drawn_signs_come_close_to_all_signs():
    values = np.random.default_rng(12).normal(0.35, 1, 16)
    totals = np.array(list(product((1, -1), repeat=16))) @ np.abs(values)
    exact = (np.abs(totals) >= abs(values.sum()) - 1e-12).mean()
    assert sign_flip_p(values) == pytest.approx(exact, abs=0.012)


def test_p_is_even_where_nothing_differs():
    rng = np.random.default_rng(13)
    found = [sign_flip_p(rng.normal(0, 1, 20), permutations=199) for _ in range(400)]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("test", [sign_flip_p, wilcoxon_p])
@pytest.mark.parametrize("count", [3, 6, 40])
def test_neither_sign_nor_order_nor_unit_change_p(test, count):
    values = np.random.default_rng(count).normal(0.3, 1, count).round(2)
    order = np.random.default_rng(1).permutation(count)
    assert test(-values) == test(values[order]) == test(values * 8) == test(values)


@pytest.mark.parametrize("test", [sign_flip_p, wilcoxon_p])
def test_the_cases_of_a_patient_are_one_observation(test):
    values = np.random.default_rng(14).normal(0.4, 1, 9)
    doubled, patients = np.repeat(values, 2), np.repeat(np.arange(9), 2)
    assert test(doubled, patients) == pytest.approx(test(values))
    assert test(doubled, range(18)) == pytest.approx(test(doubled))
    assert test(doubled) < test(doubled, patients)


@pytest.mark.parametrize(("count", "digits"), [(1, 9), (4, 1), (13, 9), (14, 1), (60, 1), (60, 9)])
def test_wilcoxon_is_that_of_scipy(count, digits):
    values = np.random.default_rng(count).normal(0.2, 1, count).round(digits)
    assert wilcoxon_p(values) == pytest.approx(stats.wilcoxon(values).pvalue)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.6, 0.5], [1.0, 1.0]),
        ([nan, 0.01, 0.02], [nan, 0.02, 0.02]),
        ([], []),
    ],
)
def test_holm_multiplies_the_smallest_most_keeps_the_order_and_leaves_out_what_is_no_test(
    p_values, adjusted
):
    assert holm(p_values) == pytest.approx(adjusted, nan_ok=True)


def test_a_comparison_computed_by_hand():
    first, second = rows_of([0.5, 0.6, 0.7, nan]), rows_of([0.6, 0.8, 1.0, 0.9])
    second[2]["filled"] = "both_empty"
    (result,) = compare_pairs(first, second, {"dice": 1})
    assert (result["kind"], result["name"], result["metric"]) == ("region", "WT", "dice")
    counts = ("cases", "patients", "undefined", "filled", "better", "worse")
    assert [result[key] for key in counts] == [3, 3, 1, 1, 3, 0]
    means = (result["mean_first"], result["mean_second"], result["difference"])
    assert means == pytest.approx((0.6, 0.8, 0.2))
    assert (result["low"], result["high"]) == interval([0.1, 0.2, 0.3], "mean")
    assert result["p_permutation"] == result["p_wilcoxon"] == result["p_permutation_holm"] == 0.25


def test_two_pairs_have_a_difference_but_no_interval_and_none_has_nothing():
    tests = ("p_permutation", "p_wilcoxon", "p_permutation_holm")
    (two,) = compare_pairs(rows_of([0.5, 0.6]), rows_of([0.6, 0.6]), {"dice": 1})
    assert isnan(two["low"])
    assert (two["difference"], two["p_permutation"]) == (0.05, 1.0)
    (none,) = compare_pairs(rows_of([nan, nan]), rows_of([0.6, 0.6]), {"dice": 1})
    assert (none["cases"], none["undefined"]) == (0, 2)
    assert all(isnan(none[key]) for key in ("mean_first", "difference", "low", *tests))


def test_swapped_runs_mirror_the_difference_and_keep_p(runs):
    first, second = runs
    there, back = (compare_pairs(*pair, BOTH) for pair in ((first, second), (second, first)))
    for one, other in zip(there, back, strict=True):
        assert (one["difference"], one["low"], one["high"]) == pytest.approx(
            (-other["difference"], -other["high"], -other["low"]), abs=1e-12
        )
        assert (one["mean_first"], one["better"]) == (other["mean_second"], other["worse"])
        for p in ("p_permutation", "p_wilcoxon", "p_permutation_holm", "p_wilcoxon_holm"):
            assert one[p] == other[p]


def test_the_order_of_the_cases_changes_nothing(runs):
    first, second = runs
    order = np.random.default_rng(16).permutation(20)
    mixed = [first[place] for place in (*order, *(order + 20))]
    assert str(compare_pairs(mixed, second[::-1], BOTH)) == str(compare_pairs(first, second, BOTH))


def test_equal_runs_do_not_differ(runs):
    for result in compare_pairs(runs[0], runs[0], BOTH):
        same = ("difference", "low", "high", "better", "worse", "verdict")
        assert [result[key] for key in same] == [0] * 6
        assert result["p_permutation"] == result["p_wilcoxon"] == 1


def test_holm_is_taken_over_all_metrics_and_regions(runs):
    results = compare_pairs(*runs, BOTH)
    tested = [(result["name"], result["metric"]) for result in results]
    assert tested == list(product(("WT", "ET"), BOTH))
    for test in ("p_permutation", "p_wilcoxon"):
        adjusted = holm([result[test] for result in results])
        assert [result[f"{test}_holm"] for result in results] == adjusted


def test_what_one_run_alone_has_is_left_out(runs):
    first, second = runs
    pairs = paired_rows(first, second[5:20])
    assert list(pairs) == [("region", "WT")]
    shared = [(one["case"], other["case"]) for one, other in pairs["region", "WT"]]
    assert shared == [(f"{case:02d}",) * 2 for case in range(5, 20)]


def test_a_significant_difference_is_better_or_worse_by_the_direction_of_the_metric():
    first = [row(f"{case:02d}", dice=0.5, hd95_mm=5.0) for case in range(20)]
    second = [row(f"{case:02d}", dice=0.6, hd95_mm=6.0 + 0.1 * case) for case in range(20)]
    for pair, verdicts in (((first, second), [1, -1]), ((second, first), [-1, 1])):
        found = compare_pairs(*pair, BOTH)
        assert [result["verdict"] for result in found] == verdicts
        assert [(result["better"], result["worse"]) for result in found] == [
            (20, 0) if verdict == 1 else (0, 20) for verdict in verdicts
        ]


def test_the_cases_with_the_largest_changes_come_first_each_with_its_largest():
    first = [row(case, dice=0.5) | {"name": name} for case in "abc" for name in ("WT", "ET")]
    changes = {("a", "ET"): 0.1, ("b", "WT"): -0.3, ("b", "ET"): 0.2}
    second = [
        one | {"dice": one["dice"] + changes.get((one["case"], one["name"]), 0)} for one in first
    ]
    found = [(one["case"], one["name"]) for one, _ in most_changed(first, second, "dice")]
    assert found == [("b", "WT"), ("a", "ET")]
