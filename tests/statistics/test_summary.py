from math import isnan, nan, sqrt

import pytest

from pipeline.statistics.summary import summarise_columns, summarise_values


def test_summary_of_values_says_how_many_it_was_taken_over():
    summary = summarise_values(
        [1.0, 4.0, nan, 1.0], ["a", "b", "c", "d"], [True, False, False, False]
    )
    found = {key: summary[key] for key in ("mean", "median", "sd", "cases", "filled", "undefined")}
    assert found == {
        "mean": 2.0,
        "median": 1.0,
        "sd": pytest.approx(sqrt(3)),
        "cases": 3,
        "filled": 1,
        "undefined": 1,
    }
    assert 1 <= summary["mean_low"] < 2 < summary["mean_high"] <= 4


def test_summary_of_one_value_has_neither_standard_deviation_nor_interval():
    summary = summarise_values([0.5], ["a"])
    assert (summary["mean"], summary["median"], summary["cases"]) == (0.5, 0.5, 1)
    assert all(
        isnan(summary[key]) for key in ("sd", "mean_low", "mean_high", "median_low", "median_high")
    )


def test_summary_of_nothing_defined_is_undefined_not_zero():
    summary = summarise_values([nan, nan], ["a", "b"])
    assert all(isnan(summary[key]) for key in ("mean", "median", "sd", "mean_low", "median_high"))
    assert (summary["cases"], summary["undefined"]) == (0, 2)


def test_cases_of_one_patient_are_drawn_together():
    values = [0.1, 0.1, 0.1, 0.1, 0.9, 0.5, 0.6]
    apart, together = (summarise_values(values, list(whose)) for whose in ("abcdefg", "aaaabcd"))
    assert apart["mean"] == together["mean"]
    assert together["mean_high"] - together["mean_low"] > apart["mean_high"] - apart["mean_low"]


def test_a_table_is_summarised_name_by_name_and_column_by_column():
    rows = [
        {"case": case, "patient": case, "name": name, "pq": value}
        for case, name, value in (("a", "WT", 1.0), ("b", "WT", 0.5), ("a", "ET", nan))
    ]
    summary = summarise_columns(rows)
    assert (
        summary["WT"]["pq"]["mean"],
        summary["WT"]["pq"]["cases"],
        summary["ET"]["pq"]["undefined"],
    ) == (0.75, 2, 1)


def test_a_table_says_how_many_values_a_rule_gave():
    rows = [
        {"case": case, "patient": case, "name": "WT", "pq": 1.0, "lesions": 0, "filled": filled}
        for case, filled in (("a", "empty"), ("b", ""))
    ]
    summary = summarise_columns(rows, {"pq": ["empty"]})
    assert [summary["WT"][column]["filled"] for column in ("pq", "lesions")] == [1, 0]
    assert "filled" not in summary["WT"]
