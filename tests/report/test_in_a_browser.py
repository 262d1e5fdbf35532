"""The report as a reader meets it: in a real browser, with mouse and keyboard, on a phone, in the
dark.
"""

import base64
import csv
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cohorts import brats
from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.report.page.report import report_page
from pipeline.report.plots.animation import animation
from pipeline.report.plots.overlays import overlay
from pipeline.report.plots.planes import view_of
from pipeline.report.plots.poster import poster
from pipeline.report.plots.viewer_volumes import viewer_volumes
from pipeline.report.results import Pictured
from tests.accessibility import AXE, violations
from tests.browser import CHROMIUM, Browser
from tests.report.conftest import head
from tests.report.made_runs import made_run

pytestmark = pytest.mark.slow
SCHEMA = brats.schema("_")
CASES = 6
READY = "!document.querySelector('.viewer').hasAttribute('aria-busy')"
VALUES = (
    "[...document.querySelectorAll('.sortable tbody tr')].map(row => row.cells[1].dataset.value)"
)
HEAD = ".sortable th[aria-sort]:nth-child(2) button"


def made_view(number):
    """A head of 32 x 40 x 24 mm with a tumour in another place for each number, and a prediction
    beside it.
    """
    image, classes = head(number)
    shift = 8 * number
    classes[18 - shift : 30 - shift, 24:38, 10:20] = 2
    classes[21 - shift : 26 - shift, 28:34, 12:18] = 3
    image[classes > 0] += 300
    case = Case(f"Made_{number:05d}", image, classes, Grid(image.shape[:3], np.eye(4)))
    prediction = np.roll(classes, 4, axis=1)
    uncertain = np.where(prediction != classes, 60, 0).astype(np.uint8)
    return view_of(case, prediction, SCHEMA.modalities, uncertain)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report with two cases to look at."""
    views = [made_view(number) for number in range(2)]
    pictured = [
        Pictured(view.case, overlay(view, SCHEMA, "", 50), animation(view, SCHEMA, 3, 0.1))
        for view in views
    ]
    volumes = [viewer_volumes(view, SCHEMA) for view in views]
    run = made_run(
        *(SCHEMA, CASES), pictured=pictured, volumes=volumes, poster=poster(views[0], SCHEMA, "t1c")
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    wide = io.BytesIO()
    Image.new("RGB", (1200, 600), "white").save(wide, "png")
    figures = dict.fromkeys(("scores", "confusion"), (wide.getvalue(), b""))
    path.write_text(report_page(run, figures), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(report):
    """The report in one browser for all tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    with Browser() as browser:
        yield browser.open(report)


@pytest.fixture
def page(opened, report):
    """The report as it is when it is opened."""
    opened.look(width=1000, height=600)
    opened.complaints.clear()
    opened.requests.clear()
    opened.go(report)
    return opened


@pytest.fixture
def looking(page):
    """The report with its viewer open."""
    page.click(".viewer-open")
    page.wait_for(f"{READY} && !document.getElementById('viewer-panel').hidden")
    return page


