import re
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.report.page.html import Html
from pipeline.report.page.report import report_page
from pipeline.report.page.run import Pictured
from pipeline.report.worst_to_best import mean_region_dice
from tests.report.made_runs import made_run, made_types
from tests.report.reading import Page

FIGURES = {
    name: (name.encode(), b"")
    for name in (
        *(
            "learning_curves",
            "scores",
            "volume_agreement",
            "dice_by_volume",
            "detection",
            "confusion",
            "reliability",
            "uncertainty",
        ),
        *("types", "types_of_patients"),
    )
}


@pytest.fixture
def run(schema):
    made = made_run(schema, 4)
    return replace(
        made,
        pictured=[
            Pictured(case, case.encode(), b"gif " + case.encode())
            for case in mean_region_dice(made.rows)
        ],
    )


@pytest.fixture
def page(run):
    return Page(report_page(run, FIGURES))


def test_the_parts_stand_in_order_and_the_navigation_leads_to_each(page):
    sections = page.all("section", "id")
    assert sections == [
        *(
            "scores",
            "lesions",
            "cases",
            "pictures",
            "calibration",
            "training",
            "data",
            "verification",
        ),
        *("definitions", "provenance", "model", "limits"),
    ]
    assert [link for link in page.all("a", "href") if not link.startswith("#case-")] == [
        f"#{name}" for name in sections
    ]


def test_every_link_leads_somewhere_in_the_page(page):
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = page.all("a", "href")
    assert len(links) == 12 + 4
    assert {link.removeprefix("#") for link in links} <= targets


def test_names_of_elements_are_given_once(page):
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_parts_without_data_are_left_out(run):
    evaluation = run.evaluation | {"instances": {}}
    bare = replace(
        run,
        evaluation=evaluation,
        lesionwise=(),
        lesions=(),
        calibration=(),
        pictured=(),
        previous=None,
    )
    assert not {"lesions", "calibration", "pictures"} & set(
        Page(report_page(bare, {})).all("section", "id")
    )


def test_types_and_the_viewer_have_their_parts():
    run = made_run(TYPES, 4, types=made_types(TYPES, 4), viewer=Html('<div id="niivue"></div>'))
    page = Page(report_page(run, FIGURES))
    assert {"types", "viewer"} <= set(page.all("section", "id"))
    assert page.has("div", id="niivue")


def test_nothing_is_fetched(run, page):
    markup = re.sub(r"base64,[\w+/=]+", "base64,", report_page(run, FIGURES))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link|<iframe| src=\"(?!data:)", markup)
    assert page.all("meta", "content")[0].startswith("default-src 'none'")


def test_every_picture_says_what_it_shows(page):
    alternatives = page.all("img", "alt")
    assert len(alternatives) == 8 + 2 * 4 + 4
    assert len(set(alternatives)) == len(alternatives)
    assert min(map(len, alternatives)) > 30


def test_headings_go_down_one_step_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_reads_in_the_dark_on_a_phone_and_aloud(run, page):
    markup = report_page(run, FIGURES)
    assert "prefers-color-scheme:dark" in markup
    assert "width=device-width, initial-scale=1" in page.all("meta", "content")
    assert page.elements[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in page.elements if tag in ("header", "nav", "main")] == [
        "header",
        "nav",
        "main",
    ]


def test_names_from_outside_are_text(run):
    evil = "<img src=x onerror=alert(1)>"
    changed = replace(
        run,
        rows=[row | {"patient": evil} for row in run.rows],
        card={evil: evil},
        provenance={evil: {evil: evil}},
    )
    page = Page(report_page(changed, FIGURES))
    assert page.text.count(evil) >= 4
    assert "x" not in page.all("img", "src")


def test_the_page_stays_below_its_size_whatever_is_pictured(schema):
    made = made_run(schema, 5)
    large = replace(
        made,
        pictured=[
            Pictured(case, bytes(5_000_000), bytes(1_000_000))
            for case in mean_region_dice(made.rows)
        ],
    )
    markup = report_page(large, FIGURES)
    assert 16_000_000 < len(markup.encode()) < 25_000_000
    assert "Left out, to be found in metrics/figures: " in markup
    with_viewer = report_page(
        replace(large, viewer=Html("<p>" + "v" * 12_000_000 + "</p>")), FIGURES
    )
    assert 12_000_000 < len(with_viewer.encode()) < 25_000_000


def test_the_same_run_gives_the_same_page(run, schema):
    again = made_run(schema, 4, pictured=run.pictured)
    assert report_page(run, FIGURES) == report_page(again, FIGURES)


def test_one_case_makes_a_page(schema):
    assert "on 1 held-out case of cohort" in Page(report_page(made_run(schema, 1), {})).text
