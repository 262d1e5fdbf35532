from math import nan

import numpy as np
import pytest

from pipeline.report.plots.palette import region_colours, rgb
from pipeline.report.plots.volumes import agreement, dice_by_volume, volume_agreement


def row(case, reference_ml, prediction_ml, dice=0.5, name="WT"):
    volumes = {"reference_ml": reference_ml, "prediction_ml": prediction_ml}
    return {"case": case, "kind": "region", "name": name, "dice": dice, **volumes}


def every(schema, *pairs):
    return [
        row(f"c{place}", *pair, name=region)
        for region in schema.regions
        for place, pair in enumerate(pairs)
    ]


def test_bias_and_limits_are_those_of_bland_and_altman():
    found = agreement(
        [row(case, 10, 10 + error) for case, error in zip("abcd", (1, 2, 3, 6), strict=True)], "WT"
    )
    assert found["cases"] == 4
    assert found["bias"] == pytest.approx(3)
    assert found["high"] - 3 == pytest.approx(1.96 * np.sqrt(14 / 3))
    assert found["low"] + found["high"] == pytest.approx(6)


@pytest.mark.parametrize(("pairs", "bias"), [([], nan), ([(1, 2), (1, 4)], 2)])
def test_two_cases_have_a_bias_without_limits_and_no_case_has_neither(pairs, bias):
    found = agreement([row("a", *pair) for pair in pairs], "WT")
    assert found == pytest.approx(
        {"cases": len(pairs), "bias": bias, "low": nan, "high": nan}, nan_ok=True
    )


@pytest.mark.parametrize("plot", [volume_agreement, dice_by_volume])
def test_every_region_is_drawn_in_its_colour(plot, schema, pixels, near):
    rows = every(schema, (1, 2), (30, 20), (100, 110))
    picture = pixels(plot(rows, schema, 60)[0])
    assert all(near(picture, rgb(colour)) > 20 for colour in region_colours(schema).values())


@pytest.mark.parametrize("plot", [volume_agreement, dice_by_volume])
@pytest.mark.parametrize("pairs", [[(5, 6)], [(0, 0), (0, 1)], [(5, 5), (5, 5), (5, 5)]], ids=str)
def test_few_equal_and_empty_cases_are_drawn_without_complaint(plot, pairs, schema, pixels):
    assert pixels(plot(every(schema, *pairs), schema, 40)[0]).shape[1] == 440


def test_the_order_of_the_rows_changes_nothing(schema):
    rows = every(schema, *((volume, volume + 1) for volume in range(1, 25)))
    assert dice_by_volume(rows, schema, 40) == dice_by_volume(rows[::-1], schema, 40)
    assert volume_agreement(rows, schema, 40) == volume_agreement(rows[::-1], schema, 40)
