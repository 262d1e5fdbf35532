"""The viewer of the server's pages in a real browser: what is seen is what the volumes hold."""

import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from pipeline.cohorts import brats
from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.serving.pages import FOLDERS, _environment
from pipeline.serving.scenes import write_scene
from pipeline.serving.security import POLICY
from tests.accessibility import AXE, violations
from tests.browser import CHROMIUM, Browser

pytestmark = pytest.mark.slow
SCHEMA = brats.schema("_")
SHAPE = (40, 48, 32)
TUMOUR = (slice(22, 34), slice(26, 42), slice(10, 22))
BODY = """{% extends "base.html.j2" %}{% from "viewer.html.j2" import linked, viewer %}
{% block main %}<section>{{ linked(scenes) if scenes | length > 1 else
viewer("viewer", scenes.values() | first) }}</section>{% endblock %}
{% block scripts %}<script type="module" src="/open.js"></script>{% endblock %}"""
OPEN = 'import {openAll} from "/assets/page/scene.js"; window.viewers = await openAll();'


def made_case(name: str, moved_mm: float = 0.0) -> Case:
    """Blocks of grey in a head of 32 x 40 x 24 mm, and nested boxes as its tumour, at the patient's
    right, front and top.
    """
    image = np.zeros((*SHAPE, 4), np.float32)
    blocks = np.random.default_rng(7).uniform(200, 1000, (8, 10, 6, 4)).astype(np.float32)
    image[4:-4, 4:-4, 4:-4] = blocks.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    classes = np.zeros(SHAPE, np.uint8)
    classes[TUMOUR] = 2
    classes[25:31, 29:37, 13:19] = 3
    classes[26:29, 31:35, 14:17] = 1
    affine = np.eye(4)
    affine[0, 3] = moved_mm
    return Case(name, image, classes, Grid(SHAPE, affine))


class _Files(SimpleHTTPRequestHandler):
    """Pages, assets and scenes, with the policy of the server."""

    def translate_path(self, path: str) -> str:
        for name, folder in FOLDERS.items():
            if path.startswith(f"/assets/{name}/"):
                return str(folder / path.removeprefix(f"/assets/{name}/"))
        return super().translate_path(path)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        if self.path.endswith(".nii.gz"):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Pages with one scene, with two, and with one that is gone."""
    folder = tmp_path_factory.mktemp("pages")
    case, later = made_case("Made_001"), made_case("Made_001 later", moved_mm=3.0)
    prediction = np.roll(case.classes, 4, axis=1)
    uncertainty = np.where(prediction != case.classes, 0.6, 0.0)
    both = {"prediction": prediction, "reference": case.classes}
    write_scene(folder / "a", case, SCHEMA.modalities, both, SCHEMA, uncertainty)
    models = {"old": later.classes, "new": prediction}
    titles = {"old": "Old model", "new": "New model"}
    write_scene(folder / "b", later, SCHEMA.modalities, models, SCHEMA, titles=titles)
    flat = Case(
        "Slice",
        case.image[:, :, 15:16],
        case.classes[:, :, 15:16],
        Grid((*SHAPE[:2], 1), np.eye(4)),
    )
    single = SCHEMA.model_copy(update={"dimensions": 2})
    write_scene(folder / "d", flat, SCHEMA.modalities, {"prediction": flat.classes}, single)
    scenes = {"First visit": "/a/scene.json", "Second visit": "/b/scene.json"}
    pages = {
        "one": {"One": "/a/scene.json"},
        "models": {"One": "/b/scene.json"},
        "gone": {"One": "/c/scene.json"},
        "slice": {"One": "/d/scene.json"},
        "two": scenes,
    }
    template = _environment().from_string(BODY)
    for name, shown in pages.items():
        page = template.render(token="", scenes=shown)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    (folder / "open.js").write_text(OPEN)
    (folder / "favicon.ico").touch()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(address):
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    with Browser() as found:
        yield found.open(f"{address}/open.js")


@pytest.fixture
def opened(browser, address):
    """Opens one of the pages."""

    def open_page(name: str):
        browser.complaints.clear()
        browser.requests.clear()
        browser.look(width=1100, height=900)
        browser.go(f"{address}/{name}.html")
        browser.wait_for("window.viewers")
        return browser

    return open_page


@pytest.fixture
def one(opened):
    return opened("one")


def pixels(page, selector=".viewer canvas"):
    """(height, width, 3) int array of what an element looks like."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return np.asarray(Image.open(io.BytesIO(page.screenshot(selector))).convert("RGB")).astype(int)


