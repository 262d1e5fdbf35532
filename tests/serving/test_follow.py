"""Follow-up of cases that were dropped: chosen, registered, side by side, gone with a case."""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.case import Case
from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.core.records import write_json
from pipeline.following.aligning import Aligned, unmoved
from pipeline.following.follow_up import FollowUp
from pipeline.formats import nifti
from pipeline.registration.mutual_information import Sampled, resample
from pipeline.serving import pages
from pipeline.serving.cases import Cases
from pipeline.serving.follow_ups import FollowUps, FollowUpState, Visit
from pipeline.serving.following import follow, write_scenes
from pipeline.serving.limits import Limits
from pipeline.serving.refusals import Refusal
from pipeline.serving.scenes import write_scene
from pipeline.serving.store import Store
from tests.browser import CHROMIUM, Browser
from tests.conftest import write_case
from tests.following.patients import CUBES, inside
from tests.registration.conftest import head, rigid
from tests.serving.served import Served, packed, serving
from tests.serving.test_corrections import READER, save, scene_voxels

MODEL = Path(__file__).parents[1] / "network/format_1"
SCHEMA = brats.schema("_")
MOTION = rigid((6, -5, 8), (5, -4, 6))


def write_visit_scene(folder: Path, motion: np.ndarray, grid: Grid) -> Path:
    """The scene of a head in motion with a ball of tumour."""
    source = head((200.0, 400.0, 600.0, 800.0))
    voxels = resample(Sampled(source.voxels, source.grid), grid, motion, "linear")
    classes = inside([(20.0, 10.0, 5.0, 12.0)], grid, motion).astype(np.uint8)
    case = Case(folder.name, voxels[..., None].astype(np.float32), None, grid)
    write_scene(folder, case, ("t1c",), {"prediction": classes}, SCHEMA, classes * 0.4)
    return folder


def voxels_of(scene: Path, name: str) -> np.ndarray:
    return nifti.read(scene / f"{name}.nii.gz").voxels


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.mark.parametrize("is_native", [False, True])
def test_visits_are_shown_on_the_grid_of_the_baseline_where_its_tumour_is(tmp_path, is_native):
    later_grid = Grid((60, 64, 70), CUBES.affine)
    first = write_visit_scene(tmp_path / "first", np.eye(4), CUBES)
    later = write_visit_scene(tmp_path / "later", MOTION, later_grid)
    back = Aligned(np.linalg.inv(MOTION), 1.0, 1.0, *(1.0,) * 4)
    wrong = unmoved()  # of the scenes of native series, the transform of the images is not one
    followed = FollowUp({}, {}, [unmoved(), wrong if is_native else back], "t1c")
    write_scenes(tmp_path / "made", [first, later], followed, 0, is_native, SCHEMA)
    one, other = (tmp_path / "made" / f"scene-{number}" for number in (1, 2))
    scenes = [json.loads((folder / "scene.json").read_bytes()) for folder in (one, other)]
    assert scenes[0]["shape"] == scenes[1]["shape"]
    masks = [voxels_of(folder, "prediction") > 0 for folder in (one, other)]
    assert dice(*masks) > 0.9
    greys = [voxels_of(folder, "t1c").astype(float).ravel() for folder in (one, other)]
    assert np.corrcoef(*greys)[0, 1] > 0.9
    moved = voxels_of(later, "t1c").max()
    assert abs(int(greys[1].max()) - int(moved)) <= 2  # greys are not windowed twice
    assert voxels_of(other, "uncertainty").max() == 40


@pytest.fixture
def kept(tmp_path):
    """A store with four cases of two patients, the last one not done, and its follow-ups."""
    store = Store(tmp_path / "store", timedelta(hours=1))
    ids = []
    for patient, status in (("p1", "done"), ("p1", "done"), ("p2", "done"), ("", "failed")):
        state = store.new(f"Visit {len(ids) + 1}")
        store.update(state.id, status=status, patient=patient)
        ids.append(state.id)
    cases = Cases(store, MODEL)
    follow_ups = FollowUps(cases)
    yield store, ids, follow_ups
    follow_ups.stop()
    cases.stop()


def visits(*ids: str) -> list[Visit]:
    return [Visit(case=one) for one in ids]


def test_cases_that_cannot_be_visits_of_one_patient_are_refused_with_what_to_do(kept):
    _, (one, two, foreign, failed), follow_ups = kept
    for chosen, baseline, found in (
        ((one,), "", "Choose at least two visits"),
        ((one, one), "", "chosen twice"),
        ((one, failed), "", "Visit 4: is not segmented yet"),
        ((one, foreign), "", "2 patients by their DICOM headers"),
        ((one, two), foreign, "baseline is no visit"),
        ((one, "A" * 22), "", "does not exist"),
        ((one, "../state.json"), "", "does not exist"),
    ):
        with pytest.raises(InputError, match=found):
            follow_ups.new(visits(*chosen), baseline)
    assert follow_ups.all() == []
    assert list(follow_ups.folder.iterdir()) == []


