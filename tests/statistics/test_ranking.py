from math import nan

import numpy as np
import pytest
from scipy.stats import rankdata

from pipeline.statistics.paired import sign_flip_p
from pipeline.statistics.ranking import ranked, ranks

BOTH = {"dice": 1, "hd95_mm": -1}


def rows_of(dice, hd95_mm=None, name="WT", patients=None):
    distances = [1.0] * len(dice) if hd95_mm is None else hd95_mm
    patients = patients or range(len(dice))
    return [
        {"case": f"{place:02d}", "patient": patient, "kind": "region", "name": name}
        | {"dice": one, "hd95_mm": other}
        for place, (patient, one, other) in enumerate(zip(patients, dice, distances, strict=True))
    ]


@pytest.mark.parametrize(
    ("values", "directions", "expected"),
    [
        ([[[0.9, 5.0]], [[0.7, 2.0]], [[0.8, 3.0]]], [1, -1], [1, 3, 3, 1, 2, 2]),
        ([[[0.9]], [[0.9]], [[0.1]]], [1], [1.5, 1.5, 3]),
        ([[[0.8 - 0.1]], [[0.7]]], [1], [1.5, 1.5]),
        ([[[nan]], [[0.0]], [[nan]]], [1], [2.5, 1, 2.5]),
        ([[[nan]], [[400.0]]], [-1], [2, 1]),
    ],
    ids=["directions", "ties share", "rounding breaks no tie", "undefined", "undefined distance"],
)
def test_the_best_is_first_ties_share_and_an_undefined_value_is_worse_than_any(
    values, directions, expected
):
    assert ranks(values, directions).ravel().tolist() == expected


def test_ranks_are_those_of_scipy_and_sum_to_the_same():
    values = np.random.default_rng(1).uniform(size=(5, 7, 3))
    placed = ranks(values, [1, -1, 1])
    assert (placed[:, 2, 1] == rankdata(values[:, 2, 1])).all()
    assert (placed.sum(axis=0) == 15).all()


def test_a_standing_computed_by_hand():
    runs = {
        "old": rows_of([0.7, 0.9], [4.0, 3.0]),
        "new": rows_of([0.8, 0.8], [2.0, 2.0]),
        "bad": rows_of([0.1, nan], [9.0, nan]),
    }
    new, old, bad = ranked(runs, BOTH)
    assert [row["run"] for row in (new, old, bad)] == ["new", "old", "bad"]
    # new: ranks 1 1 2 1; old: 2 2 1 2
    assert (new["mean_rank"], old["mean_rank"], bad["mean_rank"]) == (1.25, 1.75, 3.0)
    counts = {"place": 1, "first": 3, "cases": 2, "rankings": 4}
    assert new.items() >= ({"score": 1.25 / 3} | counts).items()
    assert new["p_next"] == sign_flip_p([-1.0, 0.0]) == 1.0
    assert "p_next" not in bad


def test_p_of_neighbours_flips_the_mean_ranks_of_whole_cases():
    rng = np.random.default_rng(2)
    tables = {name: rng.beta(8, 2, 10) + gain for name, gain in (("one", 0.0), ("two", 0.1))}
    best, worst = ranked({name: rows_of(values) for name, values in tables.items()}, {"dice": 1})
    wins = np.sign(tables[best["run"]] - tables[worst["run"]])
    assert best["p_next"] == sign_flip_p(-wins)


def test_the_cases_of_a_patient_change_places_together():
    values = np.linspace(0.5, 0.8, 12)
    runs = {"a": rows_of(values, patients=[place // 4 for place in range(12)])}
    runs["b"] = [row | {"dice": row["dice"] + 0.1} for row in runs["a"]]
    best, _ = ranked(runs, {"dice": 1})
    assert (best["run"], best["p_next"]) == ("b", 0.25)


def test_equal_runs_share_a_place():
    runs = {name: rows_of([0.5, 0.6, 0.7]) for name in ("b", "a")} | {"c": rows_of([0.1, 0.2, 0.3])}
    listed = ranked(runs, {"dice": 1})
    found = [(row["run"], row["place"], row["mean_rank"]) for row in listed]
    assert found == [("a", 1, 1.5), ("b", 1, 1.5), ("c", 3, 3.0)]
    assert listed[0]["p_next"] == 1.0


def test_a_run_is_ranked_on_what_all_share():
    runs = {"a": rows_of([0.5, 0.6, 0.7]), "b": rows_of([0.6, 0.7]) + rows_of([0.1], name="ET")}
    listed = ranked(runs, {"dice": 1})
    assert [(row["run"], row["cases"], row["rankings"]) for row in listed] == [
        *(("b", 2, 2), ("a", 2, 2))
    ]


def test_the_order_of_runs_and_cases_changes_nothing():
    rng = np.random.default_rng(3)
    runs = {name: rows_of(rng.beta(8, 2, 20), rng.exponential(5, 20)) for name in "abcd"}
    turned = {name: runs[name][::-1] for name in "dbca"}
    for one, other in zip(ranked(runs, BOTH), ranked(turned, BOTH), strict=True):
        assert one.pop("run") == other.pop("run")
        assert one == pytest.approx(other)


def test_runs_that_share_no_case_are_rejected():
    with pytest.raises(ValueError, match="no case and target"):
        ranked({"a": rows_of([0.5]), "b": rows_of([0.5], name="ET")}, {"dice": 1})
