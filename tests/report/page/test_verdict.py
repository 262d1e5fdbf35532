from dataclasses import replace

import pytest

from pipeline.report.page.verdict import limits, verdict
from tests.report.made_runs import made_run
from tests.report.reading import Page


@pytest.fixture
def run(schema):
    return made_run(schema, 5)


def in_cohort(run, **changes):
    schema = run.schema.model_copy(update=changes)
    return replace(run, catalogue=run.catalogue.model_copy(update={"cohort": schema}))


def test_the_verdict_says_how_well_on_what(run):
    text = Page(verdict(run)).text
    mean = run.evaluation["mean_region_dice"]
    assert (
        f"Mean region Dice {mean['value']:.3f} on 5 held-out cases of cohort {run.schema.cohort}"
        in text
    )
    assert (
        "A 2D U-Net of 1,928,691 weights, trained on 40 cases, validated on 5, scored on 5 held out"
        " of both (5 patients" in text
    )
    assert f"{mean['low']:.3f} to {mean['high']:.3f}95 % interval" in text
    assert "Research use only. Not for diagnosis" in text


def test_few_cases_are_a_warning(schema, run):
    assert "With 5 cases the mean may move by much" in Page(verdict(run)).text
    assert "may move" not in Page(verdict(made_run(schema, 10))).text


def test_every_region_has_its_score_with_its_interval(run):
    text = Page(verdict(run)).text
    for region in run.schema.regions:
        dice = run.evaluation["region"][region]["dice"]
        assert (
            f"Dice {region}{dice['mean']:.3f}{dice['mean_low']:.3f} to {dice['mean_high']:.3f}n = 5"
            in text
        )


def test_a_single_case_has_no_interval_and_none_is_explained(schema):
    text = Page(verdict(made_run(schema, 1, previous=None))).text
    assert "interval" not in text


def test_the_rule_that_filled_empty_regions_is_named(run):
    mean = run.evaluation["mean_region_dice"]
    text = Page(verdict(run)).text
    assert (
        "Two empty masks count as Dice 1 and HD95 0 mm, one empty mask as Dice 0 and HD95 373.13 mm"
        " (rule “brats” of the cohort)" in text
    )
    assert f"It gave the Dice of {mean['filled']} of 15 region scores." in text


def test_undefined_scores_are_counted_where_no_rule_fills_them(run):
    mean = run.evaluation["mean_region_dice"] | {"cases": 13, "undefined": 2}
    bare = replace(
        in_cohort(run, empty_rule="nan"), evaluation=run.evaluation | {"mean_region_dice": mean}
    )
    assert "left out of the mean (rule “nan”): 2 of 15 region scores." in Page(verdict(bare)).text


def test_published_results_are_marked_as_of_other_data(run):
    text = Page(verdict(run)).text
    assert "Other data, other split: not a comparison." in text
    assert "arXiv:2404.09556" in text
    assert "Published" not in Page(verdict(in_cohort(run, cohort="phantom"))).text


def test_limits_name_the_cohort(run):
    assert f"cases like those of cohort {run.schema.cohort}" in Page(limits(run)).text