def test_days_of_some_visits_alone_are_refused_unless_headers_may_give_those_of_all(kept):
    store, (one, two, *_), follow_ups = kept
    chosen = [Visit(case=one, day=3), Visit(case=two)]
    with pytest.raises(InputError, match=r"not for Visit 2\. Enter the day of every visit"):
        follow_ups.new(chosen)
    assert follow_ups.all() == []
    for case in (one, two):
        store.update(case, kind="dicom")
    assert follow_ups.new(chosen).visits == tuple(chosen)


def test_past_follow_ups_of_one_visit_list_are_told_apart_by_time_and_baseline(kept):
    _, (one, two, *_), follow_ups = kept
    for number, baseline in enumerate(("", two)):
        follow_ups._write(
            FollowUpState(
                id=f"{number}" * 22,
                created=f"2026-01-0{number + 1}T10:00:00+00:00",
                status="done",
                visits=tuple(visits(one, two)),
                baseline=baseline,
            )
        )
    said = [state["baseline_words"] for state in follow_ups.listed()]
    assert said == ["visit 2, Visit 2", "visit 1, Visit 1"]
    page = pages.render("follow.html.j2", token="", cases=[], follow_ups=follow_ups.listed())
    for day in (1, 2):
        assert f'<time datetime="2026-01-0{day}T10:00:00+00:00">2026-01-0{day} 10:00 UTC' in page


def test_a_follow_up_of_an_earlier_version_is_shown_and_said_to_be_one(kept):
    _, (one, two, *_), follow_ups = kept
    stored = FollowUpState(
        id="F" * 22, created="2026-01-01", status="done", visits=tuple(visits(one, two))
    ).model_dump(mode="json", exclude={"labels"})
    write_json(follow_ups.folder / stored["id"] / "state.json", stored)
    state = follow_ups.get(stored["id"])
    assert follow_ups.changed(state) is None
    shown = follow_ups.described(state)["visits"]
    context = {"token": "", "state": state, "visits": shown, "changed": None}
    parts = {"verdict": "", "rest": "", "scenes": {"Visit 1": "scene.json"}, "shown": (1,)}
    page = pages.render("followed.html.j2", **context, **parts)
    assert "An earlier version made this follow-up" in page


def test_follow_ups_are_refused_when_many_are_kept_or_the_disk_is_full(kept, monkeypatch):
    _, (one, two, *_), follow_ups = kept
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.serving.follow_ups._MOST_KEPT", 0)
        with pytest.raises(Refusal, match="0 follow-ups are kept"):
            follow_ups.new(visits(one, two))
    monkeypatch.setattr(follow_ups._cases, "limits", Limits(reserve_bytes=2**60))
    with pytest.raises(Refusal, match="disk of the server is full"):
        follow_ups.new(visits(one, two))
    assert list(follow_ups.folder.iterdir()) == []


def test_a_follow_up_is_gone_with_the_first_of_its_cases(kept):
    store, (one, two, *_), follow_ups = kept
    state = FollowUpState(
        id="F" * 22, created="2026-01-01", status="done", visits=tuple(visits(one, two))
    )
    folder = follow_ups.folder / state.id
    folder.mkdir()
    (folder / "state.json").write_text(state.model_dump_json())
    assert follow_ups.get(state.id) == state
    follow_ups.sweep()
    assert folder.is_dir()
    assert [one["id"] for one in follow_ups.listed()] == [state.id]
    damaged = store.folder_of(one) / "state.json"
    whole = damaged.read_bytes()
    damaged.write_text("{")
    assert follow_ups.listed() == []
    damaged.write_bytes(whole)
    store.remove(two)
    with pytest.raises(InputError, match="one of its cases was deleted"):
        follow_ups.get(state.id)
    assert follow_ups.all() == []
    follow_ups.sweep()
    assert not folder.exists()


