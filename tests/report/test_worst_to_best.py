from math import isnan, nan
from pathlib import Path

from pipeline.core.case_means import mean_region_dice
from pipeline.report.worst_to_best import chosen, from_both_ends, spread


def row(case, dice, kind="region"):
    return {"case": case, "kind": kind, "dice": dice}


def test_cases_are_ranked_from_the_worst_to_the_best_and_the_undefined_come_last():
    rows = [
        *(row("b", 0.5), row("b", 0.7), row("a", 0.6), row("a", nan), row("c", nan)),
        *(row("d", 0.1), row("d", 1.0, "label")),
    ]
    means = mean_region_dice(rows)
    assert list(means) == ["d", "a", "b", "c"]
    assert [means[case] for case in "dab"] == [0.1, 0.6, 0.6]
    assert isnan(means["c"])


def test_three_are_the_worst_the_median_and_the_best_and_zero_are_all():
    assert spread(["a", "b", "c", "d", "e"], 3) == ["a", "c", "e"]
    assert spread(["a", "b"], 0) == spread(["a", "b"], 7) == ["a", "b"]


def test_named_cases_are_chosen_in_the_order_of_their_scores_or_else_those_of_the_spread():
    rows = [row("a", 0.9), row("b", 0.1), row("c", 0.5)]
    where = Path("cases.csv")
    assert chosen(rows, ("a", "b"), 1, where) == ["b", "a"]
    assert chosen(rows, (), 2, where) == ["b", "a"]


def test_both_ends_take_turns():
    assert from_both_ends(["a", "b", "c", "d", "e"]) == ["a", "e", "b", "d", "c"]
