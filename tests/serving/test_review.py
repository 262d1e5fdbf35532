"""Held-out cases, two models on one case, the report and the runs, as the page shows them."""

import argparse
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from pipeline.commands import serve
from pipeline.core.grid import to_canonical
from pipeline.core.regions import values_to_classes
from pipeline.formats import nifti
from pipeline.report.page.cases import LOCAL_HELD_OUT
from pipeline.serving.project import Project
from tests.accessibility import AXE, violations
from tests.browser import CHROMIUM, Browser, one_colour
from tests.conftest import LPS, case_arrays, write_case
from tests.correcting.made import corrected
from tests.serving import made_project
from tests.serving.made_project import CASES, voxels
from tests.serving.served import Served, packed, serving

MODEL = Path(__file__).parents[1] / "network/format_1"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return made_project.make(tmp_path_factory.mktemp("evaluated"))


@pytest.fixture(scope="module")
def served(project, tmp_path_factory):
    other = made_project.other_settings(MODEL, tmp_path_factory.mktemp("other"))
    options = ("--project", str(project), "--also", f"twin={MODEL}", "--also", f"strict={other}")
    with serving(MODEL, tmp_path_factory.mktemp("store"), *options) as running:
        yield running


def made(served: Served, answer: requests.Response, look: str) -> dict:
    """The state of a scene once nothing works on it."""
    state, end = answer.json(), time.monotonic() + 60
    while state["status"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
        state = served.ask("GET", look.format(**state)).json()
    return state


def held_out(served: Served, case: str) -> dict:
    path = f"/api/held-out/{case}"
    return made(served, served.ask("POST", path), path)


def compared(served: Served, case: str, *models: str) -> dict:
    body = {"case": case, "models": models}
    answer = served.ask("POST", "/api/comparisons", json=body)
    return made(served, answer, "/api/comparisons/{key}")


def volume(served: Served, scene: str, name: str, folder: Path) -> np.ndarray:
    file = scene.replace("scene.json", f"{name}.nii.gz")
    return voxels(served.ask("GET", file).content, folder)


def refused(served: Served, method: str, path: str, **options) -> requests.Response:
    return served.session.request(method, f"{served.address}{path}", timeout=60, **options)


def test_a_held_out_case_is_shown_with_its_reference_and_prediction(served, schema, tmp_path):
    state = held_out(served, CASES[0])
    assert state["status"] == "done", state
    scene = served.ask("GET", state["scene"]).json()
    assert [one["name"] for one in scene["maps"]] == ["prediction", "reference"]
    assert scene["disagreement"]["names"] == ["missed", "false alarm", "other label"]
    reference = values_to_classes(case_arrays(0)[1], schema)
    for name, classes in (("reference", reference), ("prediction", np.roll(reference, 2, axis=0))):
        shown = volume(served, state["scene"], name, tmp_path)
        np.testing.assert_array_equal(shown, to_canonical(classes, LPS))


def test_a_scene_is_made_once_and_again_when_the_prediction_changes(served, project):
    first = held_out(served, CASES[2])
    assert held_out(served, CASES[2])["key"] == first["key"]
    path = project / f"metrics/predictions/{CASES[2]}.nii.gz"
    before, values = path.read_bytes(), nifti.read(path).voxels
    try:
        nifti.write(path, np.roll(values, 1, axis=1), LPS)
        assert held_out(served, CASES[2])["key"] != first["key"]
    finally:
        path.write_bytes(before)


def test_a_case_whose_prediction_is_gone_says_so_and_the_server_goes_on(served):
    state = held_out(served, CASES[1])
    assert state["status"] == "failed"
    assert CASES[1] in state["message"]
    assert "/project/" not in state["message"]
    assert held_out(served, CASES[2])["status"] == "done"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/held-out/nobody"),
        ("GET", "/held-out/nobody"),
        ("GET", "/held-out/..%2F..%2Fmodels"),
        ("GET", "/api/scenes/..%2F..%2Fcases/x/scene.json"),
        ("GET", f"/api/scenes/{'0' * 32}/scene.json"),
        ("GET", "/api/scenes/../scene.json"),
    ],
)
def test_what_is_no_held_out_case_and_no_scene_is_refused(served, method, path):
    answer = refused(served, method, path)
    assert answer.status_code in (400, 404)
    assert answer.json()["message"]


def test_nothing_is_made_without_the_token_of_the_page(served):
    no_token = {"X-TumorFlow-Token": ""}
    for path in (f"/api/held-out/{CASES[0]}", "/api/comparisons"):
        assert refused(served, "POST", path, headers=no_token).status_code == 403


def test_two_models_on_a_held_out_case_agree_as_far_as_their_labels_do(served, tmp_path):
    same = compared(served, f"held-out/{CASES[0]}", "served", "twin")
    assert same["status"] == "done", same
    for region in same["about"]["regions"].values():
        assert region["dice"] in (1.0, None)
        assert region["volumes_ml"][0] == region["volumes_ml"][1]
        assert region["reference_dice"][0] == region["reference_dice"][1]
    state = compared(served, f"held-out/{CASES[0]}", "served", "strict")
    assert state["about"]["models"] == ["served", "strict"]
    assert state["about"]["order"] == ["WT", "TC", "ET"]
    first, second = (volume(served, state["scene"], name, tmp_path) for name in ("first", "second"))
    enhancing = state["about"]["regions"]["ET"]
    one, other = first == 3, second == 3
    assert enhancing["dice"] == pytest.approx(2 * (one & other).sum() / (one.sum() + other.sum()))
    assert enhancing["volumes_ml"] == pytest.approx([one.sum() / 1000, other.sum() / 1000])
    assert enhancing["volumes_ml"][1] < enhancing["volumes_ml"][0]


