from dataclasses import replace
from math import nan

import pytest

from pipeline.cohorts import brats, cheng, lgg, msd, phantom
from pipeline.core.case_means import mean_region_dice
from pipeline.report.page.previous import paired_differences
from pipeline.report.page.verdict import failures, published
from pipeline.report.results import Previous
from tests.report.made_runs import in_cohort, made_evaluation, made_run, worse
from tests.report.reading import head_of, section_of

HEADLINED = ("dice", "hd95_mm")


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
    region, text = run.evaluation["region"], head_of(run).text
    filled = [sum(region[name][metric]["filled"] for name in region) for metric in HEADLINED]
    assert filled[0] == filled[1] > 0
    assert (
        f"The rule for empty masks gave {filled[0]} of 15 Dice and {filled[1]} of 15 HD95 values."
        " Two empty masks count as Dice 1 and HD95 0 mm, one empty mask as Dice 0 and HD95 373.13"
        " mm (rule “brats” of the cohort)" in text
    )
    of_tumour = region["ET"] | {
        "dice": region["ET"]["dice"] | {"cases": 4, "undefined": 1},
        "hd95_mm": region["ET"]["hd95_mm"] | {"cases": 3, "undefined": 2},
    }
    undefined = run.evaluation | {"region": region | {"ET": of_tumour}}
    bare = replace(in_cohort(run, empty_rule="nan"), evaluation=undefined)
    assert (
        "left out of the means (rule “nan”): 1 of 15 Dice and 2 of 15 HD95 values."
        in head_of(bare).text
    )


def changed(row, **values):
    """The row with other values where its case and region are given as ``case`` and ``name``."""
    keys = ("case", "name")
    own = all(row[key] == values[key] for key in keys if key in values)
    return row | values if own and row["kind"] == "region" else row


def test_tumours_that_were_missed_and_cases_without_a_drawing_are_counted_and_named(run):
    rows = [
        changed(row, case="Made_00001", name="WT", dice=0.0, prediction_ml=4.0, reference_ml=9.0)
        for row in run.rows
    ]
    rows = [
        changed(row, case="Made_00003", dice=0.0, prediction_ml=0.0, reference_ml=9.0)
        for row in rows
    ]
    rows = [
        changed(row, case="Made_00004", name="ET", dice=0.0, prediction_ml=2.0, reference_ml=0.0)
        for row in rows
    ]
    found = failures(rows, ["WT", "TC", "ET"])
    assert found["missed"]["WT"] == ["Made_00001", "Made_00003"]
    assert found["missed"]["ET"] == ["Made_00003"]
    assert found["surplus"] == {"WT": [], "TC": [], "ET": ["Made_00004"]}
    assert found["nothing_drawn"] == ["Made_00003"]
    text = head_of(replace(run, rows=rows)).text
    for expected in (
        "WT 2 of 5 (Made_00001, Made_00003)",
        "TC 1 of ",
        "Drawn though the reference has none: ET in 1 case (Made_00004).",
        "Nothing was drawn in 1 of 5 cases (Made_00003).",
    ):
        assert expected in text
    assert "Drawn though" not in head_of(run).text
    assert "Nothing was drawn in 0 of 5 cases" in head_of(run).text


def test_the_worst_case_by_lesions_is_named_where_it_is_not_the_worst_by_voxels(run):
    worst, other = list(mean_region_dice(run.rows))[::4]

    def said(**dice):
        rows = [row | {"lesion_dice": dice.get(row["case"], 0.9)} for row in run.lesionwise]
        return head_of(replace(run, lesionwise=rows)).text

    expected = (
        f"By lesions the worst case is {other} (mean lesion-wise Dice of its regions 0.250),"
        f" by voxels {worst}."
    )
    assert expected in said(**{other: 0.25, worst: 0.5})
    assert "By lesions" not in said(**{other: 0.5, worst: 0.25})
    assert "By lesions" not in said(**{other: 0.25, worst: 0.25})
    assert "By lesions" not in said(**dict.fromkeys((row["case"] for row in run.rows), nan))
    assert "By lesions" not in head_of(replace(run, lesionwise=())).text


