from dataclasses import replace

import pytest

from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.report.plots.figures import figures_of
from tests.report.made_runs import made_run, made_types

ALWAYS = {"learning_curves", "scores", "volume_agreement", "dice_by_volume"}


@pytest.mark.slow
def test_every_table_has_its_figure_for_screen_and_print():
    drawn = figures_of(made_run(TYPES, 25, types=made_types(TYPES, 25)), 40)
    measured = {"detection", "confusion", "reliability", "uncertainty"}
    assert set(drawn) == ALWAYS | measured | {"types", "types_of_patients"}
    assert all(
        screen.startswith(b"\x89PNG") and print_.startswith(b"<?xml")
        for screen, print_ in drawn.values()
    )


@pytest.mark.slow
def test_one_case_and_missing_tables_leave_the_figures_that_a_run_always_has(schema):
    bare = replace(made_run(schema, 1), confusion=(), reliability=(), calibration=(), lesions=())
    assert set(figures_of(bare, 40)) == ALWAYS