def test_the_quality_flag_of_each_model_stands_beside_what_it_found(served, tmp_path):
    """By labels that the case has got already, and by those of a model that looks at it now."""
    folder = write_case(tmp_path, "BraTS2021_00077", seed=77)
    images = [path for path in folder.iterdir() if "seg" not in path.name]
    case = served.upload(packed(images, tmp_path), "a case")
    shown = served.wait(case)["summary"]
    first, second = compared(served, case, "served", "twin")["about"]["quality"]
    assert first == second == shown["quality"] | {"warnings": shown["warnings"]}
    assert first["words"] == "Not known"


def test_an_uploaded_case_is_compared_by_the_labels_that_it_has_got(served, tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00077", seed=77)
    images = [path for path in folder.iterdir() if "seg" not in path.name]
    case = served.upload(packed(images, tmp_path), "a case")
    served.wait(case)
    state = compared(served, case, "served", "strict")
    assert state["status"] == "done", state
    assert "reference_ml" not in state["about"]["regions"]["WT"]
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(served.ask("GET", f"/api/cases/{case}/files/labels.nii.gz").content)
    labels = nifti.read(path)
    shown = volume(served, state["scene"], "first", tmp_path)
    expected = to_canonical((labels.voxels == 4).astype(np.uint8), labels.grid.affine)
    np.testing.assert_array_equal(shown == 3, expected.astype(bool))


@pytest.mark.parametrize("models", [["served"], ["served", "served"], ["served", "unknown"]])
def test_only_two_different_models_that_the_server_has_are_compared(served, models):
    body = {"case": f"held-out/{CASES[0]}", "models": models}
    answer = refused(served, "POST", "/api/comparisons", json=body)
    assert answer.status_code == 400
    assert "served, twin, strict" in answer.json()["message"]


def test_the_report_runs_its_own_scripts_alone_and_in_an_origin_of_its_own(served):
    answer = served.ask("GET", "/report")
    assert f'href="/held-out/{CASES[0]}"' in answer.text
    policy = dict(
        one.split(" ", 1) for one in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["sandbox"] == "allow-scripts allow-downloads"
    assert policy["script-src"] == f"'{made_project.HASH}' 'wasm-unsafe-eval' blob:"
    assert policy["connect-src"] == "data: blob:"
    assert policy["frame-ancestors"] == "'none'"
    other = served.ask("GET", "/held-out").headers["Content-Security-Policy"]
    assert "sandbox" not in other
    assert made_project.HASH not in other


def test_a_report_on_disk_leads_to_the_default_address_of_the_server():
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    given = parser.parse_args([])
    assert f"http://{given.host}:{given.port}/held-out/" == LOCAL_HELD_OUT


def test_the_projects_page_changes_nothing(served):
    for path in ("/projects", "/held-out", "/compare", "/report", "/api/projects/runs"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert refused(served, method, path).status_code == 405
    page = served.ask("GET", "/projects").text
    assert "0.800" in page
    assert "0.700 to 0.900" in page
    assert "method=" not in page


def test_a_project_without_a_store_has_no_runs_and_gets_no_store(served, project):
    state = made(served, served.ask("GET", "/api/projects/runs"), "/api/projects/runs")
    assert state == {"status": "done", "runs": [], "regions": [], "mlflow": ""}
    assert not list(project.glob("mlflow*"))


def test_corrected_cases_wait_until_the_cohort_has_them(project, schema, tmp_path):
    place = tmp_path / "corrected"
    assert Project(project, place).waiting() == (0, 0, ())
    corrected(place, schema)
    corrected(place, schema, name="known", seed=0)
    assert Project(project, place).waiting() == (1, 2, ())
    (place / "known/correction.json").write_text("{")
    assert Project(project, place).waiting() == (1, 1, ("known",))


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    with Browser() as found:
        yield found


@pytest.mark.parametrize(
    ("path", "is_ready"),
    [
        ("/held-out", "true"),
        (f"/held-out/{CASES[0]}", "document.querySelector('.viewer-where').textContent"),
        (
            f"/compare?case=held-out/{CASES[0]}&models=served,strict",
            "document.querySelector('.viewer-where').textContent",
        ),
        ("/compare", "true"),
        ("/projects", "document.getElementById('runs-status').textContent.includes('dvc repro')"),
    ],
)
def test_a_page_is_complete_readable_on_a_phone_and_accessible(served, browser, path, is_ready):
    page = browser.open(f"{served.address}{path}")
    page.look(390, 844, dark=True, touch=True)
    page.wait_for(is_ready)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.hosts <= {served.address.removeprefix("http://")}
    if "/compare?" in path:
        said = "[...document.querySelectorAll('#quality :is(h3, .flag)')].map(e => e.textContent)"
        assert page.evaluate(said) == ["served", "Not known", "strict", "Not known"]
    if "viewer-where" in is_ready:
        page.wait(0.5)
        assert not one_colour(page.screenshot(".viewer-screen"))
    if AXE:
        assert not violations(page)
    assert not page.complaints
    page.close()