def test_the_commit_is_named_and_whether_code_or_params_differ_from_it(run):
    assert "commit 0123abc Mean" in head_of(run).text
    edited = replace(run, provenance=run.provenance | {"changed": ["params.yaml"]})
    assert "commit 0123abc, with changes" in head_of(edited).text
    assert "commit" not in head_of(replace(run, provenance={})).text


def test_published_results_are_marked_as_of_other_data(run):
    text = section_of(run, "comparison").text
    assert "Other data, other split: not a comparison." in text
    assert "arXiv:2404.09556" in text
    assert "ET / TC / WT: enhancing tumour" in text
    assert "Published" not in section_of(in_cohort(run, cohort="phantom"), "comparison").text


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
        "Since the run before, experiment A",
        "Mean region Dice per case changed by +0.0",
        "(95 % interval +0.0",
        "8 better, 0 worse of 8 cases: statistically significant (paired permutation test, p = 0.0",
    ):
        assert expected in text
    assert "no difference can be" not in text
    assert "Since the run before" not in head_of(replace(run, previous=None)).text
    assert "Previous run: experiment A" in section_of(run, "comparison").text


def test_of_few_patients_no_difference_is_significant_and_that_is_said(schema):
    text = head_of(made_run(schema, 5)).text
    assert "not statistically significant (paired permutation test, p = 0.062)" in text
    assert "With 5 patients no difference can be statistically significant." in text
    assert "no difference can be" not in head_of(made_run(schema, 6)).text


def test_params_that_differ_from_those_of_the_run_before_are_named(run):
    now = {"train": {"epochs": 60, "batch_size": 2}, "cohort": {"seed": 1}, "visualize": {"dpi": 9}}
    run = replace(run, provenance=run.provenance | {"params": now})
    for then, said in (
        (now | {"visualize": {"dpi": 8}}, "No param that affects the scores was changed."),
        (None, "Its params are unknown."),
        (now | {"train": {"epochs": 40}}, "Params changed: train.epochs 40 → 60"),
        ({}, "train.epochs – → 60, train.batch_size – → 2, cohort.seed – → 1."),
        ({f"k{number}": 1 for number in range(9)}, "and 7 more."),
    ):
        before = replace(run.previous, params=then)
        assert said in head_of(replace(run, previous=before)).text
        if then == {}:
            page = section_of(replace(run, previous=before), "comparison")
            assert "Params that differ." in page.text


def test_a_mapping_that_was_empty_is_no_changed_param_beside_the_keys_it_got(run):
    now = {"postprocess": {"thresholds": {"WT": 0.4, "ET": 0.6}, "components": None}}
    run = replace(run, provenance=run.provenance | {"params": now})
    before = replace(run.previous, params={"postprocess": {"thresholds": {}}})
    text = head_of(replace(run, previous=before)).text
    changes = "postprocess.thresholds.WT – → 0.4, postprocess.thresholds.ET – → 0.6."
    assert f"Params changed: {changes}" in text


def test_runs_on_other_or_unknown_cases_are_unpaired(run, schema):
    others = [row | {"case": f"other {row['case']}"} for row in worse(run.rows)]
    for rows in (others, ()):
        text = compared_with(run, "a", made_evaluation(schema, worse(run.rows)), rows)
        assert "the differences are unpaired" in text
        assert "(95 % interval" not in text


def test_a_run_of_another_cohort_leaves_dashes(run):
    foreign = {"mean_region_dice": {"value": 0.5}, "region": {"tumour": {}}}
    run = replace(in_cohort(run, cohort="phantom"), previous=Previous("a", foreign))
    assert section_of(run, "comparison").text.count("–") == 12


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
