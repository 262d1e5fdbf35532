from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.report.page.scores import scores
from tests.report.made_runs import made_run
from tests.report.reading import Page

FIGURES = {
    name: (name.encode(), b"")
    for name in ("scores", "volume_agreement", "dice_by_volume", "confusion")
}


def test_tables_and_figures_are_there_for_regions_and_labels(schema):
    page = Page(scores(made_run(schema, 4), FIGURES))
    assert len(page.all("img", "src")) == 4
    assert "Label by label" in page.text
    assert (
        "WT = necrotic + edema + enhancing, TC = necrotic + enhancing, ET = enhancing." in page.text
    )
    assert "0.1250" in page.text  # the loss


def test_regions_of_one_label_each_are_not_told_twice():
    assert "Label by label" not in Page(scores(made_run(TYPES, 4), FIGURES)).text


def test_a_mean_over_all_classes_says_in_how_many_cases_it_is_defined(schema):
    run = made_run(schema, 4)
    run.evaluation["multiclass"]["precision_without_background"] |= {"cases": 3, "undefined": 1}
    assert "Precision0.2500n = 40.2500n = 3, 1 undefined" in Page(scores(run, FIGURES)).text


def test_figures_that_were_not_drawn_leave_no_gap(schema):
    assert Page(scores(made_run(schema, 4), {})).all("img", "src") == []
