from dataclasses import replace
from math import nan

import pytest

from pipeline.report.page.previous import against_previous, paired_differences
from pipeline.report.page.run import Previous
from tests.report.made_runs import made_evaluation, made_run, worse
from tests.report.reading import Page


@pytest.fixture
def run(schema):
    return made_run(schema, 8)


def region(case, dice, name="WT"):
    return {"case": case, "patient": case, "kind": "region", "name": name, "dice": dice}


def test_the_first_run_is_held_against_nothing(run):
    assert against_previous(replace(run, previous=None)) == ""


def test_runs_on_the_same_cases_are_compared_case_by_case(run):
    text = Page(against_previous(run)).text
    assert "differences are paired: mean region Dice per case changed by +0.0" in text
    assert "(95 % interval +0.0" in text
    assert "8 better, 0 worse" in text


def test_runs_on_other_cases_are_said_to_be_unpaired(run, schema):
    others = [row | {"case": f"other {row['case']}"} for row in worse(run.rows)]
    text = Page(
        against_previous(
            replace(run, previous=Previous("a", made_evaluation(schema, others), others))
        )
    ).text
    assert "the differences are unpaired" in text
    assert "interval" not in text


def test_a_run_of_which_only_the_summary_is_known_is_unpaired(run, schema):
    previous = Previous("a1b2", made_evaluation(schema, worse(run.rows)))
    page = Page(against_previous(replace(run, previous=previous)))
    assert "the differences are unpaired" in page.text
    assert "Against the run before: a1b2" in page.text


def test_a_run_of_another_cohort_leaves_dashes(run):
    foreign = {"mean_region_dice": {"value": 0.5}, "region": {"tumour": {}}}
    assert (
        Page(against_previous(replace(run, previous=Previous("a", foreign)))).text.count("–") == 12
    )


def test_differences_are_those_of_the_means_over_regions_where_both_are_defined():
    now = [region("a", 0.8), region("a", 0.6, "ET"), region("b", 0.5), region("c", nan)]
    then = [region("a", 0.5), region("a", 0.7, "ET"), region("b", nan), region("c", 0.5)]
    assert paired_differences(now, then) == pytest.approx({"a": 0.1})


def test_two_cases_have_a_difference_without_an_interval(run, schema):
    small = made_run(schema, 2)
    assert "interval" not in Page(against_previous(small)).text


def test_same_cases_without_a_defined_pair_say_so(run, schema):
    undefined = [row | {"dice": nan} for row in run.rows]
    text = Page(
        against_previous(replace(run, previous=Previous("a", run.evaluation, undefined)))
    ).text
    assert "in none of them is a region defined in both" in text
