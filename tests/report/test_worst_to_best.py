from math import isnan, nan

from pipeline.report.worst_to_best import mean_region_dice, spread


def row(case, dice, kind="region"):
    return {"case": case, "kind": kind, "dice": dice}


def test_cases_stand_from_the_worst_to_the_best_and_the_undefined_last():
    rows = [
        row("b", 0.5),
        row("b", 0.7),
        row("a", 0.6),
        row("a", 0.6),
        row("c", nan),
        row("d", 0.1),
        row("d", 1.0, "label"),
    ]
    means = mean_region_dice(rows)
    assert list(means) == ["d", "a", "b", "c"]
    assert [means[case] for case in "dab"] == [0.1, 0.6, 0.6]
    assert isnan(means["c"])


def test_an_undefined_region_does_not_pull_the_mean():
    assert mean_region_dice([row("a", 0.5), row("a", nan)]) == {"a": 0.5}


def test_three_are_the_worst_the_median_and_the_best():
    assert spread(["a", "b", "c", "d", "e"], 3) == ["a", "c", "e"]


def test_none_asked_for_means_all_and_no_more_than_there_are():
    assert spread(["a", "b"], 0) == spread(["a", "b"], 7) == ["a", "b"]
