from dataclasses import replace
from math import nan

import pytest

from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.metrics.metric import Metric
from pipeline.metrics.registry import TABLES
from pipeline.report.plots.volumes import FEWEST_FOR_A_TREND
from pipeline.statistics.summary import summarise_columns
from tests.report.made_runs import in_cohort, made_prices, made_run, made_types
from tests.report.reading import section_of

FIGURES = ("scores", "volume_agreement", "dice_by_volume", "confusion")


@pytest.fixture
def run(schema):
    return made_run(schema, 4)


@pytest.fixture
def by_type():
    return made_run(TYPES, 14, types=made_types(TYPES, 14))


def with_region(run, region, **metrics):
    """The run, some summaries of a region replaced, all others of it dropped."""
    regions = run.evaluation["region"] | {region: metrics}
    return replace(run, evaluation=run.evaluation | {"region": regions})


def test_tables_and_figures_are_there_for_regions_and_labels(run):
    page = section_of(run, "scores", *FIGURES)
    assert len(page.all("img", "src")) == 4
    for expected in (
        "Label by label",
        "WT = necrotic + edema + enhancing, TC = necrotic + enhancing, ET = enhancing.",
        "held-out cases: 0.1250",
    ):
        assert expected in page.text
    assert section_of(run, "scores").all("img", "src") == []


def test_regions_of_one_label_each_are_not_repeated(by_type):
    assert "Label by label" not in section_of(by_type, "scores").text


def test_means_have_their_intervals_and_say_what_they_were_taken_over(run):
    bounds = {"mean_low": 0.7, "mean_high": 0.88, "median_low": 0.75, "median_high": 0.95}
    counts = {"cases": 6, "filled": 1, "undefined": 2}
    summary = {"mean": 0.8, "median": 0.9, "sd": 0.1} | counts | bounds
    text = section_of(with_region(run, "WT", dice=summary, hd95_mm=summary), "scores").text
    assert (
        "0.800 (0.700 to 0.880) median 0.900 (0.750 to 0.950) n = 6, 1 by rule, 2 undefined" in text
    )
    unbounded = summary | dict.fromkeys(("mean_low", "median_low"), nan)
    text = section_of(with_region(run, "WT", dice=unbounded, hd95_mm=summary), "scores").text
    assert "0.800 median 0.900 n = 6" in text
    empty = dict.fromkeys(summary, None) | {"cases": 0, "filled": 0, "undefined": 5}
    page = section_of(with_region(run, "WT", dice=empty, hd95_mm=summary), "scores")
    assert "Dice – n = 0, 5 undefined" in page.text
    assert "IoU – " in page.text
    assert page.has("th", scope="rowgroup", colspan="4")


def test_own_metrics_come_last_under_their_names(run):
    own = {"mean": 0.123, "median": 0.5, "cases": 3, "filled": 0, "undefined": 0}
    summaries = run.evaluation["region"]["WT"] | {"border_length": own}
    metric = Metric("border_length", None, "Border length", "Of the outline.", "neither")
    run.evaluation["metrics"].append({"table": "cases"} | metric.describe())
    text = section_of(with_region(run, "WT", **summaries), "scores").text
    assert "Own metrics Border length 0.123 median 0.500 n = 3 – –" in text


def test_a_mean_over_all_classes_says_in_how_many_cases_it_is_defined(run):
    run.evaluation["multiclass"]["precision_without_background"] |= {"cases": 3, "undefined": 1}
    expected = "Precision 0.2500 n = 4 0.2500 n = 3, 1 undefined"
    assert expected in section_of(run, "scores").text


def test_lesions_are_scored_and_their_detection_is_shown_by_size(run):
    ruled = replace(run, evaluation=run.evaluation | {"lesion_rules": "glioma-2023"})
    page = section_of(ruled, "lesions", "detection")
    for expected in (
        *("Rules: glioma-2023.", "Mean over lesions", "Panoptic quality", "All sizes"),
        *("Below 0.1 ml", "From 10 ml", "false per case"),
    ):
        assert expected in page.text
    assert len(page.all("img", "src")) == 1
    assert "Detection by size" not in section_of(replace(run, lesions=()), "lesions").text


def test_lesions_are_counted_in_whole_numbers_although_false_ones_leave_the_column_empty(run):
    rows = [row | {"found": float(row["found"])} for row in run.lesions]
    rows = [row | ({"found": nan} if row["kind"] == "false_positive" else {}) for row in rows]
    text = section_of(replace(run, lesions=rows), "lesions").text
    assert text == section_of(run, "lesions").text
    assert ".0 of" not in text


def test_tables_of_means_and_medians_say_what_the_brackets_are(run):
    for section in ("scores", "lesions", "calibration"):
        said = "medians, each with its 95 % interval in brackets."
        assert said in section_of(run, section).text


def test_the_line_of_medians_is_said_to_need_as_many_cases_as_it_does(run):
    text = section_of(run, "scores", "dice_by_volume").text
    assert f"From {FEWEST_FOR_A_TREND} cases on, a line joins the medians" in text


