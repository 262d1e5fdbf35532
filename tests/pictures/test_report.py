import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from pipeline.domain.catalogue import CaseEntry, Catalogue
from pipeline.domain.folds import Split
from pipeline.domain.scores import summarise
from pipeline.domain.thumbnail import SIDE
from pipeline.pictures.report import Pictured, Run, report_page
from pipeline.pictures.sheet import sheet

VOID = {"br", "meta", "img"}


class Page(HTMLParser):
    """Text, elements and attributes of a page; refuses elements that do not nest."""

    def __init__(self, markup):
        super().__init__()
        self.text, self.elements, self.open = "", [], []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, name, attribute):
        return [attributes[attribute] for tag, attributes in self.elements if tag == name and attribute in attributes]


def catalogued(case: str) -> CaseEntry:
    affine = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    volumes = {"necrotic": 0, "edema": 2000, "enhancing": 1500}
    return CaseEntry(
        case=case, patient=case, images={}, labels=None, shape=(9, 9, 9), affine=affine, spacing_mm=(1.0, 1.0, 1.0),
        orientation="RAS", brain_ml=1.0, label_voxels=volumes, attributes={}, native=None,
    )  # fmt: skip


@pytest.fixture
def run(rows, schema) -> Run:
    names = ("accuracy", "mean_iou", "mean_dice", "precision", "sensitivity", "specificity")
    multiclass = {f"{name}_{ending}_background": 0.25 for name in names for ending in ("with", "without")}
    evaluation = summarise(rows, "brats") | {
        "cohort": schema.cohort, "cases": 3, "held_out_loss": 0.125, "multiclass": multiclass, "definitions": {"dice": "twice the overlap"},
    }  # fmt: skip
    verify = {
        "cohort": schema.cohort, "cases": 9, "patients": 9, "files": 45, "without": {"ET": 2, "TC": 1, "WT": 0},
        "mean_ml": {"ET": 1.5, "TC": 2.5, "WT": 3.5}, "orientations": ["LPS"], "shapes": [[240, 240, 155]],
        "spacings_mm": [[1.0, 1.0, 1.0]], "warnings": ["Made_x: the reference marks no voxel"],
        "checks": ["every byte was read"],
    }  # fmt: skip
    entries = tuple(catalogued(case) for case in ("Made_bad", "Made_bare", "Made_good", "Made_x"))
    parts = {"train": tuple("abcd"), "val": tuple("ef"), "test": ("Made_bad", "Made_bare", "Made_good")}
    return Run(
        catalogue=Catalogue(cohort=schema, licence="free & open", cases=entries, alike=()),
        split=Split(**parts, folds=(), patients={case: case for part in parts.values() for case in part}),
        rows=rows,
        evaluation=evaluation,
        verify=verify,
        card={"recipe": {"spacing_mm": [2.0, 2.0, 2.0]}, "versions": {"keras": "3.15.1"}, "note": None},
        curves=b"curves",
        scores=b"scores",
        thumbnails=sheet([np.full((SIDE, SIDE, 3), 9 * number, np.uint8) for number in range(len(entries))]),
        pictured=[Pictured("Made_bad", b"o", b"a"), Pictured("Made_good", b"p", b"b")],
    )


@pytest.fixture
def page(run) -> Page:
    return Page(report_page(run))


def test_the_verdict_says_how_well_on_what(page, run):
    mean = run.evaluation["mean_region_dice"]["value"]
    assert f"Mean region Dice {mean:.3f} on 3 held-out cases of cohort {run.schema.cohort}" in page.text
    assert "Trained on 4 cases, validated on 2, scored on 3 held out of both (3 patients" in page.text
    assert "Research use only. Not for diagnosis" in page.text


def test_the_rule_that_filled_empty_regions_is_named(page):
    assert (
        "Two empty masks count as Dice 1 and HD95 0 mm, one empty mask as Dice 0 and HD95 373.13 mm (rule “brats” of the cohort)"
        in page.text
    )
    assert "It gave the Dice of 1 of 9 region scores." in page.text


def test_undefined_scores_are_counted_where_no_rule_fills_them(run, rows):
    bare = [row | ({"dice": float("nan"), "hd95_mm": float("nan"), "filled": ""} if row["filled"] else {}) for row in rows]
    schema = run.schema.model_copy(update={"empty_rule": "nan"})
    catalogue = run.catalogue.model_copy(update={"cohort": schema})
    page = Page(report_page(replace(run, catalogue=catalogue, rows=bare, evaluation=run.evaluation | summarise(bare, "nan"))))
    assert "left out of the mean (rule “nan”): 1 of 9 region scores." in page.text
    assert "n = 2, 1 undefined" in page.text


def test_every_case_stands_in_the_table_from_the_worst_to_the_best(page):
    table = page.text[page.text.index("From the worst to the best case.") :]
    places = [table.index(case) for case in ("Made_bad", "Made_good", "Made_bare")]
    assert places == sorted(places)
    assert "MADE_BAD" in table  # the patient, where its name differs
    assert "1.000†" in table


def test_numbers_of_the_run_are_shown(page):
    for text in (
        "0.1250",
        "0.2500",
        "twice the overlap",
        "ET 2",
        "240 × 240 × 155",
        "Made_x: the reference marks no voxel",
        "2, 2, 2",
        "3.15.1",
    ):
        assert text in page.text


def test_nothing_is_fetched(run, page):
    markup = report_page(run)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|<iframe", markup)
    assert all(source.startswith("data:image/") for source in page.all("img", "src"))
    assert "default-src 'none'" in page.all("meta", "content")[0]


def test_every_picture_says_what_it_shows(page):
    alternatives = page.all("img", "alt")
    assert len(alternatives) == 2 + 2 * 2 + 4
    assert len(set(alternatives)) == len(alternatives)
    assert min(map(len, alternatives)) > 30


def test_every_link_leads_somewhere_in_the_page(page):
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = page.all("a", "href")
    assert len(links) >= 8 + 2
    assert {link.removeprefix("#") for link in links} <= targets


def test_it_reads_in_the_dark_and_on_a_phone(run, page):
    assert "prefers-color-scheme:dark" in report_page(run)
    assert "width=device-width, initial-scale=1" in page.all("meta", "content")
    assert page.elements[0] == ("html", {"lang": "en"})


def test_names_from_outside_are_text(run, rows):
    evil = "<img src=x onerror=alert(1)>"
    page = Page(report_page(replace(run, rows=[row | {"patient": evil} for row in rows], card={evil: evil})))
    assert page.text.count(evil) >= 2
    assert "x" not in page.all("img", "src")


def test_pictures_beyond_the_size_of_a_page_are_left_out_by_name(run):
    pictured = [Pictured(case, bytes(5_000_000), bytes(1_000_000)) for case in ("Made_bad", "Made_good", "Made_bare")]
    markup = report_page(replace(run, pictured=pictured))
    assert len(markup) < 25_000_000
    assert "to be found in the folder of figures: Made_bare." in markup


def test_every_case_is_seen_at_a_glance_those_with_a_finding_first(page):
    glances = [alt for alt in page.all("img", "alt") if alt.startswith("Case ") and " ml" in alt]
    assert [alt.split(":")[0] for alt in glances] == [
        "Case Made_x, in no part", "Case Made_bad, test", "Case Made_bare, test", "Case Made_good, test"
    ]  # fmt: skip
    assert "WT 3.5 ml, TC 1.5 ml, ET 1.5 ml" in glances[0]
    assert "every byte was read" in page.text
    assert "Made_x: the reference marks no voxel" in page.text
