"""What a case gives back: complete files alone, by names that are no paths, and one archive."""

import io
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests

from pipeline.formats import nifti
from pipeline.serving import downloads
from pipeline.serving.segmentation import finish
from pipeline.serving.store import State
from tests.conftest import write_case
from tests.report.pdf import lines_of
from tests.segmenting.test_objects import IDENTITIES, write_study
from tests.serving.served import Served, packed, serving

MODEL = Path(__file__).parents[1] / "network/format_1"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def served(store):
    with serving(MODEL, store) as running:
        yield running


@pytest.fixture(scope="module")
def case(served, tmp_path_factory) -> str:
    folder = write_case(tmp_path_factory.mktemp("source"), "BraTS2021_00077", seed=77)
    images = [path for path in folder.iterdir() if "seg" not in path.name]
    case = served.upload(packed(images, folder.parent), "MÜLLER^Hans/../x")
    assert served.wait(case)["status"] == "done"
    return case


def complete(served: Served, case: str) -> dict:
    """The state of a case whose downloads are all there."""
    end = time.monotonic() + 60
    while not (state := served.state(case))["downloads"]["is_complete"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    return state


def fetched(served: Served, case: str, name: str) -> requests.Response:
    return served.ask("GET", f"/api/cases/{case}/files/{name}")


def test_every_file_is_one_attachment_named_by_the_pseudonym(served, case):
    state = complete(served, case)
    names = [one["name"] for one in state["downloads"]["files"]]
    assert names == [
        "labels.nii.gz",
        *(f"uncertainty_{region}.nii.gz" for region in ("ET", "TC", "WT")),
        *("summary.pdf", "summary.png", "manifest.json"),
    ]
    for one in state["downloads"]["files"]:
        answer = fetched(served, case, one["name"])
        assert len(answer.content) == one["bytes"]
        given = answer.headers["Content-Disposition"]
        assert given.startswith('attachment; filename="case-')
        assert "ller" not in given


def test_labels_and_uncertainty_are_those_of_the_summary(served, case, tmp_path):
    state = complete(served, case)
    path = tmp_path / "uncertainty.nii.gz"
    path.write_bytes(fetched(served, case, "uncertainty_WT.nii.gz").content)
    uncertainty = nifti.read(path)
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(fetched(served, case, "labels.nii.gz").content)
    labels = nifti.read(path)
    assert np.array_equal(labels.grid.affine, uncertainty.grid.affine)
    assert 0 <= uncertainty.voxels.min() < uncertainty.voxels.max() <= 1
    whole = state["summary"]["regions"][0]
    voxel_ml = np.prod(labels.grid.spacing_mm) / 1000
    assert whole["volume_ml"] == pytest.approx((labels.voxels > 0).sum() * voxel_ml, abs=1e-3)
    text = lines_of(fetched(served, case, "summary.pdf").content)
    assert f"{whole['volume_ml']:.2g} ml" in text or f"{whole['volume_ml']:.1f} ml" in text


def test_one_archive_holds_all_files_as_they_are(served, case):
    files = complete(served, case)["downloads"]["files"]
    answer = fetched(served, case, "all.zip")
    assert answer.headers["Content-Disposition"].endswith('.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    assert sorted(sizes.values()) == sorted(one["bytes"] for one in files)
    assert all(name.startswith("case-") and "/" not in name for name in sizes)
    assert answer.content == fetched(served, case, "all.zip").content


def test_of_images_that_are_no_study_it_says_why_there_are_no_dicom_objects(served, case):
    (lacking,) = complete(served, case)["downloads"]["lacking"]
    assert "DICOM segmentation" in lacking["title"]
    assert "no DICOM study" in lacking["reason"]


def test_a_study_gives_dicom_objects_and_no_file_but_those_names_the_patient(served, tmp_path):
    study = write_study(tmp_path / "study")
    case = served.upload(packed([*study.rglob("*.dcm")], study), "study")
    state = served.wait(case)
    if state["status"] == "unclear":
        served.ask("POST", f"/api/cases/{case}/series", json={"series": state["chosen"]})
        state = served.wait(case)
    state = complete(served, case)
    assert state["downloads"]["lacking"] == []
    names = [one["name"] for one in state["downloads"]["files"]]
    assert names[1:4] == ["seg.dcm", "sr.dcm", "rtstruct.dcm"]
    made = pydicom.dcmread(io.BytesIO(fetched(served, case, "seg.dcm").content))
    assert made.Modality == "SEG"
    for name in names:
        if not name.endswith(".dcm"):
            content = fetched(served, case, name).content
            assert not any(word.encode() in content for word in IDENTITIES[::2]), name
    page = lines_of(fetched(served, case, "summary.pdf").content)
    assert "4711" not in "".join(page)
    saved_as = fetched(served, case, "summary.pdf").headers["Content-Disposition"]
    assert f"{page[0]}_summary.pdf" in saved_as  # as all files of the case are called


@pytest.mark.parametrize(
    "name",
    [
        "state.json",
        "seg.dcm",
        "labels.seg.dcm",
        "..%2F..%2Fstate.json",
        "%2E%2E",
        "labels.nii",
        "scene",
        "",
    ],
)
def test_nothing_but_the_files_that_are_offered_can_be_fetched(served, case, name):
    address = f"{served.address}/api/cases/{case}/files/{name}"
    answer = served.session.get(address, timeout=60)
    assert answer.status_code in (400, 404)
    assert b"format_version" not in answer.content


def test_what_a_killed_process_did_not_finish_is_made_again_with_the_same_bytes(
    served, case, store
):
    folder = store / "cases" / case
    extras = folder / "result/extras"
    state = complete(served, case)
    before = {path.name: path.read_bytes() for path in (extras / "uncertainty").iterdir()}
    shutil.rmtree(extras)
    assert not served.state(case)["downloads"]["is_complete"]
    values = {"folder": str(folder), "model": str(MODEL)}
    values |= {name: state[name] for name in ("kind", "chosen", "native")}
    finish(values | {"case": "case-x"}, lambda step, share: None)
    after = {path.name: path.read_bytes() for path in (extras / "uncertainty").iterdir()}
    assert before == after
    names = [
        [one["name"] for one in each["downloads"]["files"]] for each in (state, served.state(case))
    ]
    assert names[0] == names[1]
    assert not [*folder.glob(".extras")]


def made_result(folder: Path) -> Path:
    (folder / "extras/uncertainty").mkdir(parents=True)
    for name in (
        "labels.nii.gz",
        "labels.t1c.nii.gz",
        "labels.nii.gz.json",
        "extras/labels.seg.dcm",
        "extras/labels.nii.gz",
        "extras/uncertainty/labels_WT.nii.gz",
    ):
        (folder / name).write_bytes(name.encode())
    return folder


def state_of(**changes) -> State:
    times = {"created": "2026-01-01T00:00:00+00:00", "expires": "2026-01-02T00:00:00+00:00"}
    return State(id="A" * 22, label="x", status="done", **times | changes)


def test_names_are_those_of_predict_and_extras_are_not_listed_twice(tmp_path):
    offered = downloads.offered(made_result(tmp_path), "case-1")
    assert {one.name: one.saved_as for one in offered} == {
        "labels.nii.gz": "case-1.nii.gz",
        "labels.t1c.nii.gz": "case-1.t1c.nii.gz",
        "seg.dcm": "case-1.seg.dcm",
        "uncertainty_WT.nii.gz": "case-1_uncertainty_WT.nii.gz",
        "manifest.json": "case-1.nii.gz.json",
    }


def test_what_is_not_there_yet_or_will_never_be_is_said(tmp_path):
    study, result = state_of(kind="dicom"), tmp_path / "result"
    result.mkdir()
    (pending,) = downloads.lacking(result, study)
    assert pending["reason"] == "Being prepared."
    assert not downloads.described(result, study)["is_complete"]
    (result / downloads.UNFINISHED).write_text("no room")
    assert downloads.lacking(result, study)[0]["reason"] == "no room"
    assert downloads.described(result, study)["is_complete"]
    (result / downloads.UNFINISHED).unlink()
    made_result(result)
    assert downloads.lacking(result, study) == []
    (result / "extras/refused.txt").write_text("series lacks a UID")
    assert downloads.lacking(result, study)[0]["reason"] == "series lacks a UID"


def test_an_archive_is_made_part_by_part(tmp_path):
    large = tmp_path / "large"
    large.write_bytes(np.random.default_rng(1).bytes(5 * 2**20))
    parts = list(downloads.zipped([downloads.Download("a", "A", "a.bin", large)]))
    assert max(map(len, parts)) < 2**21
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.read("a.bin") == large.read_bytes()
