from dataclasses import replace
from math import nan

import pytest

from pipeline.core.case_means import mean_region_dice
from pipeline.report.page import cases as module
from pipeline.report.page.cases import dice_line
from pipeline.report.results import Pictured
from tests.report.made_runs import made_run
from tests.report.reading import section_of


@pytest.fixture
def run(schema):
    return made_run(schema, 5)


@pytest.fixture
def pictured(run):
    ranked = mean_region_dice(run.rows)
    return replace(run, pictured=[Pictured(case, bytes(30_000), bytes(9_000)) for case in ranked])


def test_every_case_is_there_from_the_worst_to_the_best_and_linked_to_its_pictures(run):
    shown = [Pictured(case, b"", b"") for case in ("Made_00001", "Made_00003")]
    page = section_of(replace(run, pictured=shown), "cases")
    ranked = list(mean_region_dice(run.rows))
    places = [page.text.index(case) for case in ranked]
    assert len(ranked) == 5
    assert places == sorted(places)
    links = page.all("a", "href")
    assert sorted(link for link in links if link.startswith("#")) == ["#case-0", "#case-1"]


def test_every_case_leads_to_its_page_on_the_server_whatever_its_name(run):
    rows = [row | {"case": row["case"].replace("Made_00002", 'a "b"?')} for row in run.rows]
    links = section_of(replace(run, rows=rows), "cases").all("a", "href")
    opened = [link for link in links if not link.startswith("#")]
    names = ["Made_00000", "Made_00001", "a%20%22b%22%3F", "Made_00003", "Made_00004"]
    assert sorted(opened) == sorted(f"http://127.0.0.1:8765/held-out/{name}" for name in names)


def test_patients_are_listed_only_if_they_are_not_the_cases(run):
    assert "Patient" not in section_of(run, "cases").text
    named = [row | {"patient": f"<{row['patient']}>"} for row in run.rows]
    page = section_of(replace(run, rows=named), "cases")
    assert "Patient" in page.text
    assert "<Made_00002>" in page.text
    assert page.all("th", "aria-sort").index("ascending") == 2
    assert set(page.all("th", "aria-sort")) == {"ascending", "none"}


def test_a_score_given_by_rule_is_marked_and_an_undefined_one_sorts_last(run):
    changed = [
        row | {"dice": nan, "hd95_mm": nan, "filled": "both_empty"} if row["name"] == "ET" else row
        for row in run.rows
    ]
    page = section_of(replace(run, rows=changed), "cases")
    assert page.text.count("–†") == 5 * 2
    assert "† The reference or the prediction has no voxel" in page.text
    bare = replace(
        run,
        rows=[row | {"filled": ""} for row in run.rows],
        lesionwise=[row | {"filled": ""} for row in run.lesionwise],
    )
    assert "†" not in section_of(bare, "cases").text
    assert page.all("td", "data-value").count("") == 5 * 2


def test_cells_are_sorted_by_their_full_value_and_neighbours_of_a_group_share_a_heading(run):
    mean = next(iter(mean_region_dice(run.rows).values()))
    page = section_of(run, "cases")
    assert page.all("td", "data-value")[0] == repr(mean)
    assert page.has("td", **{"class": "bar", "style": f"--share:{mean:.3f}"})
    assert page.has("th", scope="colgroup", colspan="4")  # Dice: mean and three regions
    assert page.text.count("Ref. Pred.") == 3
    assert "WT (ml) TC (ml) ET (ml)" in page.text
    assert "Lesion-wise Dice" in page.text
    assert "Lesion-wise" not in section_of(replace(run, lesionwise=()), "cases").text


def test_without_scripts_it_is_a_table_like_any_other(run):
    page = section_of(run, "cases")
    assert page.all("button", "class") == ["download"]  # in what scripts show
    assert page.has("p", **{"class": "filter", "hidden": None})
    assert page.has("output", **{"aria-live": "polite"})


def test_pictures_that_do_not_fit_are_those_in_the_middle_and_named(pictured):
    ranked = list(mean_region_dice(pictured.rows))
    for room, places, left_out in ((3 * 57_000, [0, 1, 4], ranked[2:4]), (0, [], ranked)):
        found = module.pictures(pictured, room)
        assert [shown["place"] for shown in found["shown"]] == places
        assert found["left_out"] == left_out


def test_every_case_has_its_rank_its_film_and_the_rule_is_stated_even_if_all_fit(pictured):
    page = section_of(pictured, "pictures")
    for expected in (": the worst of 5", ": number 3 of 5 from the worst", ": the best of 5"):
        assert expected in page.text
    assert page.all("h3", "id") == [f"case-{place}" for place in range(5)]
    assert page.all("details", "class") == ["moving"] * 5
    assert "This page stays below 25 MB" in page.text
    assert "None was left out." in page.text


def test_a_film_has_its_kind(run):
    films = [Pictured("Made_00000", b"o", b"RIFF"), Pictured("Made_00001", b"o", b"GIF89a")]
    sources = section_of(replace(run, pictured=films), "pictures").all("img", "src")
    kinds = [source.split(";")[0].rpartition("/")[2] for source in sources]
    assert kinds == ["png", "webp", "png", "gif"]


def test_a_single_case_is_neither_best_nor_worst(schema):
    only = made_run(schema, 1, pictured=[Pictured("Made_00000", b"o", b"a")])
    assert "Made_00000: the only case" in section_of(only, "pictures").text


def test_the_line_of_a_case_has_the_dice_of_its_regions(rows, schema):
    assert dice_line(rows, schema, "Made_bare").startswith("Dice  WT 1.00   TC 1.00   ET 1.00")