def pixels(page, selector=".viewer canvas"):
    """(height, width, 3) int array of what an element looks like."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return np.asarray(Image.open(io.BytesIO(page.screenshot(selector))).convert("RGB")).astype(int)


def coloured(picture):
    """How many pixels are not grey."""
    return int((np.ptp(picture, axis=-1) > 40).sum())


def choose(page, name, key):
    """Change a control of the viewer by a key."""
    page.evaluate(f"document.getElementById('viewer-{name}').focus()")
    page.press(key)
    page.wait_for(READY)


def words(page):
    return page.evaluate("document.querySelector('.viewer-where').textContent")


def test_there_are_no_errors_and_nothing_leaves_the_page(looking, report):
    assert looking.complaints == []
    own, *others = looking.requests
    assert own == report.as_uri()
    assert {address.split(":")[0] for address in others} <= {"data", "blob"}


def test_niivue_does_not_run_before_the_viewer_is_opened(page):
    assert page.evaluate("typeof niivue") == "undefined"
    page.click(".viewer-open")
    page.wait_for(READY)
    assert page.evaluate("typeof niivue") == "object"


def test_reference_prediction_and_disagreement_come_and_go(looking):
    both = pixels(looking)
    assert both.std() > 10
    assert coloured(both) > 500
    looking.click("#viewer-reference")
    prediction = pixels(looking)
    looking.click("#viewer-prediction")
    nothing = pixels(looking)
    looking.click("#viewer-disagreement")
    errors = pixels(looking)
    assert (both != prediction).any()
    assert coloured(prediction) > 500
    assert coloured(nothing) == 0
    assert coloured(errors) > 200


def test_uncertainty_comes_and_goes_and_is_named_at_the_crosshair(looking):
    for name in ("reference", "prediction"):
        looking.click(f"#viewer-{name}")
    assert coloured(pixels(looking)) == 0
    looking.click("#viewer-uncertainty")
    assert coloured(pixels(looking)) > 200
    assert words(looking).split(" · ")[-1] in ("uncertainty: 0.00 bits", "uncertainty: 0.60 bits")


def test_it_opens_on_t1c_and_level_and_window_change_what_is_seen(looking):
    assert looking.evaluate("document.getElementById('viewer-modality').value") == "t1c"
    before = pixels(looking)
    for _ in range(5):
        choose(looking, "level", "ArrowRight")
    brighter_level = pixels(looking)
    choose(looking, "window", "Home")
    extreme = pixels(looking)
    looking.click("#viewer-contrast")
    assert (brighter_level != before).any()
    assert extreme.std() > before.std()
    np.testing.assert_array_equal(pixels(looking), before)


def test_the_picture_gives_way_to_the_viewer_and_returns(page):
    seen = "document.querySelector('.viewer-poster').checkVisibility()"
    assert page.evaluate(seen)
    page.click(".viewer-open")
    page.wait_for(f"{READY} && !{seen}")
    page.click(".viewer-open")
    assert page.evaluate(seen)


def test_verdict_and_picture_are_seen_without_scrolling_on_a_laptop(page):
    page.look(width=1440, height=900)
    for selector in (".verdict h1", ".verdict .tiles", ".facts", ".viewer-poster img"):
        box = page.evaluate(
            f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()"
        )
        assert box["top"] >= 0
        assert box["bottom"] <= 900
        assert box["right"] <= 1440


def test_the_viewer_fills_the_screen_and_leaves_it(looking):
    looking.click("#viewer-full")
    looking.wait_for("document.fullscreenElement && innerHeight")
    drawn = "document.querySelector('.viewer canvas').getBoundingClientRect()"
    looking.wait_for(f"{drawn}.height > 0.9 * innerHeight")
    # by the keyboard: the button may still move while the window grows
    looking.evaluate("document.querySelector('#viewer-full').focus()")
    looking.press("Enter")
    looking.wait_for("!document.fullscreenElement")
    assert looking.complaints == []


def test_the_table_is_saved_with_all_its_digits_as_it_is_filtered(page):
    page.evaluate(
        "window.saved = null, URL.createObjectURL = blob => (window.saved = blob, 'blob:x')"
    )
    page.evaluate("HTMLAnchorElement.prototype.click = () => {}")
    page.evaluate("document.querySelector('.sortable input').focus()")
    for letter in "00003":
        page.press(letter)
    page.click(".download")
    titles, row, *rest = csv.reader(io.StringIO(page.evaluate("window.saved.text()")))
    assert titles[:3] == ["Case", "Dice Mean", "Dice WT"]
    assert titles[-2:] == ["ET (ml) Ref.", "ET (ml) Pred."]
    assert row[0] == "Made_00003"
    assert len(row) == len(titles)
    assert len(row[1]) > 10
    assert rest == []


def test_printed_on_a4_no_table_is_cut(page):
    page.look(width=703, height=1000)  # A4 less its margins, at 96 dots per inch
    page.send("Emulation.setEmulatedMedia", media="print")
    wide = """[...document.querySelectorAll("table, pre, img")].filter(one =>
      one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1).length"""
    assert page.evaluate(wide) == 0
    pages = page.send("Page.printToPDF", preferCSSPageSize=True)["data"]
    assert 1 < base64.b64decode(pages).count(b"/Type /Page\n") <= 7


def test_a_label_can_be_left_out(looking):
    before = coloured(pixels(looking))
    looking.click("#viewer-label-2")
    assert 0 < coloured(pixels(looking)) < before


def test_another_case_another_modality_and_3d_from_another_side_look_different(looking):
    seen = [pixels(looking)]
    for name, key in (("case", "ArrowDown"), ("modality", "ArrowDown"), ("plane", "End")):
        choose(looking, name, key)
        seen.append(pixels(looking))
    choose(looking, "turn", "Home")
    seen.append(pixels(looking))
    assert all((before != after).any() for before, after in pairwise(seen))
    assert looking.complaints == []


def test_slices_are_scrolled_by_the_keyboard_and_described_in_words(looking):
    before, shown = pixels(looking), words(looking)
    assert shown.startswith("axial slice 16 of 28")
    for _ in range(8):
        choose(looking, "slice-2", "ArrowRight")
    assert (pixels(looking) != before).any()
    assert words(looking).startswith("axial slice 24 of 28")
    assert words(looking).endswith(
        "reference: no tumour · prediction: no tumour · uncertainty: 0.00 bits"
    )
    looking.click("#viewer-start")
    assert words(looking) == shown


def test_the_words_below_the_picture_are_those_of_the_voxel_clicked(looking):
    looking.click(".viewer canvas")
    view = made_view(0)
    shown = words(looking)
    axial, coronal, sagittal = (int(part.split()[2]) - 1 for part in shown.split(" · ")[:3])
    place = tuple(np.array((sagittal, coronal, axial)) - view.offset)
    names = ["no tumour", *SCHEMA.labels]
    assert shown.split(" · ")[3:] == [
        f"reference: {names[view.reference[place]]}",
        f"prediction: {names[view.prediction[place]]}",
        f"uncertainty: {view.uncertainty[place] / 100:.2f} bits",
    ]


def test_the_wheel_scrolls_the_page_until_the_picture_is_clicked(looking):
    def turn():
        before = words(looking)
        looking.mouse("mouseWheel", ".viewer canvas", deltaX=0, deltaY=100)
        looking.browser.listen(0.3)
        return words(looking) != before

    assert not turn()
    looking.click(".viewer canvas")
    assert turn()


def test_every_view_shows_the_tumour(looking):
    for view in ("coronal", "sagittal", "planes", "render"):
        choose(looking, "plane", "ArrowDown")
        assert looking.evaluate("document.getElementById('viewer-plane').value") == view
        assert coloured(pixels(looking)) > 100


def test_the_canvas_says_what_it_shows(looking):
    label = looking.evaluate("document.querySelector('.viewer canvas').getAttribute('aria-label')")
    modality = looking.evaluate("document.getElementById('viewer-modality').value")
    assert label.startswith(
        f"Made_00000, {modality}, Axial, with reference, prediction laid over. axial slice"
    )


def test_the_table_sorts_by_click_and_by_keyboard(page):
    page.click(HEAD)
    one = page.evaluate(VALUES)
    page.press("Enter")
    other = page.evaluate(VALUES)
    assert len(one) == CASES
    assert one == other[::-1]
    order = page.evaluate(
        f"document.querySelector({HEAD!r}).parentElement.getAttribute('aria-sort')"
    )
    assert sorted(other, key=float, reverse=order == "descending") == other != one


def test_the_filter_leaves_the_rows_that_match(page):
    page.evaluate("document.querySelector('.sortable input').focus()")
    for letter in "00003":
        page.press(letter)
    visible = "[...document.querySelectorAll('.sortable tbody tr')].filter(row => !row.hidden)"
    shown = page.evaluate(f"{visible}.map(row => row.cells[0].textContent)")
    assert shown == ["Made_00003"]
    output = page.evaluate("document.querySelector('.sortable output').textContent")
    assert output == f"1 of {CASES} shown"


def test_tab_reaches_every_control_in_order(looking):
    expected = looking.controls()
    reached = [place for place in looking.tab_stops() if place in set(expected)]
    assert len([place for place in expected if " viewer-" in place]) > 12
    assert reached == expected


@pytest.mark.skipif(AXE is None, reason="no axe-core")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(looking, width, dark):
    looking.look(width=width, dark=dark, touch=width == 390)
    looking.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(looking) == []


def test_the_focus_is_seen(looking):
    unseen = """[
      ...document.querySelectorAll(".viewer button, .viewer input, .viewer select")
    ].filter(one => {
      one.blur();
      one.focus({focusVisible: true});
      return one.checkVisibility() && getComputedStyle(one).outlineStyle === "none";
    }).map(one => one.id)"""
    assert looking.evaluate(unseen) == []


def test_on_a_phone_the_page_is_not_scrolled_sideways(looking):
    looking.look(width=390, height=844, touch=True)
    assert looking.evaluate("document.documentElement.scrollWidth") == 390
    assert looking.box(".viewer canvas")["width"] > 300
    assert coloured(pixels(looking)) > 200


def test_in_the_dark_page_and_controls_are_dark(looking):
    brightness = {dark: [] for dark in (False, True)}
    for dark, found in brightness.items():
        looking.look(dark=dark)
        for selector in ("body", "section", "#viewer-start", "#viewer-case"):
            colour = looking.evaluate(
                f"getComputedStyle(document.querySelector({selector!r})).backgroundColor"
            )
            found.append(np.mean([int(part) for part in colour[4:-1].split(",")]))
    assert max(brightness[True]) < 60
    assert min(brightness[False]) > 200


def test_a_viewer_that_cannot_start_says_so(page):
    page.evaluate("HTMLCanvasElement.prototype.getContext = () => null")
    page.click(".viewer-open")
    page.wait_for(READY)
    assert (
        page.evaluate("document.querySelector('.viewer-status').textContent")
        == "The viewer cannot be shown: this browser offers no WebGL 2."
    )
    assert page.evaluate("document.getElementById('viewer-panel').hidden")
