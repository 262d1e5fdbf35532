"""The page as a reader meets it: a case dropped, seen, saved and found again, in real browsers,
with the mouse, by keyboard alone, on a phone and in the dark.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import numpy as np
import pytest
from PIL import Image

from pipeline import api
from tests.accessibility import AXE, violations
from tests.browser import CHROMIUM, Browser, Driven, one_colour
from tests.exchange.studies import write_study
from tests.firefox import FIREFOX, Firefox
from tests.serving import made
from tests.serving.served import packed, serving

pytestmark = pytest.mark.slow
CANVAS = ".viewer canvas"
WHERE = "document.querySelector('.viewer-where').textContent"
DONE = f"{WHERE} && !document.querySelector('.viewer[aria-busy]')"
ON_CASE = "location.pathname.startsWith('/cases/')"
CHANGES = "document.getElementById('correction-changes').textContent"
ALL_FILES = "document.querySelector('#downloads a[href$=\"summary.pdf\"]')"
LABELS = "#downloads a[href$='labels.nii.gz']"
LOOKS = [(width, dark) for width in (1280, 390) for dark in (False, True)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return made.model(tmp_path_factory.mktemp("network") / "models")


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    kept = ("--corrections", str(tmp_path_factory.mktemp("corrected")))
    with serving(model, tmp_path_factory.mktemp("store"), *kept) as one:
        yield one


@contextmanager
def opened(name: str) -> Iterator[Driven]:
    if name == "firefox":
        if FIREFOX is None:
            pytest.skip("no Firefox on PATH")
        with Firefox() as firefox:
            yield firefox
    else:
        if CHROMIUM is None:
            pytest.skip("no Chromium on PATH")
        with Browser() as browser:
            yield browser.open("about:blank")


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def anywhere(request):
    """A page of each browser."""
    with opened(request.param) as page:
        yield page


@pytest.fixture(scope="module")
def chromium():
    with opened("chromium") as page:
        yield page


@pytest.fixture
def page(chromium, served):
    """A page of Chromium on the list of cases."""
    chromium.look()
    chromium.complaints.clear()
    chromium.requests.clear()
    chromium.go(f"{served.address}/")
    return chromium


@pytest.fixture(scope="module")
def case(served, tmp_path_factory):
    """The address of a case that is done."""
    folder = tmp_path_factory.mktemp("case")
    sent = served.upload(packed(made.case(folder), folder), "A tumour")
    assert served.wait(sent)["status"] == "done"
    return f"{served.address}/cases/{sent}"


def pixels(page, selector=CANVAS):
    """(height, width, 3) int array of what an element looks like."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return np.asarray(Image.open(io.BytesIO(page.screenshot(selector))).convert("RGB")).astype(int)


def coloured(picture):
    """How many pixels are not grey."""
    return int((np.ptp(picture, axis=-1) > 40).sum())


def assert_quiet(page, served):
    """No console complained, and nobody but the server was asked."""
    assert page.complaints == []
    assert page.hosts == {urlsplit(served.address).netloc}


def expected(model, files, folder):
    """The file of labels that `predict` writes."""
    api.load(model).segment(files[0].parent).save(folder / "predicted.nii.gz")
    return (folder / "predicted.nii.gz").read_bytes()


def test_files_are_dropped_seen_saved_and_found_again(anywhere, served, model, tmp_path):
    page, files = anywhere, made.case(tmp_path, seed=2, name="Seen_00002")
    page.go(f"{served.address}/")
    page.set_files("#files", *files)
    page.wait_for(f"{ON_CASE} && {DONE}")
    assert not one_colour(page.screenshot(CANVAS))
    assert coloured(pixels(page)) > 200
    assert "not for diagnosis" in page.evaluate("document.querySelector('header').textContent")
    saved = page.evaluate("""fetch(document.querySelector("#downloads a[href*='labels']").href)
      .then(answer => answer.arrayBuffer()).then(bytes => [...new Uint8Array(bytes)])""")
    assert bytes(saved) == expected(model, files, tmp_path)
    place = page.evaluate("location.pathname")
    page.go(f"{served.address}/")
    page.wait_for(f"document.querySelector('#cases a[href=\"{place}\"]')?.checkVisibility()")
    page.click(f"#cases a[href='{place}']")
    page.wait_for(f"{ON_CASE} && {DONE}")
    assert coloured(pixels(page)) > 200
    assert_quiet(page, served)


