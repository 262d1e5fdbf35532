from dataclasses import replace

from tests.report.made_runs import made_run
from tests.report.reading import section_of


def test_the_facts_of_the_cohort_are_listed(schema):
    text = section_of(made_run(schema, 3), "data").text
    for expected in (
        *("240 × 240 × 155", "train 40, val 5, test 3 cases", "t1n, t1c, t2w, t2f"),
        *("48 cases of 48 patients, 15 files", "WT 1.5 ml", "free & open"),
    ):
        assert expected in text


def test_every_case_is_seen_at_a_glance_those_with_a_finding_first(schema):
    run = made_run(schema, 3)
    warned = run.verify | {"warnings": ["Made_00002: the reference marks no voxel"]}
    outside = run.split.model_copy(update={"test": ("Made_00000",)})
    page = section_of(replace(run, verify=warned, split=outside), "verification")
    alternatives = page.all("img", "alt")
    assert [text.split(":")[0] for text in alternatives] == [
        "Case Made_00002, in no part",
        "Case Made_00000, test",
        "Case Made_00001, in no part",
    ]
    assert "WT 1.5 ml, TC 1.0 ml, ET 1.0 ml" in alternatives[0]
    assert "1 finding to look at" in page.text


def test_more_cases_than_fit_are_counted(schema):
    page = section_of(made_run(schema, 301), "verification")
    assert len(page.all("img", "src")) == 300
    assert "1 more case in metrics/thumbnails.png." in page.text


def test_a_clean_cohort_has_no_warnings(schema):
    run = made_run(schema, 1)
    clean = replace(run, verify=run.verify | {"warnings": []})
    assert "No warnings." in section_of(clean, "verification").text


def test_every_metric_shown_is_defined_by_the_evaluation_before_our_own(schema):
    run = made_run(schema, 3)
    run.evaluation["definitions"]["border_length"] = "the length of the border"
    text = section_of(run, "definitions").text
    for expected in (
        *("Dice twice the overlap", "Border length the length of the border", "HD95 (mm)"),
        *("Surface Dice at 2 mm", "Expected calibration error", "By instances: Panoptic quality"),
        "95 % interval",
    ):
        assert expected in text
    assert "2 TP / (2 TP + FP + FN) of" not in text
    bare = replace(run, evaluation=run.evaluation | {"calibration": {}})
    assert "Brier" not in section_of(bare, "definitions").text


def test_the_command_comes_first_and_nested_facts_are_folded(schema):
    run = made_run(schema, 1)
    page = section_of(run, "provenance")
    assert "in a clone of the repository: git checkout 0123abc && dvc repro" in page.text
    assert [tag for tag, _ in page.elements].count("details") == 3
    for expected in (
        *("Git commit 0123abc", "Changed since that commit none", "Packages", "numpy"),
        *("cohort.seed 2026", "MD5", "data/shards 1f2e.dir", "metrics/costs.csv"),
    ):
        assert expected in page.text
    unknown = replace(run, provenance={})
    assert "repository: dvc repro" in section_of(unknown, "provenance").text


def test_the_model_says_what_it_is_for_and_was_made_with(schema):
    text = section_of(made_run(schema, 1), "model").text
    assert text.startswith("Model Research use only, not for diagnosis.")
    assert "preprocess.spacing_mm 2, 2, 2" in text


def test_corrected_cases_are_counted_by_network_and_those_left_out_named(schema):
    run = made_run(schema, 3)
    assert "Corrected cases" not in section_of(run, "data").text
    first, second, _ = run.catalogue.cases
    attributes = {"corrected_from": "0123456789abcdef", "corrected_by": "Reader"}
    cases = (first.model_copy(update={"attributes": attributes}), second, run.catalogue.cases[2])
    catalogue = run.catalogue.model_copy(
        update={"cases": cases, "corrections": (first.case, second.case)}
    )
    split = run.split.model_copy(update={"train": (first.case,), "test": ()})
    text = section_of(replace(run, catalogue=catalogue, split=split), "data").text
    assert "1 of 1 training cases have labels that a reader corrected" in text
    assert "predicted by network 0123456789abcdef (1)" in text
    assert f"not trained on, since their patient is held out: {second.case}" in text
