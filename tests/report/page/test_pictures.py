from dataclasses import replace

import pytest

from pipeline.report.page.pictures import case_pictures, dice_line
from pipeline.report.page.run import Pictured
from pipeline.report.worst_to_best import mean_region_dice
from tests.report.made_runs import made_run
from tests.report.reading import Page


@pytest.fixture
def run(schema):
    made = made_run(schema, 5)
    return replace(
        made,
        pictured=[
            Pictured(case, bytes(30_000), bytes(10_000)) for case in mean_region_dice(made.rows)
        ],
    )


def test_pictures_that_find_no_room_are_those_in_the_middle_and_named(run):
    ranked = list(mean_region_dice(run.rows))
    page = Page(case_pictures(run, 3 * 57_000))
    assert page.all("h3", "id") == ["case-0", "case-1", "case-4"]
    assert f"Left out, to be found in metrics/figures: {ranked[2]}, {ranked[3]}." in page.text


def test_the_rule_is_stated_even_if_all_fit(run):
    text = Page(case_pictures(run, 10**7)).text
    assert "This page stays below 25 MB" in text
    assert text.endswith("None was left out.")


def test_what_moves_can_be_closed(run):
    assert Page(case_pictures(run, 10**7)).all("details", "class") == ["moving"] * 5


def test_a_film_says_what_it_is(run):
    films = replace(
        run,
        pictured=[Pictured("Made_00000", b"o", b"RIFF"), Pictured("Made_00001", b"o", b"GIF89a")],
    )
    kinds = [source.split(";")[0] for source in Page(case_pictures(films, 10**7)).all("img", "src")]
    assert kinds == ["data:image/png", "data:image/webp", "data:image/png", "data:image/gif"]


def test_no_room_leaves_out_every_case(run):
    page = Page(case_pictures(run, 0))
    assert page.all("img", "src") == []
    assert all(case in page.text for case in mean_region_dice(run.rows))


def test_every_case_says_where_it_stands(run):
    text = Page(case_pictures(run, 10**7)).text
    assert ": the worst of 5" in text
    assert ": number 3 of 5 from the worst" in text
    assert ": the best of 5" in text


def test_a_single_case_is_neither_best_nor_worst(schema):
    only = made_run(schema, 1, pictured=[Pictured("Made_00000", b"o", b"a")])
    assert "Made_00000: the only case" in Page(case_pictures(only, 10**7)).text


def test_without_a_pictured_case_there_is_nothing(run):
    assert case_pictures(replace(run, pictured=()), 10**7) == ""


def test_the_line_of_a_case_has_the_dice_of_its_regions(rows, schema):
    assert dice_line(rows, schema, "Made_bare").startswith("Dice  WT 1.00   TC 1.00   ET 1.00")
