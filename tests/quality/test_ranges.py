"""Ranges over cases: the median and spread of each feature, and the limit by leaving one out."""

import numpy as np
import pytest

from pipeline.quality.ranges import FEWEST, LEAST_LIMIT, ranges_of


def cases_of(**values):
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def test_a_range_has_the_median_the_spread_and_the_extremes():
    found = ranges_of(cases_of(**{"t1c.p95": [1.0, 1.2, 1.4, 1.8, 2.6]}))
    known = found.features["t1c.p95"]
    assert (known.lowest, known.centre, known.highest) == (1.0, 1.4, 2.6)
    assert known.spread == pytest.approx(1.4826 * 0.4, abs=1e-6)
    assert known.deviation(1.4 - 1.4826 * 0.8) == pytest.approx(-2, abs=1e-4)


def test_a_length_is_compared_by_its_ratio():
    known = ranges_of(cases_of(extent_x_mm=[130.0] * 5)).features["extent_x_mm"]
    assert known.deviation(260) == pytest.approx(np.log(2) / 0.03)
    assert known.deviation(65) == pytest.approx(-np.log(2) / 0.03)


def test_cases_that_are_all_alike_leave_room_for_rounding_alone():
    found = ranges_of(cases_of(spacing_x_mm=[1.0] * 40))
    assert found.limit == LEAST_LIMIT
    assert abs(found.features["spacing_x_mm"].deviation(1.001)) < found.limit
    assert abs(found.features["spacing_x_mm"].deviation(2.0)) > found.limit


def test_few_cases_need_a_larger_deviation():
    limits = [ranges_of(cases_of(spacing_x_mm=[1.0] * count)).limit for count in (4, 8, 19)]
    confident = cases_of(**{"WT.dice": [0.9] * 4})
    assert ranges_of(confident, below=True).limit == pytest.approx(4.541 * (5 / 4) ** 0.5, abs=2e-3)
    # Student's t at 0.995 of 3, 7 and 18 degrees of freedom, by tables
    expected = np.multiply([5.841, 3.499, 2.878], np.sqrt([5 / 4, 9 / 8, 20 / 19]))
    assert limits == pytest.approx(np.maximum(expected, LEAST_LIMIT), abs=2e-3)


def test_no_case_of_the_ranges_is_beyond_the_limit_that_it_had_no_part_in():
    drawn = np.random.default_rng(3).standard_t(3, size=(30, 4))
    rows = [{f"t1c.p{n}": value for n, value in enumerate(row)} for row in drawn]
    limit = ranges_of(rows).limit
    for number, row in enumerate(rows):
        others = ranges_of(rows[:number] + rows[number + 1 :])
        apart = [abs(others.features[name].deviation(value)) for name, value in row.items()]
        assert max(apart) <= limit + 1e-3


def test_the_share_of_new_cases_beyond_the_limit_is_small():
    rng = np.random.default_rng(5)
    beyond = 0
    for _ in range(40):
        rows = [{f"t1c.p{n}": v for n, v in enumerate(row)} for row in rng.normal(size=(30, 6))]
        new, found = rows.pop(), ranges_of(rows)
        beyond += (
            max(abs(found.features[name].deviation(v)) for name, v in new.items()) > found.limit
        )
    assert beyond <= 3


def test_of_a_confidence_low_values_alone_count():
    drawn = [0.9, 0.91, 0.92, 0.925, 0.93, 0.94, 0.95]
    with_high = cases_of(**{"WT.dice": [*drawn, 0.9985]})
    with_low = cases_of(**{"WT.dice": [*drawn, 0.1]})
    assert ranges_of(with_high, below=True).limit < 5 < ranges_of(with_low, below=True).limit


def test_too_few_cases_give_no_range_and_a_feature_that_few_have_is_left_out():
    assert ranges_of([]) is None
    few = cases_of(brain_ml=[1300.0] * (FEWEST - 1))
    assert ranges_of(few) is None
    rows = [*cases_of(brain_ml=[1300.0] * 5), {"WT.dice": 0.9}]
    assert set(ranges_of(rows).features) == {"brain_ml"}
