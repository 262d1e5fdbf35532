from math import nan

import pytest

from pipeline.report.page.text import count, flat, interval, number, plain, signed, taken_over


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.12345, 3, "0.123"), (-2.5, 1, "−2.5"), (-0.001, 1, "0.0"), (nan, 3, "–"), (None, 3, "–")],
)
def test_a_number_has_its_decimals_and_no_negative_zero(value, digits, text):
    assert number(value, digits) == text


def test_a_difference_has_a_sign():
    assert [signed(value, 1) for value in (1, -1, 0.01, nan)] == ["+1.0", "−1.0", "+0.0", "–"]


def test_an_interval_with_an_open_end_is_none():
    assert interval(0.1, 0.25, 2) == "0.10 to 0.25"
    assert interval(None, 0.25) == interval(0.1, nan) == ""


def test_nouns_follow_their_numbers():
    assert [count(size, "case") for size in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]


def test_a_mean_says_what_it_was_taken_over():
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
