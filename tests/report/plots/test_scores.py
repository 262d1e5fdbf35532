from math import nan

from pipeline.report.plots.palette import label_colours, rgb
from pipeline.report.plots.scores import FEWEST_FOR_A_BOX, score_plot


def test_every_label_is_drawn_in_its_colour(rows, schema, pixels, near):
    picture = pixels(score_plot(rows, schema, 80)[0])
    assert picture.shape[1] == 11 * 80
    assert all(near(picture, rgb(colour)) > 50 for colour in label_colours(schema).values())


def test_a_name_without_a_defined_score_has_no_mark(rows, schema, pixels, near):
    undefined = [
        row | ({"dice": nan, "hd95_mm": nan} if row["name"] in ("ET", "enhancing") else {})
        for row in rows
    ]
    assert (
        near(pixels(score_plot(undefined, schema, 80)[0]), rgb(label_colours(schema)["enhancing"]))
        == 0
    )


def test_a_score_given_by_rule_is_a_hollow_dot(rows, schema, pixels, near):
    solid = near(
        pixels(score_plot([row | {"filled": ""} for row in rows], schema, 80)[0]),
        rgb(label_colours(schema)["enhancing"]),
    )
    hollow = near(
        pixels(score_plot([row | {"filled": "both_empty"} for row in rows], schema, 80)[0]),
        rgb(label_colours(schema)["enhancing"]),
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
    rows, schema, pixels, near
):
    values = [0.2 + 0.1 * place for place in range(FEWEST_FOR_A_BOX)]
    few, enough = (
        pixels(score_plot(with_dice(rows, own), schema, 80)[0]) for own in (values[:-1], values)
    )
    tint = tuple(
        round(255 - 0.18 * (255 - channel)) for channel in rgb(label_colours(schema)["enhancing"])
    )
    assert near(few, tint, 2) < 30
    assert near(enough, tint, 2) > 500


def test_equal_values_have_a_box_and_no_violin(rows, schema, pixels):
    assert pixels(score_plot(with_dice(rows, [0.5] * 6), schema, 50)[0]).shape[1] == 550


def test_the_order_of_the_rows_changes_nothing(rows, schema):
    assert score_plot(rows, schema, 50) == score_plot(rows[::-1], schema, 50)


def test_a_distance_beyond_the_scale_is_still_on_the_paper(rows, schema, pixels, near):
    far = [row | {"hd95_mm": 5000.0} for row in rows]
    picture = pixels(score_plot(far, schema, 80)[0])
    right = picture[:, picture.shape[1] // 2 :]
    assert near(right, rgb(label_colours(schema)["edema"])) > 20