def coloured(picture):
    """How many pixels are not grey."""
    return int((np.ptp(picture, axis=-1) > 40).sum())


def ticks(page, *, on=(), off=()):
    """Set ticks of the first viewer."""
    for name in (*on, *off):
        box = f"document.getElementById('viewer-{name}')"
        if page.evaluate(f"{box}.checked") != (name in on):
            page.evaluate(f"{box}.click()")


def bare(page):
    """Only the greys of the first viewer."""
    ticks(page, off=("reference", "prediction", "crosshair"))


def words(page):
    return page.evaluate("document.querySelector('.viewer-where').textContent")


def test_it_opens_without_complaints_and_asks_no_other_host(one, address):
    assert one.complaints == []
    asked = [request for request in one.requests if not request.startswith(("blob:", "data:"))]
    assert [request for request in asked if not request.startswith(address)] == []
    assert coloured(pixels(one)) > 500


def test_the_label_and_the_grey_under_a_point_are_those_of_the_files(one):
    case = made_case("_")
    bare(one)
    picture, box = pixels(one), one.box(".viewer canvas")
    known = one.evaluate("[...viewers[0].voxels('reference')]")
    np.testing.assert_array_equal(np.reshape(known, SHAPE, order="F"), case.classes)
    seen, stored = [], []
    for across in np.linspace(0.3, 0.7, 15):
        for down in np.linspace(0.1, 0.9, 15):
            x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
            i, j, k = one.evaluate(f"viewers[0].voxelAt({x}, {y}).voxel")
            around = case.image[i - 1 : i + 2, j - 1 : j + 2, k, 1]
            if around.size and not np.ptp(around):  # the card mixes neighbours
                seen.append(picture[int(down * box["height"]), int(across * box["width"])][0])
                stored.append(around[0, 0])
    assert len(seen) > 30
    assert np.corrcoef(seen, stored)[0, 1] > 0.99


def test_the_patients_right_is_on_the_left_and_the_nose_is_up(one):
    box = one.box(".viewer canvas")
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def voxel(across, down):
        return one.evaluate(f"viewers[0].voxelAt({middle[0] + across}, {middle[1] + down}).voxel")

    assert voxel(-50, 0)[0] > voxel(50, 0)[0]  # RAS: x grows to the patient's right
    assert voxel(0, -50)[1] > voxel(0, 50)[1]
    one.evaluate("viewers[0].setLook({plane: 'coronal'})")
    assert voxel(0, -50)[2] > voxel(0, 50)[2]


def test_a_click_goes_there_and_the_words_are_those_of_that_voxel(one):
    at = one.at(".viewer canvas", 0.45, 0.4)
    expected = one.evaluate(f"viewers[0].voxelAt({at['x']}, {at['y']}).voxel")
    for kind in ("mousePressed", "mouseReleased"):
        one.send("Input.dispatchMouseEvent", type=kind, **at, button="left", clickCount=1)
    assert one.evaluate("viewers[0].at()") == expected
    names = ["no tumour", *SCHEMA.labels]
    reference = made_case("_").classes[tuple(expected)]
    assert f"reference: {names[reference]}" in words(one)
    assert f"sagittal slice {expected[0] + 1} of {SHAPE[0]}" in words(one)


def test_labels_maps_and_opacity_change_what_is_laid_over(one):
    both = coloured(pixels(one))
    ticks(one, off=["label-2"])
    fewer = coloured(pixels(one))
    ticks(one, off=["reference", "label-1", "label-3"])
    assert coloured(pixels(one)) == 0
    ticks(one, on=["disagreement"])
    assert coloured(pixels(one)) > 200
    ticks(one, on=["label-1", "label-2", "label-3"], off=["disagreement"])
    assert coloured(pixels(one)) > 200
    one.evaluate("viewers[0].setLook({opacity: '0'})")
    assert coloured(pixels(one)) == 0
    assert 0 < fewer < both


@pytest.mark.parametrize("drawn", ["fill", "outline"])
@pytest.mark.parametrize("layers", [(), ("disagreement",), ("uncertainty",)])
def test_a_repainted_box_looks_as_if_all_were_repainted(one, layers, drawn):
    ticks(one, on=layers)
    one.evaluate(f"""(() => {{
      const select = document.getElementById("viewer-prediction-as");
      select.value = "{drawn}";
      select.dispatchEvent(new Event("change"));
    }})()""")
    before = pixels(one)
    one.evaluate("""(() => {
      const map = viewers[0].voxels("prediction"), [, , z] = viewers[0].at();
      for (let x = 8; x < 30; x++) {
        for (let y = 28; y < 34; y++) map[x + 40 * (y + 48 * z)] = x < 20 ? 3 : 0;
      }
      viewers[0].repaint([[8, 28, z], [30, 34, z + 1]]);
    })()""")
    in_box = pixels(one)
    one.evaluate("viewers[0].repaint()")
    assert (in_box != before).any()
    np.testing.assert_array_equal(in_box, pixels(one))


