from dataclasses import replace
from math import nan

import pytest

from pipeline.report.page.cases import cases_table
from pipeline.report.page.run import Pictured
from pipeline.report.worst_to_best import mean_region_dice
from tests.report.made_runs import made_run
from tests.report.reading import Page


@pytest.fixture
def run(schema):
    return made_run(schema, 6)


def test_every_case_is_there_from_the_worst_to_the_best(run):
    text = Page(cases_table(run)).text
    ranked = list(mean_region_dice(run.rows))
    places = [text.index(case) for case in ranked]
    assert len(ranked) == 6
    assert places == sorted(places)


def test_a_pictured_case_is_linked_to_its_pictures(run):
    pictured = [Pictured(case, b"", b"") for case in ("Made_00001", "Made_00003")]
    assert sorted(Page(cases_table(replace(run, pictured=pictured))).all("a", "href")) == [
        "#case-0",
        "#case-1",
    ]


def test_patients_stand_there_only_if_they_are_not_the_cases(run):
    assert "Patient" not in Page(cases_table(run)).text
    page = Page(
        cases_table(
            replace(run, rows=[row | {"patient": f"<{row['patient']}>"} for row in run.rows])
        )
    )
    assert "Patient" in page.text
    assert "<Made_00002>" in page.text
    assert page.all("th", "aria-sort").index("ascending") == 2


def test_a_score_given_by_rule_is_marked_and_an_undefined_one_sorts_last(run):
    changed = [
        row | {"dice": nan, "hd95_mm": nan, "filled": "both_empty"} if row["name"] == "ET" else row
        for row in run.rows
    ]
    page = Page(cases_table(replace(run, rows=changed)))
    assert page.text.count("–†") == 6 * 2
    assert page.all("td", "data-value").count("") == 6 * 2


def test_lesion_wise_scores_have_columns_where_they_were_taken(run):
    assert "Lesion-wise Dice" in Page(cases_table(run)).text
    assert "Lesion-wise" not in Page(cases_table(replace(run, lesionwise=()))).text