def test_a_correction_is_drawn_undone_saved_and_found_again(anywhere, served, tmp_path):
    page, files = anywhere, made.case(tmp_path, seed=5)
    sent = served.upload(packed(files, tmp_path), "To correct")
    assert served.wait(sent)["status"] == "done"
    page.go(f"{served.address}/cases/{sent}")
    page.wait_for(f"{DONE} && document.getElementById('correction-start').checkVisibility()")
    page.click("#correction-start")
    page.wait_for(f"{DONE} && document.getElementById('correction-tools').checkVisibility()")
    assert page.evaluate(CHANGES) == "Nothing is changed."
    page.drag(CANVAS, (0.3, 0.3), (0.5, 0.35), (0.7, 0.3))
    page.wait_for(f"{CHANGES}.startsWith('Changed')")
    page.press("Control+z")
    page.wait_for(f"{CHANGES} === 'Nothing is changed.'")
    page.press("Control+y")
    page.wait_for(f"{CHANGES}.startsWith('Changed')")
    page.click("#correction-save")
    page.click("#correction-reader")
    for letter in "Ada":
        page.press(letter)
    page.press("Enter")
    page.wait_for("!document.getElementById('correction-dialog').open")
    page.go(f"{served.address}/cases/{sent}")
    page.wait_for("document.getElementById('correction-about').textContent.includes('by Ada')")
    found = served.ask("GET", f"/api/cases/{sent}/correction").json()
    assert found["volumes_ml"]["correction"] != found["volumes_ml"]["prediction"]
    assert_quiet(page, served)


def test_the_panel_says_the_flag_in_words_and_shows_a_region_in_the_colours_of_its_labels(
    page, case
):
    page.go(case)
    page.wait_for(f"{ON_CASE} && {DONE}")
    flag = "document.querySelector('.flag.unknown').textContent"
    assert page.evaluate(flag) == "Not known"
    patches = page.evaluate("""[...document.querySelectorAll("#volumes i")].map(patch =>
      [...new Set(getComputedStyle(patch).backgroundImage.match(/rgb[^)]*/g))])""")
    assert [len(colours) for colours in patches] == [3, 2, 1]
    whole, core, enhancing = map(set, patches)
    assert enhancing < core < whole
    page.go(urljoin(case, "/"))
    page.wait_for(f"{flag} === 'Not known'")


def test_a_page_shows_what_another_tab_segmented_again(page, served, tmp_path):
    sent = served.upload(packed(made.case(tmp_path, seed=6), tmp_path), "Twice")
    state = served.wait(sent)
    page.go(f"{served.address}/cases/{sent}")
    page.wait_for(f"{DONE} && document.getElementById('correction-start').checkVisibility()")
    page.click("#correction-start")
    page.wait_for(f"{DONE} && document.getElementById('correction-tools').checkVisibility()")
    chosen = state["chosen"] | {"t1c": state["chosen"]["t2f"], "t2f": state["chosen"]["t1c"]}
    served.ask("POST", f"/api/cases/{sent}/series", json={"series": chosen, "native": False})
    after = served.wait(sent)["summary"]["regions"][0]["volume_ml"]
    assert after != state["summary"]["regions"][0]["volume_ml"]
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for("document.getElementById('correction-tools').hidden")
    page.wait_for(f"{DONE} && document.getElementById('correction-start').checkVisibility()")
    shown = page.evaluate("document.querySelector('#volumes td').textContent")
    assert shown == (f"{after:.1f}" if after else "none")
    assert_quiet(page, served)


