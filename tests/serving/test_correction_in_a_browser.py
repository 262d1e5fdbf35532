"""A reader corrects a case in a real browser; what is stored is what the mouse drew."""

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.grid import to_canonical
from pipeline.correcting import record
from pipeline.correcting.cohort import corrections, labels_name
from pipeline.formats import nifti
from tests.accessibility import AXE, violations
from tests.browser import CHROMIUM, Browser
from tests.serving import made
from tests.serving.served import packed, serving

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")]
CANVAS = ".viewer canvas"
READY = "!document.querySelector('.viewer').hasAttribute('aria-busy')"
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SPACING_MM = (1.0, 1.5, 2.0)
RADIUS_MM = 4.0
VALUES = np.array([0, 1, 2, 4], np.uint8)  # of the labels of BraTS
_SLICES = re.compile(r"axial slice (\d+) of .*coronal slice (\d+) of .*sagittal slice (\d+) of ")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator:
    model, store = made.model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("store")
    place = tmp_path_factory.mktemp("corrected")
    with serving(model, store, "--corrections", str(place)) as running:
        yield running, place


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture
def page(served, browser, tmp_path):
    """A case of its own, being corrected."""
    running, _ = served
    files = made.case(tmp_path, seed=len(running.ask("GET", "/api/cases").json()))
    case = running.upload(packed(files, tmp_path), "Made")
    assert running.wait(case)["status"] == "done"
    opened = browser.open(f"{running.address}/cases/{case}")
    opened.case = case
    start(opened)
    yield opened
    opened.close()


def start(page) -> None:
    page.wait_for("!document.getElementById('correction').hidden")
    page.click("#correction-start")
    page.wait_for(f"{READY} && !document.getElementById('correction-tools').hidden")
    page.evaluate(DRAWN)


def looked_at(page) -> tuple[int, ...]:
    """Voxel on canonical axes that the viewer says it looks at."""
    words = page.evaluate("document.querySelector('.viewer-where').textContent")
    found = _SLICES.search(words)
    assert found, words
    return tuple(int(number) - 1 for number in reversed(found.groups()))


def voxels_at(page, *points) -> list[tuple[int, ...]]:
    """Voxels under points of the picture, by clicks of the viewer's own."""
    page.evaluate(f"document.querySelector('{CANVAS}').focus()")
    page.press("v")
    found = []
    for point in points:
        page.drag(CANVAS, point)
        page.evaluate(DRAWN)
        found.append(looked_at(page))
    page.press("b")
    return found


def status(page) -> str:
    return page.evaluate("document.getElementById('correction-status').textContent")


def save(page, reader: str = "Ada") -> None:
    page.evaluate(DRAWN)
    page.click("#correction-save")
    page.evaluate(f"document.getElementById('correction-reader').value = '{reader}'")
    page.click("#correction-store")
    page.wait_for("!document.getElementById('correction-dialog').open")
    assert status(page).startswith("Saved as version")


def stored(served, page) -> tuple[np.ndarray, np.ndarray]:
    """(X, Y, Z) label values as stored and as predicted, on canonical axes."""
    running, place = served
    case = running.ask("GET", f"/api/cases/{page.case}/correction").json()["case"]
    labels = nifti.read(place / case / labels_name(case))
    scene = running.ask("GET", f"/api/cases/{page.case}/scene/prediction.nii.gz").content
    shape = running.ask("GET", f"/api/cases/{page.case}/scene/scene.json").json()["shape"]
    predicted = np.frombuffer(scene, np.uint8)[352:].reshape(shape, order="F")
    return to_canonical(labels.voxels, labels.grid.affine), VALUES[predicted]


def stroke(shape, places, across: int, radius_mm: float = RADIUS_MM) -> np.ndarray:
    """Mask of a disc that is moved from one voxel to the next."""
    mask, grid = np.zeros(shape, bool), np.indices(shape).T
    centres = [np.array(places[0])]
    for one, other in pairwise(places):
        way = np.subtract(other, one)
        steps = int(np.abs(way).max())
        centres += [np.floor(one + way * step / steps + 0.5) for step in range(1, steps + 1)]
    for centre in centres:
        far = np.linalg.norm((grid - centre) * SPACING_MM, axis=-1).T
        mask |= (far <= radius_mm + 1e-9) & (np.indices(shape)[across] == centre[across])
    return mask


