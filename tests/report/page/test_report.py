import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.core.case_means import mean_region_dice
from pipeline.report.page.cases import LOCAL_HELD_OUT
from pipeline.report.page.report import report_page, under_title
from pipeline.report.plots.viewer_volumes import viewer_volumes
from pipeline.report.rendering import ASSETS
from pipeline.report.results import Pictured
from tests.report.made_runs import in_cohort, made_run, made_types
from tests.report.reading import Page

NAMES = (
    *("learning_curves", "scores", "volume_agreement", "dice_by_volume", "detection"),
    *("confusion", "reliability", "uncertainty", "types", "types_of_patients"),
)
FIGURES = {name: (name.encode(), b"") for name in NAMES}


def pictured(run, overlay, film=b"gif"):
    """The run with every case pictured by files of these bytes, after the name of the case."""
    ranked = mean_region_dice(run.rows)
    pictures = [Pictured(case, case.encode() + overlay, film + case.encode()) for case in ranked]
    return replace(run, pictured=pictures)


@pytest.fixture
def run(schema):
    return pictured(made_run(schema, 4), b"")


@pytest.fixture
def page(run):
    return Page(report_page(run, FIGURES))


def test_the_sections_are_in_order_and_every_link_leads_to_one_place(page):
    sections = page.all("section", "id")
    assert sections == [
        *(
            "scores",
            "comparison",
            "lesions",
            "cases",
            "pictures",
            "calibration",
            "training",
            "data",
        ),
        *("verification", "definitions", "provenance", "model", "limits"),
    ]
    links = [link for link in page.all("a", "href") if not link.startswith(LOCAL_HELD_OUT)]
    assert [link for link in links if not link.startswith("#case-")] == [
        "#comparison",  # in the head
        *(f"#{name}" for name in sections),
    ]
    targets = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(links) == 1 + 13 + 4
    assert {link.removeprefix("#") for link in links} <= set(targets)
    assert len(targets) == len(set(targets))


def test_sections_without_data_are_left_out(run):
    bare = replace(
        run,
        evaluation=run.evaluation | {"instances": {}},
        previous=None,
        **dict.fromkeys(("lesionwise", "lesions", "calibration", "pictured"), ()),
    )
    sections = Page(report_page(bare, {})).all("section", "id")
    assert not {"lesions", "calibration", "pictures", "training", "viewer"} & set(sections)
    assert "comparison" in sections  # with published results
    bare = in_cohort(bare, cohort="phantom")
    assert "comparison" not in Page(report_page(bare, {})).all("section", "id")


def test_types_and_the_viewer_have_their_sections(view_on, schema):
    run = made_run(TYPES, 4, types=made_types(TYPES, 4))
    assert "types" in Page(report_page(run, FIGURES)).all("section", "id")
    run = made_run(schema, 4, volumes=[viewer_volumes(view_on(), schema)])
    page = Page(report_page(run, FIGURES))
    assert page.all("section", "id")[0] == "viewer"  # beside the verdict
    assert page.has("div", id="viewer-panel")


def test_nothing_is_fetched_and_only_the_scripts_of_the_page_may_run(view_on, schema, run):
    for shown in (run, replace(run, volumes=[viewer_volumes(view_on(), schema)])):
        markup = report_page(shown, FIGURES)
        bare = re.sub(
            r"base64,[\w+/=]+|<script type.*?</script>|<pre.*?</pre>|<a class=\"open.*?</a>",
            "",
            markup,
            flags=re.S,
        )
        assert not re.search(r"https?:|//[a-z]|url\(|@import|<link|<iframe| src=\"(?!data:)", bare)
        policy = Page(markup).all("meta", "content")[0]
        assert policy.startswith("default-src 'none'")
        assert not {"*", "http:", "https:"} & set(policy.replace(";", "").split())
        scripts = re.findall(r"<script>(.*?)</script>", markup, re.DOTALL)
        digests = {base64.b64encode(hashlib.sha256(code.encode()).digest()) for code in scripts}
        allowed = re.search("script-src ([^;]*)", policy)[1].split()
        assert {f"'sha256-{digest.decode()}'" for digest in digests} == {
            source for source in allowed if "sha256" in source
        }
        assert len(scripts) == (5 if shown.volumes else 2)
        assert "'unsafe-inline'" not in allowed


def test_every_picture_says_what_it_shows(page):
    alternatives = page.all("img", "alt")
    assert len(alternatives) == 8 + 2 * 4 + 4
    assert len(set(alternatives)) == len(alternatives)
    assert min(map(len, alternatives)) > 30
    assert not any("\n" in text for text in alternatives)


def test_headings_go_down_one_step_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_reads_in_the_dark_on_a_phone_and_aloud(page):
    assert "prefers-color-scheme: dark" in page.markup
    assert "width=device-width, initial-scale=1" in page.all("meta", "content")
    assert page.elements[0] == ("html", {"lang": "en"})
    landmarks = [tag for tag, _ in page.elements if tag in ("header", "nav", "main")]
    assert landmarks == ["header", "nav", "main"]
    assert page.has("section", id="scores", **{"aria-labelledby": "scores-title"})
    assert page.has("h2", id="scores-title")


def test_what_may_be_wider_than_the_screen_scrolls_by_keyboard(page):
    scrolling = [found for _, found in page.elements if "scroll" in found.get("class", "")]
    assert len(scrolling) > 20
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in scrolling)
    assert page.markup.count('class="small plot"') == 1


def test_names_from_outside_are_text(run):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    changed = replace(
        run,
        rows=[row | {"patient": evil} for row in run.rows],
        card={evil: evil},
        provenance={evil: {evil: evil}},
        verify=run.verify | {"warnings": [evil], "checks": [evil]},
        previous=replace(run.previous, name=evil),
    )
    page = Page(report_page(changed, FIGURES))
    assert page.text.count(evil) >= 8
    assert "x" not in page.all("img", "src")
    assert page.markup.count("<script>") == 2


def test_the_page_stays_below_its_size_whatever_is_pictured(schema):
    large = pictured(made_run(schema, 5), bytes(5_000_000), bytes(1_000_000))
    markup = report_page(large, FIGURES)
    assert 16_000_000 < len(markup.encode()) < 25_000_000
    assert "Left out, to be found in metrics/figures: " in markup
    filled = report_page(large, FIGURES | {"scores": (bytes(9_000_000), b"")})
    assert 12_000_000 < len(filled.encode()) < 25_000_000


def test_what_differs_between_equal_runs_stands_in_the_copy_alone(run):
    page = report_page(run, FIGURES)
    copy = Page(under_title(page, ["2026-01-31 12:00 UTC", "DVC experiment <b>"]))
    assert "2026-01-31 12:00 UTC · DVC experiment <b>" in copy.text
    assert "2026-01-31" not in page
    assert page == report_page(run, FIGURES)


def test_one_case_makes_a_page(schema):
    assert "on 1 held-out case of cohort" in Page(report_page(made_run(schema, 1), {})).text


def test_our_scripts_hold_no_closing_tag_and_no_address():
    for name in ("sortable", "reduced_motion", "label_painting", "viewer", "embedded_volumes"):
        code = (ASSETS / f"{name}.js").read_text()
        assert "</" not in code
        assert "://" not in code