def test_a_size_without_a_lesion_has_a_dash(run):
    one = [
        {"case": "a", "name": region, "kind": "reference", "volume_ml": 5.0, "found": 1}
        for region in run.schema.regions
    ]
    text = section_of(replace(run, lesions=one), "lesions").text
    assert "1 to 10 ml 1.00 (0.21 to 1.00) 1 of 1 found, 0.00 false per case" in text
    assert "From 10 ml – 0 of 0 found" in text


def test_instances_are_shown_without_lesion_wise_scores_and_without_both_nothing(run):
    bare = replace(run, lesionwise=(), lesions=())
    assert "Panoptic quality" in section_of(bare, "lesions").text
    nothing = replace(bare, evaluation=run.evaluation | {"instances": {}})
    assert section_of(nothing, "lesions") is None


def test_lesions_matched_one_to_one_are_shown_beside_the_older_rules_or_alone(run):
    names = [metric.name for metric in TABLES["matched"]]
    rows = [
        {"case": case, "patient": case, "name": name} | dict.fromkeys(names, 0.25)
        for case in ("a", "b")
        for name in ("edema", *run.schema.regions)
    ]
    rules = ["brats2025-mets", "brats2024-met"]
    of = run.evaluation | {"matched": summarise_columns(rows), "lesion_rules": rules}
    page = section_of(replace(run, evaluation=of), "lesions")
    assert "Rules: brats2024-met." in page.text
    assert "Rules: brats2025-mets." in page.text
    assert "WT TC ET edema Lesions matched one to one F1 0.250" in page.text
    alone = of | {"lesionwise": {}, "lesion_rules": "brats2025-mets"}
    text = section_of(replace(run, evaluation=alone, lesionwise=()), "lesions").text
    assert "Dice with penalties 0.250" in text
    assert "Mean over lesions" not in text
    assert "Detection by size" in text


def test_a_cohort_without_rules_says_why_its_lesions_have_no_score(run):
    bare = replace(
        in_cohort(run, cohort="knee", lesion_rules=None),
        evaluation=run.evaluation | {"lesionwise": {}, "lesion_rules": None},
        lesionwise=(),
        lesions=(),
    )
    text = section_of(bare, "lesions").text
    assert "No lesion-wise score: the schema of cohort knee names no rules" in text
    assert "lesion_rules, one of brats2023-gli, " in text
    assert "Panoptic quality" in text
    assert "Mean over lesions" not in text


def test_calibration_has_its_curves_and_its_table_where_it_was_measured(run):
    page = section_of(run, "calibration", "reliability", "uncertainty")
    assert len(page.all("img", "src")) == 2
    for expected in ("Expected calibration error", "Brier", "AURC by chance", "n = 0, 4 undefined"):
        assert expected in page.text
    assert section_of(replace(run, calibration=()), "calibration") is None


def test_the_accuracy_of_the_type_is_that_of_the_cases_with_its_interval(run, by_type):
    page = section_of(by_type, "types", "types", "types_of_patients")
    assert "right in 12 of 14 cases: accuracy 0.857 (95 % interval 0." in page.text
    assert len(page.all("img", "src")) == 1
    assert section_of(run, "types") is None


def test_patients_are_counted_where_they_have_several_cases(by_type):
    paired = [row | {"patient": f"P{int(row['case'][-5:]) // 2}"} for row in by_type.rows]
    page = section_of(replace(by_type, rows=paired), "types", "types", "types_of_patients")
    assert len(page.all("img", "src")) == 2
    assert "of 7 patients" in page.text


def test_cases_of_unknown_type_are_left_out_and_counted(by_type):
    unknown = [by_type.types[0] | {"reference": "none"}, *by_type.types[1:]]
    text = section_of(replace(by_type, types=unknown), "types").text
    assert "right in 12 of 13 cases" in text
    assert "1 case without a type in the reference left out." in text


def test_the_price_of_missing_modalities_is_shown_beside_the_whole_where_it_was_asked_for(run):
    assert section_of(run, "missing_modalities") is None
    older = {key: value for key, value in run.evaluation.items() if key != "missing_modalities"}
    assert section_of(replace(run, evaluation=older), "missing_modalities") is None
    prices = made_prices(run, "t1c", "t1n t2w")
    priced = replace(run, evaluation=run.evaluation | {"missing_modalities": prices})
    text = section_of(priced, "missing_modalities").text
    assert f"none {run.evaluation['mean_region_dice']['value']:.3f} (" in text
    assert "Missing Mean of regions WT TC ET none" in text
    assert "−0.100 (−0.120 to −0.080)" in text
    assert text.index(" t1c ") < text.index(" t1n, t2w ") < text.index("−0.200 (−0.220 to −0.180)")
    assert "was not trained to miss modalities" in text
    train = priced.card["train"] | {"on_the_fly": {"modality_dropout": {"probability": 0.2}}}
    trained = replace(priced, card=priced.card | {"train": train})
    assert "predict accepts such cases" in section_of(trained, "missing_modalities").text
