from math import nan

import pytest

from pipeline.report.plots.palette import label_colours, rgb
from pipeline.report.plots.scores import FEWEST_FOR_A_BOX, score_plot


@pytest.fixture
def drawn(schema, pixels):
    """Pixels of the plot of rows."""
    return lambda rows: pixels(score_plot(rows, schema, 60)[0])


@pytest.fixture
def enhancing(schema):
    return rgb(label_colours(schema)["enhancing"])


def test_every_label_is_drawn_in_its_colour(rows, schema, drawn, near):
    picture = drawn(rows)
    assert picture.shape[1] == 11 * 60
    assert all(near(picture, rgb(colour)) > 30 for colour in label_colours(schema).values())


def test_a_name_without_a_defined_score_has_no_mark(rows, drawn, near, enhancing):
    undefined = {"dice": nan, "hd95_mm": nan}
    changed = [row | (undefined if row["name"] in ("ET", "enhancing") else {}) for row in rows]
    assert near(drawn(changed), enhancing) == 0


def test_a_score_given_by_rule_is_a_hollow_dot(rows, drawn, near, enhancing):
    solid, hollow = (
        near(drawn([row | {"filled": filled} for row in rows]), enhancing)
        for filled in ("", "both_empty")
    )
    assert hollow < solid


def with_dice(rows, values):
    """As many cases as values, each like the first of the rows but for the Dice of its regions and
    labels.
    """
    first = [row for row in rows if row["case"] == rows[0]["case"]]
    return [
        row | {"case": f"c{place}", "dice": value}
        for place, value in enumerate(values)
        for row in first
    ]


def test_a_box_and_a_violin_stand_only_where_cases_are_enough_to_have_quartiles(
    rows, drawn, near, enhancing
):
    values = [0.2 + 0.1 * place for place in range(FEWEST_FOR_A_BOX)]
    few, enough = (drawn(with_dice(rows, own)) for own in (values[:-1], values))
    tint = tuple(round(255 - 0.18 * (255 - channel)) for channel in enhancing)
    assert near(few, tint, 2) < 20
    assert near(enough, tint, 2) > 250


def test_equal_values_have_a_box_and_no_violin(rows, drawn):
    assert drawn(with_dice(rows, [0.5] * 6)).shape[1] == 660


def test_the_order_of_the_rows_changes_nothing(rows, schema):
    assert score_plot(rows, schema, 50) == score_plot(rows[::-1], schema, 50)


def test_a_distance_beyond_the_scale_is_still_on_the_paper(rows, schema, drawn, near):
    picture = drawn([row | {"hd95_mm": 5000.0} for row in rows])
    right = picture[:, picture.shape[1] // 2 :]
    assert near(right, rgb(label_colours(schema)["edema"])) > 20
