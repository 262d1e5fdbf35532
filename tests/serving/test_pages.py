"""The pages in Chromium: cases dropped, chosen, cancelled, sorted, deleted; refusals in words."""

import shutil
from datetime import timedelta

import numpy as np
import pytest
import requests

from pipeline.formats import nifti
from pipeline.serving.store import Store
from tests.accessibility import AXE, violations
from tests.browser import CHROMIUM, Browser
from tests.export.made import AFFINE
from tests.serving import made
from tests.serving.served import packed, serving

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")]
ROWS = "[...document.querySelectorAll('#cases tbody tr')]"
NAMES = f"{ROWS}.map(row => row.querySelector('a').textContent)"
SHOWN = "document.getElementById({!r})?.checkVisibility()"
TEXT = "document.getElementById({!r}).textContent"
SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def served(store, tmp_path_factory):
    model = made.model(tmp_path_factory.mktemp("network") / "models")
    with serving(model, store) as one:
        yield one


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser.open("about:blank")


@pytest.fixture
def page(chromium, served):
    """The list of cases, which is empty, in a page that complains of nothing."""
    for case in served.ask("GET", "/api/cases").json():
        served.ask("DELETE", f"/api/cases/{case['id']}")
    chromium.look()
    chromium.go(f"{served.address}/")
    chromium.wait_for(SHOWN.format("empty"))
    chromium.complaints.clear()
    yield chromium
    assert chromium.complaints == []


def ended(store, label, status, **fields):
    """A case that ended in some way, as a server has left it; its id."""
    kept = Store(store, timedelta(hours=1))
    state = kept.new(label)
    kept.update(state.id, status=status, **fields)
    return state.id


def test_each_dropped_folder_becomes_a_case(page, tmp_path):
    for seed, name in enumerate(("First_1", "Second_2")):
        made.case(tmp_path, seed, name)
    page.drop("#drop", tmp_path / "First_1", tmp_path / "Second_2")
    page.wait_for(f"{ROWS}.filter(row => row.textContent.includes('Done')).length === 2")
    assert sorted(page.evaluate(NAMES)) == ["First_1", "Second_2"]
    volumes = page.evaluate(f"{ROWS}.map(row => row.querySelector('.volume').textContent)")
    assert all(float(volume) > 0 for volume in volumes)


def test_one_dropped_folder_opens_its_page(page, tmp_path):
    made.case(tmp_path, 1, "Only_1")
    page.drop("#drop", tmp_path / "Only_1")
    page.wait_for("location.pathname.startsWith('/cases/')")
    page.wait_for(SHOWN.format("finding"))
    assert page.evaluate("document.querySelector('h1').textContent") == "Only_1"
    page.wait_for("document.querySelectorAll('#downloads a').length > 1")
    assert float(page.evaluate("document.querySelector('#volumes b').textContent")) > 0


def test_files_without_an_image_are_explained(page, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("no image")
    page.set_files("#files", notes)
    page.wait_for(SHOWN.format("trouble-message"))
    assert "no NIfTI file" in page.evaluate(TEXT.format("trouble-message"))
    assert not page.evaluate(SHOWN.format("again"))


def test_an_empty_folder_is_not_sent(page, served, tmp_path):
    page.drop("#drop", tmp_path)
    page.wait_for("document.querySelector('#uploads .failed')")
    assert "holds no file" in page.evaluate(TEXT.format("uploads"))
    page.click("#uploads button")
    assert page.evaluate(TEXT.format("uploads")) == ""
    assert served.ask("GET", "/api/cases").json() == []


def test_an_upload_can_be_cancelled(page, served, tmp_path):
    large = tmp_path / "large.nii"
    large.write_bytes(bytes(30_000_000))
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1e6}
    page.send("Network.emulateNetworkConditions", **slow)
    page.set_files("#files", large)
    page.wait_for("document.querySelector('#uploads progress')?.value > 0")
    page.click("#uploads button")
    page.wait_for("!document.querySelector('#uploads li')")
    page.send("Network.emulateNetworkConditions", **slow | {"uploadThroughput": -1})
    page.wait_for(f"{TEXT.format('status')}.includes('cancelled')")
    assert page.evaluate("location.pathname") == "/"
    for _ in range(100):
        if not served.ask("GET", "/api/cases").json():
            break
        page.wait(0.1)
    assert served.ask("GET", "/api/cases").json() == []


def test_a_case_is_deleted_only_after_the_reader_agrees(page, served, store):
    for label in ("one", "two"):
        ended(store, label, "failed", message="It failed.")
    page.go(f"{served.address}/")
    page.wait_for(f"{ROWS}.length === 2")
    name = page.evaluate(NAMES)[0]
    page.click("#cases .act button")
    assert page.evaluate(TEXT.format("deleting-name")) == name
    page.press("Escape")
    page.wait_for("!document.getElementById('deleting').open")
    page.click("#cases .act button")
    page.click("#deleting button[value=keep]")
    assert len(served.ask("GET", "/api/cases").json()) == 2
    page.click("#cases .act button")
    page.click("#deleting button[value=delete]")
    page.wait_for(f"{ROWS}.length === 1")
    (left,) = served.ask("GET", "/api/cases").json()
    assert left["label"] != name
    assert page.evaluate("document.activeElement.textContent") == left["label"]


