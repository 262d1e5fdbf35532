from dataclasses import replace

import pytest

from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.report.plots.figures import figures_of
from tests.report.made_runs import made_run, made_types

ALWAYS = {"learning_curves", "scores", "volume_agreement", "dice_by_volume"}


@pytest.mark.parametrize("cases", [1, 25])
def test_every_table_has_its_figure_for_screen_and_print(cases, schema):
    drawn = figures_of(made_run(schema, cases), 50)
    assert set(drawn) >= ALWAYS | {"detection", "confusion", "reliability", "uncertainty"}
    assert "types" not in drawn
    assert all(
        screen.startswith(b"\x89PNG") and print_.startswith(b"<?xml")
        for screen, print_ in drawn.values()
    )


def test_without_a_table_there_is_no_figure(schema):
    bare = replace(made_run(schema, 2), confusion=(), reliability=(), calibration=(), lesions=())
    assert set(figures_of(bare, 50)) == ALWAYS


def test_types_have_a_matrix_of_cases_and_one_of_patients():
    assert {"types", "types_of_patients"} <= set(
        figures_of(made_run(TYPES, 6, types=made_types(TYPES, 6)), 50)
    )
