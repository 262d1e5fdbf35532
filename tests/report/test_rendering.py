from math import nan

import pytest
from jinja2 import UndefinedError

from pipeline.report.rendering import (
    flat,
    interval,
    listed,
    number,
    plain,
    render,
    signed,
    taken_over,
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.12345, 3, "0.123"), (-2.5, 1, "−2.5"), (-0.001, 1, "0.0"), (nan, 3, "–"), (None, 3, "–")],
)
def test_a_number_has_its_decimals_and_no_negative_zero(value, digits, text):
    assert number(value, digits) == text


def test_a_difference_has_a_sign():
    assert [signed(value, 1) for value in (1, -1, 0.01, nan)] == ["+1.0", "−1.0", "+0.0", "–"]


def test_an_interval_without_a_bound_is_empty():
    assert interval({"low": 0.1, "high": 0.25}, digits=2) == "0.10 to 0.25"
    assert interval({"mean_low": 0.1, "mean_high": 0.25}, "mean", 1) == "0.1 to 0.2"
    assert interval({"low": None, "high": 0.25}) == interval({"low": 0.1, "high": nan}) == ""
    assert interval({}, "mean") == ""


def test_words_agree_with_their_numbers():
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]
    assert taken_over({"cases": 7, "filled": 2, "undefined": 1}) == "n = 7, 2 by rule, 1 undefined"
    assert taken_over({"cases": 7, "filled": 0, "undefined": 0}) == "n = 7"


def test_nested_values_get_dotted_names():
    assert dict(flat({"a": {"b": [1, 2.5], "c": {}}, "d": None, "e": [[240, 240]]})) == {
        "a.b": "1, 2.5",
        "a.c": "–",
        "d": "–",
        "e": "240 × 240",
    }
    assert plain([]) == "none"


def test_html_is_escaped_and_a_missing_value_is_an_error():
    cohort = "<script>alert(1)</script>"
    assert "&lt;script&gt;" in render("sections/limits.html.j2", limits={"cohort": cohort})
    with pytest.raises(UndefinedError, match="cohort"):
        render("sections/limits.html.j2", limits={})
