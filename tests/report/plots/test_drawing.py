import io

from PIL import Image

from pipeline.report.plots.drawing import blank, drawn, panels, style


def figure():
    made = blank(2, 1)
    made.subplots().plot([0, 1], [1, 0])
    return made


def test_the_same_figure_gives_the_same_bytes_on_screen_and_in_print():
    with style():
        assert drawn(figure(), 50) == drawn(figure(), 50)


def test_a_figure_has_the_size_asked_for():
    with style():
        screen, print_ = drawn(figure(), 50)
    assert Image.open(io.BytesIO(screen)).size == (100, 50)
    assert b'width="144pt" height="72pt"' in print_


def test_a_file_for_print_tells_nothing_of_when_and_where_it_was_made():
    with style():
        print_ = drawn(figure(), 50)[1]
    assert b"dc:date" not in print_
    assert b"dc:creator" not in print_


def test_panels_stand_in_rows_and_a_few_do_not_fill_the_width():
    with style():
        wide, axes = panels(5, 2.0)
        assert len(axes) == 5
        assert wide.get_size_inches().tolist() == [11, 4]
        one = panels(1, 2.0)[1][0]
    assert one.get_position().width < 0.4