POINTS = ((0.45, 0.40), (0.52, 0.44), (0.50, 0.60))


def test_the_stored_labels_are_what_the_mouse_drew_voxel_by_voxel(served, page):
    places = voxels_at(page, *POINTS)
    page.press("2")
    page.drag(CANVAS, *POINTS)
    save(page)
    labels, predicted = stored(served, page)
    mask = stroke(labels.shape, places, across=2)
    assert 50 < mask.sum() < 1000
    assert np.array_equal(labels, np.where(mask, 2, predicted))
    assert (labels != predicted).any()
    assert page.complaints == []


def test_eraser_undo_and_redo_by_keys(served, page):
    places = voxels_at(page, *POINTS)
    page.press("e")
    page.drag(CANVAS, *POINTS)
    page.press("b")
    page.press("2")
    page.drag(CANVAS, *POINTS[:2])
    page.drag(CANVAS, *POINTS[1:])
    for keys in ("Control+z", "Control+z", "Control+z", "Control+Shift+z"):
        page.press(keys)
    save(page)
    labels, predicted = stored(served, page)
    mask = stroke(labels.shape, places, across=2)
    assert (predicted[mask] > 0).any()
    assert np.array_equal(labels, np.where(mask, 0, predicted))


def test_the_keyboard_alone_paints_at_the_cross_in_another_slice(served, page):
    (place,) = voxels_at(page, (0.5, 0.5))
    for keys in ("2", "]", "]", "ArrowLeft", "ArrowUp", "PageUp", "Enter"):
        page.press(keys)
    page.press("Shift+ArrowRight")
    save(page)
    labels, predicted = stored(served, page)
    x, y, z = place
    centres = [(x + 1, y + 1, z + 1), (x, y + 1, z + 1)]
    mask = stroke(labels.shape, centres, across=2, radius_mm=RADIUS_MM + 1)
    assert np.array_equal(labels, np.where(mask, 2, predicted))


def test_fill_between_two_drawn_slices_and_only_background_is_changed(served, page):
    page.evaluate(
        "const over = document.getElementById('correction-over'); over.value = 0;"
        " over.dispatchEvent(new Event('input'))"
    )
    (place,) = voxels_at(page, (0.36, 0.12))
    page.press("1")
    page.press("Enter")
    for _ in range(3):
        page.press("PageDown")
    page.press("Enter")
    page.press("f")
    assert "added between slices" in status(page)
    save(page)
    labels, predicted = stored(served, page)
    disc = stroke(labels.shape, [place], across=2)[..., place[2]]
    between = slice(place[2] - 3, place[2] + 1)
    expected = predicted.copy()
    expected[..., between][disc[..., None] & (predicted[..., between] == 0)] = 1
    ends = [place[2] - 3, place[2]]
    assert np.array_equal(labels[..., ends], expected[..., ends])
    assert (predicted[labels != predicted] == 0).all()
    for inner in (place[2] - 2, place[2] - 1):
        assert (labels[..., inner] == 1).sum() > (predicted[..., inner] == 1).sum()


def test_a_growth_waits_for_its_settings_and_escape_takes_it_back(page):
    page.evaluate(f"document.querySelector('{CANVAS}').focus()")
    page.press("g")
    page.drag(CANVAS, (0.5, 0.3))
    few = int(status(page).split()[0])
    page.evaluate(
        "const wide = document.getElementById('correction-tolerance'); wide.value = 120;"
        " wide.dispatchEvent(new Event('input'))"
    )
    assert int(status(page).split()[0]) > few
    page.evaluate(f"document.querySelector('{CANVAS}').focus()")
    page.press("Escape")
    assert page.evaluate("document.getElementById('correction-undo').disabled")
    page.drag(CANVAS, (0.5, 0.3))
    page.press("Enter")
    assert not page.evaluate("document.getElementById('correction-undo').disabled")


