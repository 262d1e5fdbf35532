import pytest

from pipeline.report.plots.summary.text import printable, shortened, width_in, wrapped


def test_text_of_strangers_becomes_one_line_of_glyphs_that_the_font_has():
    assert printable("Straße $x^2$ Ωμ ж") == "Straße $x^2$ Ωμ ж"
    assert printable("two\nlines\tand  more\x00") == "two lines and more\N{REPLACEMENT CHARACTER}"
    for stranger in ("脳", "\U0001f9e0", "\ud83d", "\N{RIGHT-TO-LEFT OVERRIDE}", "\ue000"):
        assert printable(f"a{stranger}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_a_name_that_is_too_wide_keeps_its_start_and_its_end():
    name = f"BraTS-{'W' * 300}-00077"
    short = shortened(name, 3.0, 15)
    assert width_in(short, 15) <= 3.0 < width_in(short.replace("…", "…W"), 15)
    start, end = short.split("…")
    assert name.startswith(start)
    assert name.endswith(end)
    assert len(end) >= 5
    assert shortened("short", 3.0, 15) == "short"


@pytest.mark.parametrize("text", ["a few words " * 60, "W" * 500, "ab " + "W" * 200 + " cd"])
def test_lines_are_within_their_width_and_hold_all_text_where_there_is_room(text):
    lines = wrapped(text, 2.0, 8, 100)
    assert max(width_in(line, 8) for line in lines) <= 2.0
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    few = wrapped(text, 2.0, 8, 3)
    assert few[:2] == lines[:2]
    assert len(few) == 3
    assert few[2].endswith("…")
    assert width_in(few[2], 8) <= 2.0