@pytest.mark.slow
def test_visits_are_followed_shown_and_forgotten(tmp_path):
    ids = []
    corrected = ("--corrections", str(tmp_path / "corrected"))
    with serving(MODEL, tmp_path / "store", *corrected) as served:
        for seed in (5, 5):
            folder = write_case(tmp_path / f"visit{len(ids)}", "BraTS2021_00005", seed=seed)
            images = [path for path in folder.iterdir() if "seg" not in path.name]
            ids.append(served.upload(packed(images, folder.parent), "Jane <b>Roe</b>"))
            assert served.wait(ids[-1])["status"] == "done"
        chosen = [{"case": case, "day": day} for case, day in zip(ids, (40, 10), strict=True)]
        body = {"visits": chosen, "baseline": ids[0]}
        follow_id = served.ask("POST", "/api/follow", json=body).json()["id"]
        state = ended(served, follow_id)
        assert [(one["case"], one["day"]) for one in state["visits"]] == [(ids[1], 0), (ids[0], 30)]
        page = served.ask("GET", f"/follow/{follow_id}").text
        assert "2 visits over 30 days; baseline is visit 2" in page
        assert page.count("<main") == 1
        assert "Jane &lt;b&gt;Roe" in page
        assert "<b>Roe" not in page
        for number in (1, 2):
            scene = served.ask("GET", f"/api/follow/{follow_id}/scenes/{number}/scene.json").json()
            address = f"/api/follow/{follow_id}/scenes/{number}/{scene['maps'][0]['url']}"
            raw = served.ask("GET", address).content
            assert len(raw) == 352 + np.prod(scene["shape"])
        for name in ("follow_up.html", "follow_up.csv", "follow_up.json"):
            content = served.ask("GET", f"/api/follow/{follow_id}/files/{name}").content
            assert b"Research use only" in content
            assert b"Roe" not in content
        for path in ("files/state.json", "files/..%2Fstate.json", "scenes/1/..%2F..%2Fstate.json"):
            address = f"{served.address}/api/follow/{follow_id}/{path}"
            assert served.session.get(address, timeout=60).status_code in (400, 404)
        assert "segmented or corrected again since" not in page
        assert_corrections_count(served, body, follow_id)
        assert_a_visit_is_not_replaced(tmp_path, ids)
        served.ask("DELETE", f"/api/cases/{ids[0]}")
        gone = served.session.get(f"{served.address}/api/follow/{follow_id}", timeout=60)
        assert gone.status_code == 404
        assert "one of its cases was deleted" in gone.json()["message"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_cases_of_one_name_are_told_apart_on_a_phone_in_the_time_of_the_reader(tmp_path):
    store = Store(tmp_path / "store", timedelta(hours=1))
    for created in ("2026-01-05T23:30:00+00:00", "2026-01-06T01:10:00+00:00"):
        store.update(store.new("Jane").id, status="done", created=created)
    with serving(MODEL, tmp_path / "store") as served, Browser() as browser:
        page = browser.open("about:blank")
        page.look(390, 844, touch=True)
        page.send("Emulation.setTimezoneOverride", timezoneId="America/New_York")
        page.go(f"{served.address}/follow")
        page.wait_for("!document.querySelector('time').textContent.includes('UTC')")
        said = page.evaluate("document.getElementById('follow').innerText")
        assert "Jan 5, 06:30" in said
        assert "Jan 5, 08:10" in said
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def ended(served: Served, follow_id: str) -> dict[str, Any]:
    """The state of a follow-up once it is done."""
    end = time.monotonic() + 120
    while (state := served.ask("GET", f"/api/follow/{follow_id}").json())["status"] not in (
        "done",
        "failed",
    ):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert state["status"] == "done", state["message"]
    return state


def assert_corrections_count(served: Served, body: dict[str, Any], old: str) -> None:
    """A correction makes a follow-up outdated, and the next one is of the corrected labels."""
    case = body["baseline"]
    drawn = scene_voxels(served, case)
    drawn[...] = 0
    drawn[3:9, 3:9, 3:9] = 3
    assert save(served, case, drawn).status_code == 201
    page = served.ask("GET", f"/follow/{old}").text
    assert "Visit 2 was segmented or corrected again since." in " ".join(page.split())
    assert f"/follow?case={body['visits'][1]['case']}&amp;case={case}" in page
    new = served.ask("POST", "/api/follow", json=body).json()["id"]
    ended(served, new)
    record = served.ask("GET", f"/api/follow/{new}/files/follow_up.json").json()
    assert [visit["checked"] for visit in record["visits"]] == [False, True]
    assert record["visits"][1]["labels"] == f"corrected by {READER}, version 1"
    assert record["kinds"][0]["visits"][1]["total_ml"] == pytest.approx(6**3 / 1000)
    page = served.ask("GET", f"/follow/{new}").text
    assert "segmented or corrected again since" not in page
    assert "a reader has corrected those of visit 2" in page
    scene = f"/api/follow/{new}/scenes/2"
    (shown,) = served.ask("GET", f"{scene}/scene.json").json()["maps"]
    assert (shown["name"], shown["title"]) == ("prediction", "Correction")
    voxels = np.frombuffer(served.ask("GET", f"{scene}/{shown['url']}").content, np.uint8)[352:]
    assert np.array_equal(voxels, drawn.ravel("F"))


def assert_a_visit_is_not_replaced(place: Path, ids: list[str]) -> None:
    """A follow-up does not end well if a visit is segmented again while it is made."""
    store = Store(place / "store", timedelta(hours=1))
    chosen = [
        {name: getattr(store.get(case), name) for name in ("case", "kind", "chosen", "native")}
        | {"folder": str(store.folder_of(case)), "day": day, "is_baseline": not day}
        for day, case in enumerate(ids)
    ]
    record = store.folder_of(ids[1]) / "result/labels.nii.gz.json"

    def report(step: str, share: float) -> None:
        if step.startswith("Drawing"):
            other = json.loads(record.read_bytes()) | {"case": "another"}
            record.write_text(json.dumps(other))

    made = place / "made"
    with pytest.raises(InputError, match="segmented again or corrected meanwhile"):
        follow({"folder": str(made), "model": str(MODEL), "visits": chosen}, report)
    assert not (made / "made").exists()
