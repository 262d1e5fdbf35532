from math import nan

import pytest

from pipeline.report.plots.calibration import reliability_plot, uncertainty_plot
from pipeline.report.plots.palette import region_colours, rgb
from tests.report.made_runs import made_run


@pytest.fixture
def run(schema):
    return made_run(schema, 6)


def test_every_region_is_drawn_in_its_colour(run, schema, pixels, near):
    for data, _ in (
        reliability_plot(run.reliability, schema, 60),
        uncertainty_plot(run.calibration, schema, 60),
    ):
        assert all(
            near(pixels(data), rgb(colour)) > 20 for colour in region_colours(schema).values()
        )


def test_bins_without_a_voxel_are_left_out(run, schema):
    empty = {"voxels": 0, "mean_probability": nan, "share_positive": nan}
    rows = [row | (empty if row["bin"] == 3 else {}) for row in run.reliability]
    assert reliability_plot(rows, schema, 40) == reliability_plot(
        [row for row in rows if row["bin"] != 3], schema, 40
    )


def test_regions_and_cases_that_were_not_measured_leave_gaps_not_errors(run, schema, pixels, near):
    innermost = region_colours(schema)["ET"]
    rows = [row for row in run.reliability if row["name"] != "ET"]
    undefined = [row | ({"aurc": nan} if row["name"] == "ET" else {}) for row in run.calibration]
    assert near(pixels(reliability_plot(rows, schema, 60)[0]), rgb(innermost)) == 0
    assert near(pixels(uncertainty_plot(undefined, schema, 60)[0]), rgb(innermost)) == 0


def test_a_case_without_an_error_has_no_curve(run, schema):
    right = [row | {"aurc": 0.0, "aurc_random": 0.0, "aurc_oracle": 0.0} for row in run.calibration]
    assert uncertainty_plot(right, schema, 40) == uncertainty_plot([], schema, 40)
