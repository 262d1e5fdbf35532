"""Saving corrections by requests to a running server, and the list of cases to correct first."""

import gzip
import io
import json
import shutil
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pydicom
import pytest
from filelock import FileLock

from pipeline.cohorts import folder
from pipeline.core.grid import to_canonical
from pipeline.correcting import record
from pipeline.correcting.cohort import corrections
from pipeline.formats import nifti
from pipeline.network.card import read_card
from pipeline.serving.correction_task import correct
from tests.conftest import write_case
from tests.segmenting.test_objects import IDENTITIES, write_study
from tests.serving.served import Served, packed, serving

MODEL = Path(__file__).parents[1] / "network/format_1"
READER = "Dr. Ada Müller <b>"
HEADER_BYTES = 352
NOTHING = {"version": 0, "asks_patient": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Folder of the corrected cases."""
    return tmp_path_factory.mktemp("corrected")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Folder of the cases."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def served(store, place):
    with serving(MODEL, store, "--corrections", str(place)) as running:
        yield running


@pytest.fixture
def case(served, tmp_path_factory) -> str:
    """A case that was segmented, another one each time."""
    number = len(served.ask("GET", "/api/cases").json()) + 1
    source = write_case(tmp_path_factory.mktemp("source"), f"BraTS2021_{number:05d}", seed=number)
    images = [path for path in source.iterdir() if "seg" not in path.name]
    made = served.upload(packed(images, source.parent), "MÜLLER^Hans")
    assert served.wait(made)["status"] == "done"
    return made


def scene_voxels(served: Served, case: str, name: str = "prediction") -> np.ndarray:
    """Class indices (X, Y, Z) of a map as the viewer gets them."""
    shape = served.ask("GET", f"/api/cases/{case}/scene/scene.json").json()["shape"]
    file = served.ask("GET", f"/api/cases/{case}/scene/{name}.nii.gz").content
    return np.frombuffer(file, np.uint8)[HEADER_BYTES:].reshape(shape, order="F").copy()


def seen(served: Served, case: str) -> int:
    """What the page sends of the prediction that it shows."""
    return zlib.crc32(served.ask("GET", f"/api/cases/{case}/scene/prediction.nii.gz").content)


def save(served: Served, case: str, voxels: np.ndarray | bytes, **query):
    """The answer to a correction, by default of the present prediction."""
    if "prediction" not in query:
        query["prediction"] = seen(served, case)
    body = voxels if isinstance(voxels, bytes) else voxels.tobytes("F")
    path = f"{served.address}/api/cases/{case}/corrections"
    return served.session.post(path, params={"reader": READER} | query, data=body, timeout=60)


def test_a_correction_becomes_a_case_of_a_cohort_with_who_and_from_which_network(
    served, case, place
):
    drawn = scene_voxels(served, case)
    drawn[3:7, 4:6, 2] = 3
    drawn[7, 8, 9] = 0
    about = save(served, case, drawn, seconds=41.5).json()
    assert (about["version"], about["reader"], about["seconds"]) == (1, READER, 41.5)
    made = record.read(place / about["case"] / record.NAME)
    manifest = served.ask("GET", f"/api/cases/{case}/files/manifest.json").json()
    assert made.prediction.network_sha256 == manifest["network_sha256"]
    assert made.voxels_changed == (drawn != scene_voxels(served, case)).sum() > 0
    assert "MÜLLER" not in (place / about["case"] / record.NAME).read_text(encoding="utf-8")
    assert folder.read(place)[1].cohort_schema == made_schema()


def made_schema():
    return read_card(MODEL).cohort


def test_the_stored_labels_are_those_drawn_on_the_axes_of_the_case(served, case, place):
    drawn = np.zeros_like(scene_voxels(served, case))
    drawn[1:4, 2:9, 3:5], drawn[10, 11, 12], drawn[0, 0, 0] = 1, 2, 3
    about = save(served, case, drawn).json()
    stored = nifti.read(place / about["case"] / f"{about['case']}-seg.nii.gz")
    values = np.array([0, 1, 2, 4], np.uint8)[drawn]  # of the labels of BraTS
    assert np.array_equal(to_canonical(stored.voxels, stored.grid.affine), values)


def test_after_saving_the_scene_and_the_downloads_have_the_correction(served, case):
    assert served.ask("GET", f"/api/cases/{case}/correction").json() == NOTHING
    drawn = scene_voxels(served, case)
    drawn[2:12, 2:12, 2:5] = 1
    about = save(served, case, drawn).json()
    told = served.ask("GET", f"/api/cases/{case}/correction").json()
    assert told == about
    scene = served.ask("GET", f"/api/cases/{case}/scene/scene.json").json()
    looks = [(one["name"], one["as"]) for one in scene["maps"]]
    assert looks == [("correction", "fill"), ("prediction", "outline")]
    assert np.array_equal(scene_voxels(served, case, "correction"), drawn)
    assert [one["name"] for one in about["files"]] == ["labels.nii.gz", "correction.json"]
    voxel_ml = np.prod(scene["spacing_mm"]) / 1000
    whole = about["volumes_ml"]["correction"]["WT"]
    assert whole == pytest.approx((drawn > 0).sum() * voxel_ml, abs=1e-3)
    answer = served.ask("GET", f"/api/cases/{case}/correction/labels.nii.gz")
    assert 'filename="case-' in answer.headers["Content-Disposition"]
    assert (np.frombuffer(gzip.decompress(answer.content)[HEADER_BYTES:], np.uint8) > 0).any()


def test_a_second_correction_keeps_the_first(served, case, place):
    first, second = (scene_voxels(served, case) for _ in range(2))
    first[1, 1, 1], second[2, 2, 2] = 1, 2
    save(served, case, first)
    about = save(served, case, second, reader="Bo").json()
    assert about["version"] == 2
    made = record.read(place / about["case"] / record.NAME)
    assert [(one.version, one.reader) for one in made.earlier] == [(1, READER)]
    kept = nifti.read(place / about["case"] / made.earlier[0].labels)
    upright = to_canonical(kept.voxels, kept.grid.affine)
    assert upright[1, 1, 1] == 1
    assert upright[2, 2, 2] == np.array([0, 1, 2, 4])[first[2, 2, 2]]


def test_a_corrected_case_outlives_the_case(served, case, place):
    about = save(served, case, scene_voxels(served, case)).json()
    served.ask("DELETE", f"/api/cases/{case}")
    assert about["case"] in [one.case for one in corrections(place)]


def test_a_correction_of_labels_that_were_replaced_meanwhile_is_refused(served, case, place):
    """Two tabs: one corrects while the other segments the case again with other series."""
    drawn, before, known = scene_voxels(served, case), seen(served, case), len(corrections(place))
    chosen = served.state(case)["chosen"]
    other = chosen | {"t1c": chosen["t2f"], "t2f": chosen["t1c"]}
    served.ask("POST", f"/api/cases/{case}/series", json={"series": other, "native": False})
    assert served.wait(case)["status"] == "done"
    assert seen(served, case) != before
    answer = save(served, case, drawn, prediction=before)
    assert answer.status_code == 400
    assert "segmented again" in answer.json()["message"]
    assert len(corrections(place)) == known


def test_a_correction_of_an_earlier_segmentation_is_still_told_of(served, case, place):
    save(served, case, scene_voxels(served, case), reader="Ada")
    assert served.state(case)["is_corrected"]
    again = {"series": served.state(case)["chosen"], "native": False}
    served.ask("POST", f"/api/cases/{case}/series", json=again)
    assert served.wait(case)["status"] == "done"
    assert not served.state(case)["is_corrected"]
    about = served.ask("GET", f"/api/cases/{case}/correction").json()
    assert (about["version"], about["earlier"]["reader"], about["earlier"]["version"]) == (
        0,
        "Ada",
        1,
    )
    assert save(served, case, scene_voxels(served, case)).json()["version"] == 2


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("labels.nii.gz.json", {"labels": {"ED": 2, "NCR": 1, "ET": 4}}, "other labels"),
        ("labels.nii.gz", None, "another grid"),
    ],
)
def test_a_correction_is_refused_if_network_or_images_are_not_those_of_the_labels(
    served, store, case, place, name, change, said
):
    """By another network or version since a new start."""
    drawn, known = scene_voxels(served, case), len(corrections(place))
    file = store / "cases" / case / "result" / name
    if change:
        file.write_text(json.dumps(json.loads(file.read_bytes()) | change))
    else:
        labels = nifti.read(file)
        nifti.write(file, labels.voxels, labels.grid.affine @ np.diag([-1, 1, 1, 1]))
    answer = save(served, case, drawn)
    assert (answer.status_code, said in answer.json()["message"]) == (400, True)
    assert len(corrections(place)) == known


def segment_again(served: Served, case: str, chosen: dict[str, str]) -> None:
    served.ask("POST", f"/api/cases/{case}/series", json={"series": chosen, "native": False})
    assert served.wait(case)["status"] == "done"


def test_while_a_correction_is_saved_its_case_is_neither_deleted_nor_segmented_again(
    served, case, place
):
    drawn, path = scene_voxels(served, case), f"{served.address}/api/cases/{case}/series"

    def segment(series):
        return served.session.post(path, json={"series": series}, timeout=60)

    chosen, end = served.state(case)["chosen"], time.monotonic() + 60
    with ThreadPoolExecutor() as pool, FileLock(place / ".lock"):
        saving = pool.submit(save, served, case, drawn)
        while segment({}).status_code == 400 and time.monotonic() < end:  # it is being sent
            time.sleep(0.05)
        answer = delete(served, case)
        assert answer.status_code == 409, answer.text
        assert "is being saved" in answer.json()["message"]
        assert segment(chosen).status_code == 409
    assert saving.result().json()["version"] == 1
    assert delete(served, case).status_code == 200


def delete(served: Served, case: str):
    return served.session.delete(f"{served.address}/api/cases/{case}", timeout=60)


def values_of(served: Served, store: Path, case: str, place: Path) -> dict:
    """What the server gives to the process that saves."""
    folder, state = store / "cases" / case, served.state(case)
    (folder / "drawn").write_bytes(scene_voxels(served, case).tobytes("F"))
    facts = {"drawn": "drawn", "place": str(place), "reader": READER, "seconds": None}
    known = {name: state[name] for name in ("case", "kind", "chosen", "native", "patient")}
    about = {"folder": str(folder), "model": str(MODEL), "prediction": seen(served, case)}
    return facts | known | about


def test_a_correction_whose_case_is_gone_meanwhile_is_told_of_as_stored(
    served, case, store, tmp_path
):
    def report(step, share):
        if step == "Saving the correction":
            shutil.rmtree(store / "cases" / case / "result")

    values = values_of(served, store, case, tmp_path)
    about = correct(values, report)
    assert about["unshown"].startswith(f"The correction is stored for training as {values['case']}")
    assert "was deleted meanwhile" in about["unshown"]
    assert [one.case for one in corrections(tmp_path)] == [values["case"]]


def test_labels_that_replaced_the_corrected_ones_meanwhile_do_not_get_the_correction(
    served, case, store, tmp_path
):
    result = store / "cases" / case / "result"

    def report(step, share):
        if step == "Saving the correction":
            (result / "scene/prediction.nii.gz").write_bytes(gzip.compress(b"other labels"))

    scene = (result / "scene/scene.json").read_bytes()
    about = correct(values_of(served, store, case, tmp_path), report)
    assert "was segmented again meanwhile" in about["unshown"]
    assert len(corrections(tmp_path)) == 1
    assert not (result / "correction").exists()
    assert (result / "scene/scene.json").read_bytes() == scene


def test_the_same_files_dropped_again_are_known_as_corrected(served, place, tmp_path_factory):
    source = write_case(tmp_path_factory.mktemp("source"), "BraTS2021_00700", seed=700)
    body = packed([path for path in source.iterdir() if "seg" not in path.name], source.parent)
    first, second = (served.upload(body) for _ in range(2))
    for case in (first, second):
        assert served.wait(case)["status"] == "done"
    stored = save(served, first, scene_voxels(served, first), reader="Ada").json()
    listed = {one["id"]: one for one in served.ask("GET", "/api/cases").json()}
    assert "worth" not in listed[second]
    assert listed[second]["corrected_before"]
    assert second not in [one["id"] for one in served.ask("GET", "/api/worklist").json()]
    earlier = served.ask("GET", f"/api/cases/{second}/correction").json()["earlier"]
    assert (earlier["case"], earlier["of"]) == (stored["case"], "the same files")
    about = save(served, second, scene_voxels(served, second), reader="Bo").json()
    assert (about["case"], about["version"]) == (stored["case"], 2)
    assert served.state(second)["case"] not in [one.case for one in corrections(place)]


def test_a_correction_of_wrong_series_is_replaced_by_that_of_the_right_ones(served, case, place):
    right = served.state(case)["chosen"]
    segment_again(served, case, right | {"t1n": right["t2f"], "t2f": right["t1n"]})
    wrong = save(served, case, scene_voxels(served, case)).json()
    segment_again(served, case, right)
    earlier = served.ask("GET", f"/api/cases/{case}/correction").json()["earlier"]
    assert (earlier["of"], earlier["other_series"]) == ("this case", True)
    about = save(served, case, scene_voxels(served, case)).json()
    assert (about["case"], about["version"], about["other_images"]) == (wrong["case"], 2, True)
    made = record.read(place / about["case"] / record.NAME)
    kept, present = made.earlier[0].images, made.images
    swapped = nifti.read(place / about["case"] / kept["t1n"]).voxels
    assert np.array_equal(swapped, nifti.read(place / about["case"] / present["t2f"].file).voxels)


def test_a_damaged_record_is_named_and_stops_no_other_case(served, case, place, tmp_path_factory):
    save(served, case, scene_voxels(served, case))
    damaged = place / served.state(case)["case"] / record.NAME
    whole = damaged.read_bytes()
    source = write_case(tmp_path_factory.mktemp("source"), "BraTS2021_00800", seed=800)
    other = served.upload(packed(list(source.glob("*_[tf]*")), source.parent))
    assert served.wait(other)["status"] == "done"
    damaged.write_bytes(whole[:100])
    try:
        assert save(served, other, scene_voxels(served, other)).status_code == 201
        answer = save(served, case, scene_voxels(served, case))
        page = served.ask("GET", "/projects").text
        served.ask("GET", f"/api/cases/{case}/correction")
        served.ask("GET", "/api/cases")
    finally:
        damaged.write_bytes(whole)
    named = f"{served.state(case)['case']}/correction.json"
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(named)
    assert named in page


def test_a_patient_is_known_by_published_names_alone(served, place, tmp_path):
    """A folder may be called as a person is."""
    patients = []
    for name, query in (
        ("BraTS-GLI-00005-101", {}),
        ("Roe_Jane", {}),
        ("Doe_John", {"patient": "study-17"}),
    ):
        source = write_case(tmp_path, "BraTS2021_00001", seed=len(patients) + 900)
        folder = tmp_path / str(len(patients)) / name
        folder.mkdir(parents=True)
        for kind in ("t1", "t1ce", "t2", "flair"):
            (source / f"BraTS2021_00001_{kind}.nii.gz").rename(folder / f"{kind}.nii.gz")
        case = served.upload(packed(folder.iterdir(), folder.parent), name)
        assert served.wait(case)["status"] == "done"
        asks = served.ask("GET", f"/api/cases/{case}/correction").json()["asks_patient"]
        about = save(served, case, scene_voxels(served, case), **query).json()
        text = (place / about["case"] / record.NAME).read_text(encoding="utf-8")
        assert "Roe" not in text
        assert "Doe" not in text
        patients.append((asks, record.read(place / about["case"] / record.NAME).patient))
        shutil.rmtree(source)
    unknown = patients.pop(1)
    assert unknown[0]
    assert unknown[1].startswith("case-")
    assert patients == [(False, "BraTS-GLI-00005"), (True, "study-17")]
    assert save(served, case, b"", patient="Jane Roe").status_code == 422


def test_the_archive_of_all_files_has_the_correction(served, case):
    def names():
        content = served.ask("GET", f"/api/cases/{case}/files/all.zip").content
        return [name for name in ZipFile(io.BytesIO(content)).namelist() if "corrected" in name]

    assert not names()
    pseudonym = save(served, case, scene_voxels(served, case)).json()["case"]
    assert names() == [
        f"corrected/{pseudonym}.corrected.{name}" for name in ("labels.nii.gz", "correction.json")
    ]


def cut(drawn):
    return drawn.tobytes("F")[:-1]


def longer(drawn):
    return drawn.tobytes("F") + b"\0"


def foreign(drawn):
    return np.full_like(drawn, 4)


@pytest.mark.parametrize(
    ("body", "query", "said"),
    [
        (cut, {}, "voxels, but the correction has"),
        (longer, {}, "has more"),
        (lambda drawn: b"", {}, "has 0"),
        (foreign, {}, "has the class 4"),
        (np.copy, {"reader": "  "}, "reader: expected a name"),
        (np.copy, {"reader": "=cmd()"}, "reader: expected a name"),
        (np.copy, {"reader": "a" * 81}, ""),
        (np.copy, {"seconds": -1}, ""),
    ],
)
def test_what_is_no_correction_is_refused_and_nothing_changes(
    served, case, place, body, query, said
):
    before = len(corrections(place))
    answer = save(served, case, body(scene_voxels(served, case)), **query)
    assert 400 <= answer.status_code < 500
    assert said in answer.json().get("message", "")
    assert len(corrections(place)) == before
    assert served.ask("GET", f"/api/cases/{case}/correction").json() == NOTHING


def test_a_correction_without_the_token_or_of_no_case_is_refused(served, case):
    drawn = scene_voxels(served, case)
    path = f"{served.address}/api/cases/{case}/corrections?reader=Ada"
    answer = served.session.post(path, data=drawn.tobytes(), headers={"X-TumorFlow-Token": ""})
    assert answer.status_code == 403
    assert save(served, "a" * 22, drawn, prediction=0).status_code in (400, 404)
    for name in ("about.json", "..%2fabout.json", "x"):
        path = f"{served.address}/api/cases/{case}/correction/{name}"
        assert served.session.get(path).status_code in (400, 404)


def test_the_worklist_has_what_is_done_and_not_corrected_with_a_reason(served, case):
    listed = served.ask("GET", "/api/worklist").json()
    mine = next(one for one in listed if one["id"] == case)
    assert mine["label"] == "MÜLLER^Hans"
    assert mine["reason"].endswith(".")
    assert mine["case"].startswith("case-")
    save(served, case, scene_voxels(served, case))
    assert case not in [one["id"] for one in served.ask("GET", "/api/worklist").json()]


def test_a_corrected_study_is_offered_as_dicom_that_says_a_person_took_part(
    served, tmp_path, place
):
    study = write_study(tmp_path / "study")
    files = [path for path in study.rglob("*") if path.is_file()]
    case = served.upload(packed(files, tmp_path), "study")
    state = served.wait(case)
    assert state["status"] == "done", state["message"]
    drawn = scene_voxels(served, case)
    drawn[4:8, 4:8, 4:8] = 2
    about = save(served, case, drawn, reader="Ada").json()
    made = record.read(place / about["case"] / record.NAME)
    assert made.patient == state["patient"]
    path = tmp_path / "corrected.dcm"
    path.write_bytes(served.ask("GET", f"/api/cases/{case}/correction/seg.dcm").content)
    found = pydicom.dcmread(path)
    assert {one.SegmentAlgorithmType for one in found.SegmentSequence} == {"SEMIAUTOMATIC"}
    marked = found.pixel_array.reshape(len(found.SegmentSequence), -1).any(axis=0).sum()
    assert marked == (drawn > 0).sum()
    stored = (place / about["case"] / record.NAME).read_text(encoding="utf-8")
    assert not [word for word in IDENTITIES if word in json.dumps(about) + stored]


def test_why_a_correction_is_not_offered_as_dicom_is_said(served, tmp_path):
    study = write_study(tmp_path / "study")
    files = [path for path in study.rglob("*") if path.is_file()]
    for path in files:
        dataset = pydicom.dcmread(path)
        del dataset.FrameOfReferenceUID
        dataset.save_as(path)
    case = served.upload(packed(files, tmp_path), "study")
    assert served.wait(case)["status"] == "done"
    about = save(served, case, scene_voxels(served, case)).json()
    assert [one["name"] for one in about["files"]] == ["labels.nii.gz", "correction.json"]
    assert "FrameOfReferenceUID" in about["refused"]
    assert not [one for one in ("/", "nifti alone") if one in about["refused"]]