def test_unsaved_changes_survive_a_reload_and_then_a_save_forgets_them(served, page):
    places = voxels_at(page, *POINTS)
    page.press("2")
    page.drag(CANVAS, *POINTS)
    page.wait_for("document.getElementById('correction-changes').textContent.includes('+')")
    page.wait(1.0)
    page.evaluate("window.isOld = true; setTimeout(() => location.reload())")
    page.wait(0.5)
    page.send("Page.handleJavaScriptDialog", accept=True)  # which warns of unsaved changes
    page.wait_for("!window.isOld && document.getElementById('correction')?.hidden === false")
    assert "Unsaved changes" in page.evaluate(
        "document.getElementById('correction-draft').textContent"
    )
    start(page)
    assert "restored" in status(page)
    save(page)
    labels, predicted = stored(served, page)
    mask = stroke(labels.shape, places, across=2)
    assert np.array_equal(labels, np.where(mask, 2, predicted))
    page.click("#correction-close")
    page.wait_for("!document.getElementById('correction').hidden")
    assert page.evaluate("document.getElementById('correction-draft').hidden")
    assert "Corrected by Ada" in page.evaluate(
        "document.getElementById('correction-about').textContent"
    )


def test_of_two_tabs_the_later_one_wins_and_the_earlier_is_kept(served, browser, page):
    other = browser.open(f"{served[0].address}/cases/{page.case}")
    other.case = page.case
    start(other)
    page.send("Page.bringToFront")  # a tab behind another draws nothing
    page.press("1")
    page.drag(CANVAS, (0.36, 0.12), (0.40, 0.12))
    save(page, "Ada")
    other.send("Page.bringToFront")
    other.press("2")
    other.drag(CANVAS, (0.6, 0.6), (0.65, 0.6))
    save(other, "Bo")
    assert "Another correction was saved meanwhile" in status(other)
    other.close()
    running, place = served
    case = running.ask("GET", f"/api/cases/{page.case}/correction").json()["case"]
    made_record = record.read(place / case / record.NAME)
    assert (made_record.reader, made_record.version) == ("Bo", 2)
    assert [one.reader for one in made_record.earlier] == ["Ada"]
    assert case in [one.case for one in corrections(place)]


def test_the_pseudonym_is_asked_for_and_the_same_files_are_known_when_dropped_again(
    served, browser, tmp_path
):
    running, place = served
    body = packed(made.case(tmp_path, seed=400, name="ward"), tmp_path)
    first, second = running.upload(body, "first"), running.upload(body, "second")
    for case in (first, second):
        assert running.wait(case)["status"] == "done"
    page = browser.open(f"{running.address}/cases/{first}")
    start(page)
    page.drag(CANVAS, (0.36, 0.12), (0.40, 0.12))
    page.evaluate(DRAWN)
    page.click("#correction-save")
    page.wait_for("document.getElementById('correction-patient').checkVisibility()")
    page.evaluate("document.getElementById('correction-patient').value = ' ward-7 '")
    save(page)
    name = running.ask("GET", f"/api/cases/{first}/correction").json()["case"]
    assert record.read(place / name / record.NAME).patient == "ward-7"
    page.go(f"{running.address}/cases/{second}")
    start(page)
    about = page.evaluate("document.getElementById('correction-about').textContent")
    assert "of the same files, dropped before, is kept for training as case-" in about
    save(page, "Bo")
    assert status(page) == f"Saved as version 2 of {name}."
    page.go(running.address)
    page.wait_for("document.body.textContent.includes('Corrected; volumes as predicted.')")
    page.close()


def test_while_space_is_held_the_mouse_navigates_and_nothing_is_drawn(page):
    page.evaluate(f"document.querySelector('{CANVAS}').focus()")
    before = looked_at(page)
    page.send("Input.dispatchKeyEvent", type="keyDown", key=" ", windowsVirtualKeyCode=32)
    page.drag(CANVAS, (0.4, 0.4))
    page.send("Input.dispatchKeyEvent", type="keyUp", key=" ", windowsVirtualKeyCode=32)
    assert looked_at(page) != before
    assert page.evaluate("document.getElementById('correction-undo').disabled")


@pytest.mark.skipif(AXE is None, reason="no axe-core")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_tools_are_accessible_and_fit_a_phone(page, width, dark):
    page.look(width=width, height=800, dark=dark)
    assert violations(page) == []
    tools = "[...document.querySelectorAll('#correction-tools *')]"
    assert page.evaluate(f"{tools}.every(one => one.getBoundingClientRect().right <= {width})")
    page.click("#correction-save")
    assert violations(page) == []
