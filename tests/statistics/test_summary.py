from math import isnan, nan, sqrt

import pytest

from pipeline.statistics.summary import summarise_columns, summarise_values


@pytest.mark.parametrize(
    ("values", "filled", "expected"),
    [
        ([1.0, 4.0, nan, 1.0], [True, False, False, False], (2, 1, sqrt(3), 3, 1, 1)),
        ([0.5], [], (0.5, 0.5, nan, 1, 0, 0)),
        ([nan, nan], [], (nan, nan, nan, 0, 0, 2)),
    ],
)
def test_summary_of_values_says_how_many_it_was_taken_over(values, filled, expected):
    summary = summarise_values(values, "abcd"[: len(values)], filled)
    keys = ("mean", "median", "sd", "cases", "filled", "undefined")
    assert [summary[key] for key in keys] == pytest.approx(list(expected), nan_ok=True)
    ends = [summary[f"{name}_{end}"] for name in ("mean", "median") for end in ("low", "high")]
    if summary["cases"] > 1:
        assert 1 <= ends[0] < 2 < ends[1] <= 4
    else:
        assert all(isnan(end) for end in ends)


def test_cases_of_one_patient_are_drawn_together():
    values = [0.1, 0.1, 0.1, 0.1, 0.9, 0.5, 0.6]
    apart, together = (summarise_values(values, list(whose)) for whose in ("abcdefg", "aaaabcd"))
    assert apart["mean"] == together["mean"]
    assert together["mean_high"] - together["mean_low"] > apart["mean_high"] - apart["mean_low"]


def test_a_table_is_summarised_name_by_name_and_column_by_column_with_the_values_of_a_rule():
    rows = [
        {"case": case, "patient": case, "name": name, "pq": value, "lesions": 0, "filled": filled}
        for case, name, value, filled in (
            *(("a", "WT", 1.0, "empty"), ("b", "WT", 0.5, ""), ("a", "ET", nan, "")),
        )
    ]
    summary = summarise_columns(rows, {"pq": ["empty"]})
    assert (summary["WT"]["pq"]["mean"], summary["WT"]["pq"]["cases"]) == (0.75, 2)
    assert summary["ET"]["pq"]["undefined"] == 1
    assert [summary["WT"][column]["filled"] for column in ("pq", "lesions")] == [1, 0]
    assert "filled" not in summary["WT"]
