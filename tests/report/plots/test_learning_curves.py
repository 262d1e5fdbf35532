from math import nan

from pipeline.report.plots.learning_curves import learning_curves
from pipeline.report.plots.palette import region_colours, rgb


def test_epochs_without_validation_leave_gaps_not_errors(history, schema, pixels, near):
    picture = pixels(learning_curves(history, schema, 60)[0])
    assert picture.shape[1] == 11 * 60
    assert all(near(picture, rgb(colour)) > 20 for colour in region_colours(schema).values())


def test_a_run_never_validated_shows_its_loss(history, schema, pixels, near):
    blank = [
        {key: nan if key.startswith("val") else value for key, value in row.items()}
        for row in history
    ]
    picture = pixels(learning_curves(blank, schema, 60)[0])
    assert near(picture, rgb("#24292f")) > 100
    assert near(picture, rgb("#D55E00")) == 0


def test_a_single_epoch_is_drawn(history, schema, pixels, near):
    assert near(pixels(learning_curves(history[1:2], schema, 60)[0]), rgb("#D55E00")) > 5
