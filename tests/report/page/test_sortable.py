from math import nan

from pipeline.report.page.html import element
from pipeline.report.page.sortable import SCRIPT, Cell, Column, sortable_table
from tests.report.reading import Page

COLUMNS = (Column("Case"), Column("WT", "Dice"), Column("ET", "Dice"), Column("Volume"))
ROWS = (
    (
        Cell(element("a", "<a>", href="#a")),
        Cell("0.500", 0.5, 0.5),
        Cell("–", nan, 0),
        Cell("1.2", 1.23),
    ),
)


def test_numbers_are_sorted_by_their_value_and_the_undefined_have_none():
    page = Page(sortable_table(COLUMNS, ROWS, "a caption", 1))
    assert page.all("td", "data-value") == ["0.5", "", "1.23"]
    assert page.has("td", **{"style": "--share:0.500", "class": "bar"})
    assert "<a>" in page.text


def test_the_heading_says_what_the_rows_are_sorted_by():
    assert Page(sortable_table(COLUMNS, ROWS, "a caption", 1)).all("th", "aria-sort") == [
        "none",
        "ascending",
        "none",
        "none",
    ]


def test_neighbours_of_one_group_have_a_heading_in_common():
    page = Page(sortable_table(COLUMNS, ROWS, "a caption", 1))
    assert page.has("th", scope="colgroup", colspan="2")
    assert len(page.all("th", "colspan")) == 1
    assert not Page(sortable_table(COLUMNS[:1], (), "a caption", 0)).all("th", "colspan")


def test_without_scripts_it_is_a_table_like_any_other():
    page = Page(sortable_table(COLUMNS, ROWS, "a caption", 1))
    assert "button" not in {tag for tag, _ in page.elements}
    assert page.has("p", **{"class": "filter", "hidden": ""})
    assert page.has("output", **{"aria-live": "polite"})


def test_the_script_can_stand_in_a_page():
    assert "</" not in SCRIPT
