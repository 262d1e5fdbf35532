from pipeline.report.page.definitions import definitions
from tests.report.made_runs import made_run
from tests.report.reading import Page


def test_every_metric_shown_is_defined_and_the_evaluation_has_the_word(schema):
    text = Page(definitions(made_run(schema, 3))).text
    assert "Dicetwice the overlap" in text
    assert "2 TP / (2 TP + FP + FN) of" not in text
    for title in (
        "HD95 (mm)",
        "Surface Dice at 2 mm",
        "Expected calibration error",
        "Panoptic quality",
        "95 % interval",
    ):
        assert title in text


def test_what_was_not_measured_is_not_defined(schema):
    run = made_run(schema, 3)
    run = made_run(schema, 3, evaluation=run.evaluation | {"calibration": {}})
    assert "Brier" not in Page(definitions(run)).text