def test_a_folder_of_a_dicom_study_is_dropped(page, served, tmp_path):
    study = write_study(tmp_path / "study")
    page.drop("#drop", study)
    page.wait_for(f"{ON_CASE} && {DONE} && {ALL_FILES}")
    assert page.evaluate("document.querySelector('h1').textContent") == "study"
    named = page.evaluate("document.getElementById('case').textContent")
    assert not [word for word in ("MRN4711", "Roe") if word in named]
    offered = page.evaluate("[...document.querySelectorAll('#downloads a')].map(a => a.href)")
    assert {"labels.nii.gz", "seg.dcm", "sr.dcm"} <= {link.rsplit("/", 1)[-1] for link in offered}
    assert_quiet(page, served)


def test_a_zip_is_sent_and_its_labels_downloaded(page, served, model, tmp_path):
    files = made.case(tmp_path / "case", seed=3)
    page.set_files("#files", made.zipped(tmp_path / "case.zip", tmp_path / "case"))
    page.wait_for(f"{ON_CASE} && {DONE} && {ALL_FILES}")
    saved = page.download(tmp_path / "downloads", lambda: page.click(LABELS))
    assert saved.name.endswith(".nii.gz")
    assert saved.read_bytes() == expected(model, files, tmp_path)
    assert_quiet(page, served)


def tab_to(page, wanted):
    """Press Tab until a selector matches what has the focus."""
    for _ in range(80):
        if page.evaluate(f"document.activeElement.matches({wanted!r})"):
            return
        page.press("Tab")
    raise AssertionError(f"Tab does not reach {wanted}")


def test_a_keyboard_is_enough(page, served, model, tmp_path):
    files = made.case(tmp_path, seed=4)
    tab_to(page, "#choose-files")
    page.choose("Enter", *files)
    page.wait_for(f"{ON_CASE} && {DONE} && {ALL_FILES}")
    tab_to(page, CANVAS)
    before, where = pixels(page), page.evaluate(WHERE)
    page.press("PageUp")
    page.wait_for(f"{WHERE} !== {where!r}")
    assert (pixels(page) != before).any()
    tab_to(page, LABELS)
    saved = page.download(tmp_path / "downloads", lambda: page.press("Enter"))
    assert saved.read_bytes() == expected(model, files, tmp_path)
    page.go(page.evaluate("location.href"))
    page.wait_for(DONE)
    tab_to(page, "#delete")
    page.press("Enter")
    tab_to(page, "#deleting button[value=delete]")
    page.press("Enter")
    page.wait_for("location.pathname === '/' && document.getElementById('cases')")
    assert_quiet(page, served)


def test_tab_reaches_every_control_of_a_case_in_order(page, case):
    page.go(case)
    page.wait_for(DONE)
    controls = page.controls()
    reached = [place for place in page.tab_stops() if place in set(controls)]
    assert reached == controls


@pytest.mark.skipif(AXE is None, reason="no axe-core")
@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_axe_finds_nothing_serious(page, served, case, width, dark):
    page.look(width=width, dark=dark, touch=width == 390, still=True)
    page.go(page.evaluate("location.href"))
    page.wait_for("document.querySelector('#cases tbody tr')")
    assert violations(page) == []
    page.go(case)
    page.wait_for(DONE)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(page) == []


def test_on_a_phone_no_page_is_scrolled_sideways(page, case):
    page.look(width=390, height=844, touch=True)
    page.wait_for("document.querySelector('#cases tbody tr')")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.go(case)
    page.wait_for(DONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert coloured(pixels(page)) > 200


def test_in_the_dark_pages_are_dark(page, case):
    for place in (page.evaluate("location.href"), case):
        page.go(place)
        for dark, brightness in ((True, range(60)), (False, range(200, 256))):
            page.look(dark=dark)
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert int(np.mean([int(part) for part in colour[4:-1].split(",")])) in brightness
