from dataclasses import replace

from pipeline.report.page.calibration import calibration
from tests.report.made_runs import made_run
from tests.report.reading import Page


def test_calibration_has_its_curves_and_its_table(schema):
    page = Page(
        calibration(made_run(schema, 3), {"reliability": (b"r", b""), "uncertainty": (b"u", b"")})
    )
    assert len(page.all("img", "src")) == 2
    for text in (
        "Expected calibration error",
        "Brier score",
        "AURC by chance",
        "n = 0, 3 undefined",
    ):
        assert text in page.text


def test_where_it_was_not_measured_there_is_nothing(schema):
    assert calibration(replace(made_run(schema, 3), calibration=()), {}) == ""
