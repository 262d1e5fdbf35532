from dataclasses import replace

import pytest

from pipeline.cohorts.cheng import SCHEMA
from pipeline.report.page.types import types
from tests.report.made_runs import made_run, made_types
from tests.report.reading import Page

FIGURES = {"types": (b"t", b""), "types_of_patients": (b"p", b"")}


@pytest.fixture
def run():
    return made_run(SCHEMA, 14, types=made_types(SCHEMA, 14))


def test_other_cohorts_have_no_types(run):
    assert types(replace(run, types=()), FIGURES) == ""


def test_accuracy_is_that_of_the_cases_with_its_interval(run):
    assert (
        "The type is right in 12 of 14 cases: accuracy 0.857 (95 % interval 0."
        in Page(types(run, FIGURES)).text
    )


def test_patients_are_counted_only_where_they_have_several_cases(run):
    assert len(Page(types(run, FIGURES)).all("img", "src")) == 1
    paired = [row | {"patient": f"P{int(row['case'][-5:]) // 2}"} for row in run.rows]
    page = Page(types(replace(run, rows=paired), FIGURES))
    assert len(page.all("img", "src")) == 2
    assert "of 7 patients" in page.text


def test_cases_of_unknown_type_are_left_out_and_counted(run):
    unknown = [run.types[0] | {"reference": "none"}, *run.types[1:]]
    text = Page(types(replace(run, types=unknown), FIGURES)).text
    assert "right in 12 of 13 cases" in text
    assert "1 case without a type in the reference left out." in text