def test_every_modality_and_window_are_seen_as_niivue_would_show_them(one):
    for look in ("{modality: 't2f'}", "{level: '90', window: '60'}"):
        one.evaluate(f"viewers[0].setLook({look})")
        ours = pixels(one)
        one.evaluate("""(() => {
          const {nv} = viewers[0];
          Object.getPrototypeOf(nv).refreshLayers.call(nv, nv.volumes[0], 0);
          nv.drawScene();
        })()""")
        assert abs(ours - pixels(one)).max() <= 1
        assert ours.std() > 10


def test_a_drag_with_the_right_button_changes_level_and_window_and_their_sliders(one):
    bare(one)
    sliders = (
        "['level', 'window'].map(name => Number(document.getElementById(`viewer-${name}`).value))"
    )
    level, window = one.evaluate(sliders)
    before, place = pixels(one), words(one)
    one.drag(".viewer canvas", (0.7, 0.5), (0.65, 0.45), (0.6, 0.4), button="right")
    after = pixels(one)
    higher, narrower = one.evaluate(sliders)
    assert higher > level
    assert narrower < window
    assert after.mean() < before.mean()
    assert words(one) == place


def test_arrows_move_slices_while_the_picture_has_the_focus_and_tab_leaves_it(one):
    one.evaluate("viewers[0].focus()")
    start = one.evaluate("viewers[0].at()")
    one.press("ArrowUp")
    one.press("PageUp")
    assert one.evaluate("viewers[0].at()") == [*start[:2], start[2] + 11]
    one.press("Home")
    assert one.evaluate("viewers[0].at()") == start
    one.press("+")
    assert one.evaluate("viewers[0].look().zoom") == "125"
    one.press("Tab")
    assert one.evaluate("document.activeElement.id") == "viewer-slice-2"


def test_every_view_shows_the_tumour_and_says_what_is_seen(one):
    for view, name in (("coronal", "Coronal"), ("planes", "Three planes"), ("render", "3D")):
        one.evaluate(f"viewers[0].setLook({{plane: '{view}'}})")
        assert coloured(pixels(one)) > 100
        label = one.evaluate("viewers[0].canvas.getAttribute('aria-label')")
        assert label.startswith(f"Made_001, t1c, {name}, with prediction, reference laid over.")


def test_a_viewer_that_was_closed_opens_again_in_its_place(one):
    before = pixels(one)
    one.evaluate("""(async () => {
      const {openScene} = await import("/assets/page/scene.js");
      const root = document.querySelector(".viewer");
      viewers[0].close();
      window.viewers = [await openScene(root, root.dataset.scene)];
    })()""")
    np.testing.assert_array_equal(pixels(one), before)
    one.evaluate("viewers[0].focus()")
    start = one.evaluate("viewers[0].at()")
    one.press("ArrowUp")
    assert one.evaluate("viewers[0].at()[2]") == start[2] + 1
    assert one.complaints == []


def test_other_maps_of_the_same_case_leave_place_and_zoom(one):
    one.evaluate("viewers[0].setLook({zoom: '200'}), viewers[0].go([20, 20, 12])")
    one.evaluate("""(async () => {
      const {sceneAt} = await import("/assets/page/scene.js");
      const {scene, feed} = await sceneAt("/a/scene.json");
      const maps = scene.maps.slice(0, 1);
      await viewers[0].show({...scene, maps, disagreement: null}, feed);
    })()""")
    assert one.evaluate("viewers[0].at()") == [20, 20, 12]
    assert one.evaluate("viewers[0].look().zoom") == "200"
    assert one.evaluate("document.getElementById('viewer-reference')") is None


SHOW = """(async () => {
  const {sceneAt} = await import("/assets/page/scene.js");
  const one = await sceneAt("/a/scene.json"), other = await sceneAt("/b/scene.json");
  const refused = name => Promise.reject(new Error(`${name} is gone`));
  const later = name => new Promise(done => setTimeout(done, 300)).then(() => other.feed.map(name));
  %s
})()"""


