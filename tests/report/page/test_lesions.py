from dataclasses import replace

import pytest

from pipeline.report.page.lesions import lesions
from tests.report.made_runs import made_run
from tests.report.reading import Page


@pytest.fixture
def run(schema):
    return made_run(schema, 4)


def test_lesions_are_scored_and_their_detection_told_by_size(run):
    page = Page(
        lesions(
            replace(run, evaluation=run.evaluation | {"lesion_rules": "glioma-2023"}),
            {"detection": (b"d", b"")},
        )
    )
    for text in (
        "Rules: glioma-2023.",
        "Panoptic quality",
        "All sizes",
        "Below 0.1 ml",
        "From 10 ml",
        "false per case",
    ):
        assert text in page.text
    assert len(page.all("img", "src")) == 1


def test_a_size_without_a_lesion_has_a_dash(run):
    one = [
        {"case": "a", "name": region, "kind": "reference", "volume_ml": 5.0, "found": 1}
        for region in run.schema.regions
    ]
    text = Page(lesions(replace(run, lesions=one), {})).text
    assert "1 to 10 ml1.00 (0.21 to 1.00)1 of 1 found, 0.00 false per case" in text
    assert "From 10 ml–0 of 0 found" in text


def test_without_single_lesions_there_is_the_table_of_cases_alone(run):
    assert "Detection by size" not in lesions(replace(run, lesions=()), {})


def test_where_lesions_were_not_scored_there_is_nothing(run):
    assert (
        lesions(replace(run, lesionwise=(), evaluation=run.evaluation | {"instances": {}}), {})
        == ""
    )


def test_instances_are_told_with_and_without_lesion_wise_scores(run):
    for shown in (run, replace(run, lesionwise=(), lesions=())):
        assert "Panoptic quality" in Page(lesions(shown, {})).text


def test_a_cohort_without_rules_is_told_why_its_lesions_have_no_score(run):
    foreign = run.catalogue.cohort.model_copy(update={"cohort": "knee", "lesion_rules": None})
    none = {"lesionwise": {}, "lesion_rules": None}
    bare = replace(
        run,
        catalogue=run.catalogue.model_copy(update={"cohort": foreign}),
        evaluation=run.evaluation | none,
    )
    text = Page(lesions(replace(bare, lesionwise=(), lesions=()), {})).text
    assert "No lesion-wise score: the schema of cohort knee names no rules" in text
    assert "lesion_rules, one of brats2023-gli, " in text
    assert "Panoptic quality" in text
    assert "Mean over lesions" not in text
