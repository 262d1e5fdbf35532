import io

from PIL import Image

from pipeline.report.plots.drawing import blank, drawn, panels, style
from pipeline.report.plots.palette import label_colours, region_colours, rgb


@style()
def figure():
    made = blank(2, 1)
    made.subplots().plot([0, 1], [1, 0])
    return drawn(made, 50)


def test_a_figure_has_its_size_and_the_same_bytes_and_no_date_on_screen_and_in_print():
    screen, print_ = figure()
    assert (screen, print_) == figure()
    assert Image.open(io.BytesIO(screen)).size == (100, 50)
    assert b'width="144pt" height="72pt"' in print_
    assert b"dc:date" not in print_
    assert b"dc:creator" not in print_


def test_panels_stand_in_rows_and_a_few_do_not_fill_the_width():
    wide, axes = panels(5, 2.0)
    assert len(axes) == 5
    assert wide.get_size_inches().tolist() == [11, 4]
    assert panels(1, 2.0)[1][0].get_position().width < 0.4


def test_labels_differ_in_colour_and_a_region_has_that_of_the_label_that_it_adds(schema):
    labels, regions = label_colours(schema), region_colours(schema)
    assert regions == {"WT": labels["edema"], "TC": labels["necrotic"], "ET": labels["enhancing"]}
    assert len(set(labels.values())) == len(schema.labels)
    assert rgb("#CC79A7") == (204, 121, 167)