def test_series_that_are_not_recognised_are_chosen_by_hand(page, served, tmp_path):
    files = [
        shutil.copy(file, tmp_path / f"scan{number}.nii.gz")
        for number, file in enumerate(made.case(tmp_path))
    ]
    page.set_files("#files", *files)
    page.wait_for(SHOWN.format("start"))
    page.click("#start")
    page.wait_for("document.getElementById('series-problem').className === 'problem'")
    for number, modality in enumerate(made.KINDS):
        page.evaluate(f"""(select => {{
          select.value = "scan{number}.nii.gz";
          select.dispatchEvent(new Event("change"));
        }})(document.getElementById("series-{modality}"))""")
    assert page.evaluate(TEXT.format("series-problem")) == ""
    page.wait_for("[...document.querySelectorAll('#modalities img')].every(one => one.complete)")
    page.click("#start")
    page.wait_for(SHOWN.format("finding"))
    page.complaints.clear()  # Chromium says that the first start was refused


def test_names_are_text_and_never_markup(page, served, store):
    one = {"key": SCRIPT, "title": SCRIPT, "facts": SCRIPT, "thumbnail": ""}
    case = ended(store, SCRIPT, "failed", message=SCRIPT, series=[one], chosen={"t1c": SCRIPT})
    page.go(f"{served.address}/")
    page.wait_for(f"{ROWS}.length")
    assert page.evaluate(NAMES) == [SCRIPT]
    page.go(f"{served.address}/cases/{case}")
    page.wait_for(SHOWN.format("trouble"))
    assert page.evaluate("document.querySelector('h1').textContent") == SCRIPT
    assert page.evaluate(TEXT.format("trouble-message")) == SCRIPT
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_the_list_is_searched_and_sorted_by_what_is_worth_correcting(page, served, tmp_path):
    for seed in range(3):
        files = made.case(tmp_path, seed, f"Case_{seed}")
        served.wait(served.upload(packed(files, tmp_path), f"Case {seed}"))
    for number in range(7):
        served.wait(served.upload(b"no archive", f"Note {number}"))
    page.go(f"{served.address}/")
    page.wait_for(f"{ROWS}.length === 10")
    order = "document.getElementById('order')"
    page.evaluate(f"{order}.value = 'worth', {order}.dispatchEvent(new Event('change'))")
    ranked = sorted(
        (case for case in served.ask("GET", "/api/cases").json() if "worth" in case),
        key=lambda case: case["worth"],
    )
    assert page.evaluate(NAMES)[:3] == [case["label"] for case in ranked]
    assert ranked[0]["reason"] in page.evaluate(f"{ROWS}[0].textContent")
    find = "document.getElementById('find')"
    page.evaluate(f"{find}.value = 'note 3', {find}.dispatchEvent(new Event('input'))")
    assert page.evaluate(NAMES) == ["Note 3"]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
@pytest.mark.parametrize("status", ["unclear", "failed", "interrupted", "rejected"])
def test_every_end_of_a_case_is_a_page_for_everybody(page, served, store, status, width, dark):
    series = [
        {"key": name, "title": f"AX {name} " + "long " * 20, "facts": "1 mm", "thumbnail": ""}
        for name in made.KINDS
    ]
    case = ended(store, "A case", status, message="What was found.", series=series)
    page.look(width, 844, dark)
    page.go(f"{served.address}/cases/{case}")
    page.wait_for(SHOWN.format("start"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.tab_stops() == page.controls()
    if AXE is not None:
        assert violations(page) == []


def test_addresses_without_a_page_are_explained_to_people_and_to_programs(served):
    for path in ("/cases/unknown", "/cases/" + "x" * 22, "/nothing"):
        headers = {"Accept": "text/html,*/*"}
        shown = requests.get(f"{served.address}{path}", headers=headers, timeout=10)
        assert shown.status_code == 404
        assert "<h1" in shown.text
        assert "not for diagnosis" in shown.text
        asked = requests.get(f"{served.address}/api{path}", headers=headers, timeout=10)
        assert asked.status_code in (400, 404)
        assert asked.json()["message"]


def test_browsers_keep_assets_until_they_change(served):
    address = f"{served.address}/assets/report/niivue/niivue.umd.js"
    first = requests.get(address, timeout=10)
    assert first.headers["Cache-Control"] == "no-cache"
    headers = {"If-None-Match": first.headers["ETag"]}
    again = requests.get(address, headers=headers, timeout=10)
    assert (again.status_code, again.content) == (304, b"")


def test_the_viewer_is_loaded_when_a_case_is_shown_and_not_before(page, served, store):
    case = ended(store, "A case", "failed", message="It failed.")
    page.requests.clear()
    page.go(f"{served.address}/cases/{case}")
    page.wait_for(SHOWN.format("trouble"))
    assert not any("niivue" in asked for asked in page.requests)


def test_a_picture_of_each_series_is_shown(page, served, tmp_path):
    voxels = np.zeros((20, 24, 8), np.float32)
    voxels[5:15, 5:15] = 100
    nifti.write(tmp_path / "one.nii.gz", voxels, AFFINE)
    case = served.upload(packed([tmp_path / "one.nii.gz"], tmp_path), "One")
    assert served.wait(case)["status"] == "unclear"
    page.go(f"{served.address}/cases/{case}")
    page.wait_for(SHOWN.format("start"))
    page.evaluate("""(select => {
      select.value = "one.nii.gz";
      select.dispatchEvent(new Event("change"));
    })(document.getElementById("series-t1c"))""")
    page.wait_for("document.querySelector('#modalities img')?.naturalWidth > 0")
