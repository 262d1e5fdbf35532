from math import nan

from pipeline.report.page.metrics import SCORES, summary_table
from tests.report.reading import Page

SUMMARY = {
    "mean": 0.8,
    "median": 0.9,
    "sd": 0.1,
    "cases": 6,
    "filled": 1,
    "undefined": 2,
    "mean_low": 0.7,
    "mean_high": 0.88,
    "median_low": 0.75,
    "median_high": 0.95,
}


def test_means_stand_with_their_intervals_and_what_they_were_taken_over():
    text = Page(summary_table({"WT": {"dice": SUMMARY}}, SCORES, "a caption")).text
    for expected in (
        "0.800 (0.700 to 0.880)",
        "median 0.900 (0.750 to 0.950)",
        "n = 6, 1 by rule, 2 undefined",
        "Overlap",
        "a caption",
    ):
        assert expected in text
    assert "IoU" not in text


def test_a_metric_defined_nowhere_has_no_median():
    undefined = dict.fromkeys(SUMMARY, None) | {"cases": 0, "filled": 0, "undefined": 5}
    text = Page(summary_table({"WT": {"dice": undefined}}, SCORES, "")).text
    assert "n = 0, 5 undefined" in text
    assert "median" not in text


def test_too_few_cases_have_a_mean_without_an_interval():
    text = Page(
        summary_table(
            {"WT": {"dice": SUMMARY | dict.fromkeys(("mean_low", "median_low"), nan)}}, SCORES, ""
        )
    ).text
    assert "0.800" in text
    assert " to " not in text


def test_a_name_that_lacks_a_metric_has_a_dash():
    page = Page(summary_table({"WT": {"dice": SUMMARY}, "ET": {}}, SCORES, ""))
    assert page.text.endswith("–")
    assert page.has("th", scope="rowgroup", colspan="3")