def test_a_modality_that_cannot_be_read_is_not_named_as_the_one_seen(one):
    one.evaluate(SHOW % "await viewers[0].show(one.scene, {...one.feed, map: one.feed.map});")
    seen = pixels(one)
    one.evaluate(
        SHOW
        % """const modality = name => name === "t1c" ? one.feed.modality(name) : refused(name);
        await viewers[0].show(one.scene, {...one.feed, modality});
        await viewers[0].setLook({modality: "t2f"});"""
    )
    assert one.evaluate("document.getElementById('viewer-modality').value") == "t1c"
    status = one.evaluate("document.querySelector('.viewer-status').textContent")
    assert status == "The viewer cannot be shown: t2f is gone."
    np.testing.assert_array_equal(pixels(one), seen)


def test_a_scene_that_cannot_be_read_leaves_the_one_seen_with_its_name(one):
    seen = pixels(one)
    failed = SHOW % "await viewers[0].show(other.scene, {...other.feed, modality: refused});"
    with pytest.raises(RuntimeError, match="t1c is gone"):
        one.evaluate(failed)
    assert one.evaluate("viewers[0].scene().name") == "Made_001"
    np.testing.assert_array_equal(pixels(one), seen)


def test_of_two_scenes_the_one_chosen_last_is_seen_whichever_comes_first(one):
    one.evaluate(
        SHOW
        % """const slow = viewers[0].show(other.scene, {...other.feed, map: later});
        await Promise.all([slow, viewers[0].show(one.scene, one.feed)]);"""
    )
    assert one.evaluate("viewers[0].scene().name") == "Made_001"
    label = one.evaluate("viewers[0].canvas.getAttribute('aria-label')")
    assert label.startswith("Made_001, t1c, Axial, with prediction, reference laid over.")


def test_a_single_slice_has_one_plane_and_no_sides(opened):
    page = opened("slice")
    assert coloured(pixels(page)) > 500
    assert page.evaluate("viewers[0].plane()") == "slice"
    assert not page.evaluate("document.getElementById('viewer-plane').checkVisibility()")
    assert words(page) == "prediction: necrotic"
    assert page.complaints == []


def test_two_models_disagree_under_their_own_names(opened):
    page = opened("models")
    text = page.evaluate("document.getElementById('viewer-maps').textContent")
    assert "only Old model" in text
    assert "only New model" in text
    assert "old" not in words(page)
    assert "Old model: " in words(page)


def test_linked_viewers_follow_each_other_in_mm_and_in_looks(opened):
    page = opened("two")
    assert page.evaluate("viewers.length") == 2
    page.evaluate("viewers[0].go([20, 20, 12])")
    assert page.evaluate("viewers[1].at()") == [17, 20, 12]  # its grid begins 3 mm further right
    page.evaluate("viewers[1].go([20, 30, 14])")
    assert page.evaluate("viewers[0].at()") == [23, 30, 14]
    page.evaluate("document.getElementById('viewer-1-plane').focus()")
    page.press("End")
    page.press("ArrowUp")
    page.evaluate("document.getElementById('viewer-1-modality').focus()")
    page.press("End")
    page.wait_for("viewers[1].look().modality === 't2f'")
    page.evaluate("document.getElementById('viewer-1-label-2').click()")
    first, second = page.evaluate("viewers.map(viewer => viewer.look())")
    assert first["plane"] == second["plane"] == "planes"
    assert {**first, "head": 0} == {**second, "head": 0}
    assert page.complaints == []


def test_two_viewers_fit_a_laptop_and_a_phone(opened):
    page = opened("two")
    one, other = (page.box(f"[data-prefix=viewer-{place}] canvas") for place in (1, 2))
    assert one["right"] <= other["x"]
    assert one["width"] > 400
    page.look(width=390, height=844, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.box("[data-prefix=viewer-2] canvas")["width"] > 300


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["one", "two"])
def test_axe_finds_nothing_serious(opened, name, dark):
    page = opened(name)
    page.look(dark=dark)
    assert violations(page) == []


@pytest.mark.parametrize(("name", "button"), [("one", "viewer-full"), ("two", "viewer-1-full")])
def test_the_full_screen_says_that_it_is_for_research_alone(opened, name, button):
    page = opened(name)
    seen = "document.querySelector('.viewer-caution').checkVisibility()"
    assert not page.evaluate(seen)
    page.click(f"#{button}")
    page.wait_for(f"document.fullscreenElement && {seen}")
    page.evaluate("document.exitFullscreen()")


def test_a_scene_that_is_gone_is_said(opened):
    page = opened("gone")
    assert page.evaluate("viewers.length") == 0
    status = page.evaluate("document.querySelector('.viewer-status').textContent")
    assert status == "The viewer cannot be shown: its volumes are no longer kept."
