from dataclasses import replace
from math import nan

import pytest

from pipeline.cohorts import brats, cheng, lgg, msd, phantom
from pipeline.report.page.previous import paired_differences
from pipeline.report.page.verdict import published
from pipeline.report.results import Previous
from tests.report.made_runs import in_cohort, made_evaluation, made_run, worse
from tests.report.reading import head_of


@pytest.fixture
def run(schema):
    return made_run(schema, 5)


def compared_with(run, *previous):
    return head_of(replace(run, previous=Previous(*previous))).text


def test_the_verdict_says_how_well_on_what(run):
    text, mean = head_of(run).text, run.evaluation["mean_region_dice"]
    for expected in (
        f"Mean region Dice {mean['value']:.3f} on 5 held-out cases of cohort {run.schema.cohort}",
        "A 2D U-Net of 1,928,691 weights, trained on 40 cases, validated on 5, scored on 5 held out"
        " of both (5 patients",
        f"{mean['low']:.3f} to {mean['high']:.3f} 95 % interval",
        "Research use only. Not for diagnosis",
    ):
        assert expected in text


def test_few_cases_are_a_warning(schema, run):
    assert "With 5 cases the mean may change considerably" in head_of(run).text
    assert "may change" not in head_of(made_run(schema, 10)).text


def test_every_region_has_its_score_with_its_interval(run):
    text = head_of(run).text
    for region in run.schema.regions:
        dice = run.evaluation["region"][region]["dice"]
        between = f"{dice['mean_low']:.3f} to {dice['mean_high']:.3f}"
        assert f"Dice {region} {dice['mean']:.3f} {between} n = 5" in text


def test_one_and_two_cases_have_no_interval_and_none_is_explained(schema):
    assert "interval" not in head_of(made_run(schema, 1, previous=None)).text
    assert "(95 % interval" not in head_of(made_run(schema, 2)).text


def test_the_rule_for_empty_regions_is_named_with_what_it_did(run):
    mean, text = run.evaluation["mean_region_dice"], head_of(run).text
    assert (
        "Two empty masks count as Dice 1 and HD95 0 mm, one empty mask as Dice 0 and HD95 373.13 mm"
        " (rule “brats” of the cohort)" in text
    )
    assert f"This rule gave the Dice of {mean['filled']} of 15 region scores." in text
    undefined = run.evaluation | {"mean_region_dice": mean | {"cases": 13, "undefined": 2}}
    bare = replace(in_cohort(run, empty_rule="nan"), evaluation=undefined)
    assert "left out of the mean (rule “nan”): 2 of 15 region scores." in head_of(bare).text


def test_published_results_are_marked_as_of_other_data(run):
    text = head_of(run).text
    assert "Other data, other split: not a comparison." in text
    assert "arXiv:2404.09556" in text
    assert "ET / TC / WT: enhancing tumour" in text
    assert "Published" not in head_of(in_cohort(run, cohort="phantom")).text


@pytest.mark.parametrize(
    "cohort",
    [brats.schema("_"), brats.schema("-"), cheng.SCHEMA, lgg.SCHEMA, *msd.SOURCE.schemas],
    ids=lambda cohort: cohort.cohort,
)
def test_published_results_name_system_data_value_and_source(cohort):
    found = published(cohort.cohort)
    assert found
    assert all(None not in row.values() and all(row.values()) for row in found)
    assert published(phantom.SCHEMA.cohort) == []


def test_runs_on_the_same_cases_are_compared_case_by_case(schema):
    run = made_run(schema, 8)
    text = head_of(run).text
    for expected in (
        "Previous run: experiment A",
        "differences are paired: mean region Dice per case changed by +0.0",
        "(95 % interval +0.0",
        "8 better, 0 worse",
    ):
        assert expected in text
    assert "Previous run" not in head_of(replace(run, previous=None)).text


def test_runs_on_other_or_unknown_cases_are_unpaired(run, schema):
    others = [row | {"case": f"other {row['case']}"} for row in worse(run.rows)]
    for rows in (others, ()):
        text = compared_with(run, "a", made_evaluation(schema, worse(run.rows)), rows)
        assert "the differences are unpaired" in text
        assert "(95 % interval" not in text


def test_a_run_of_another_cohort_leaves_dashes(run):
    foreign = {"mean_region_dice": {"value": 0.5}, "region": {"tumour": {}}}
    assert compared_with(run, "a", foreign).count("–") == 12


def test_same_cases_without_a_defined_pair_say_so(run):
    undefined = [row | {"dice": nan} for row in run.rows]
    text = compared_with(run, "a", run.evaluation, undefined)
    assert "in none of them is a region defined in both" in text


def test_differences_are_those_of_the_means_over_regions_where_both_are_defined():
    def region(case, dice, name="WT"):
        return {"case": case, "kind": "region", "name": name, "dice": dice}

    now = [region("a", 0.8), region("a", 0.6, "ET"), region("b", 0.5), region("c", nan)]
    then = [region("a", 0.5), region("a", 0.7, "ET"), region("b", nan), region("c", 0.5)]
    assert paired_differences(now, then) == pytest.approx({"a": 0.1})
