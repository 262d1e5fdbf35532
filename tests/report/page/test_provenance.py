from dataclasses import replace

from pipeline.report.page.provenance import model, provenance
from tests.report.made_runs import made_run
from tests.report.reading import Page


def test_the_command_that_repeats_the_run_stands_first(schema):
    page = Page(provenance(made_run(schema, 1)))
    assert page.text.startswith(
        "To repeat it, in a clone of the repository:git checkout 0123abc && dvc repro"
    )


def test_where_nothing_is_known_dvc_repeats_it(schema):
    assert "dvc repro" in Page(provenance(replace(made_run(schema, 1), provenance={}))).text


def test_nested_facts_are_folded_under_their_titles(schema):
    page = Page(provenance(made_run(schema, 1)))
    assert [tag for tag, _ in page.elements].count("details") == 3
    for text in (
        "Git commit0123abc",
        "Changed since that commitnone",
        "Packages",
        "numpy",
        "cohort.seed2026",
        "MD5",
        "data/shards1f2e.dir",
    ):
        assert text in page.text


def test_what_differs_between_equal_runs_is_kept_elsewhere(schema):
    assert "metrics/costs.csv" in Page(provenance(made_run(schema, 1))).text


def test_the_model_says_what_it_is_for_and_was_made_with(schema):
    text = Page(model(made_run(schema, 1))).text
    assert text.startswith("Research use only, not for diagnosis.")
    assert "preprocess.spacing_mm2, 2, 2" in text
