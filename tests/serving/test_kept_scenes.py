"""Scenes are made once, are whole or not there, and expire."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.core.records import write_json
from pipeline.serving import app
from pipeline.serving.jobs import Task, Worker
from pipeline.serving.kept_scenes import ABOUT, KeptScenes
from pipeline.serving.project import Project
from pipeline.serving.run_list import RunList
from pipeline.serving.scenes import SCENE
from tests.serving import made_project
from tests.serving.hosted import hosting
from tests.serving.made_project import CASES

KEY = "a" * 32


@pytest.fixture
def scenes(tmp_path):
    return KeptScenes(tmp_path / "scenes", timedelta(hours=1), lambda case: case == "kept")


@pytest.fixture
def reader():
    worker = Worker("reader")
    yield worker
    worker.stop()


def finished(scenes: KeptScenes, key: str = KEY) -> dict:
    end = time.monotonic() + 60
    while (state := scenes.look(key))["status"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
    return state


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_scene_whose_process_ends_is_not_there_and_can_be_made_again(scenes, reader, tmp_path):
    project = made_project.make(tmp_path)
    values = {"folder": str(project), "model": str(project), "case": CASES[0]}
    task = Task("show_held_out", values)
    scenes.make(KEY, reader, task)
    while reader.pid is None:
        time.sleep(0.01)
    reader.end_process()
    state = finished(scenes)
    assert state["status"] == "failed"
    assert "ended" in state["message"]
    assert names(scenes.folder) == []
    with pytest.raises(InputError, match="does not exist"):
        scenes.folder_of(KEY)
    scenes.make(KEY, reader, task)
    assert finished(scenes)["status"] == "done"
    assert names(scenes.folder) == [KEY]
    assert (scenes.folder_of(KEY) / SCENE).is_file()


def test_scenes_expire_or_go_with_their_case_and_nothing_half_made_stays(scenes):
    kept = {"a": (0.5, ""), "b": (0.5, "kept")}
    for name, (hours, owner) in (kept | {"c": (2, ""), "d": (0.5, "deleted")}).items():
        folder, made = scenes.folder / (name * 32), time.time() - hours * 3600
        folder.mkdir()
        write_json(folder / ABOUT, {"owner": owner})
        (folder / SCENE).write_text("{}")
        os.utime(folder / SCENE, (made, made))
    (scenes.folder / f".{'e' * 32}").mkdir()
    with pytest.raises(InputError, match="does not exist"):
        scenes.folder_of("d" * 32)
    scenes.sweep()
    assert names(scenes.folder) == [name * 32 for name in kept]


def test_nothing_stays_of_a_scene_whose_case_is_deleted_while_it_is_made(scenes, reader, tmp_path):
    project = made_project.make(tmp_path)
    values = {"folder": str(project), "model": str(project), "case": CASES[0]}
    scenes.make(KEY, reader, Task("show_held_out", values, case_id="deleted"))
    while reader.pid is None:
        time.sleep(0.01)
    reader.cancel("deleted")
    (scenes.folder / f".{KEY}").mkdir(exist_ok=True)
    scenes.sweep()
    assert names(scenes.folder) == []
    assert scenes.look(KEY)["status"] == "absent"


@pytest.mark.parametrize("key", ["", "..", "../cases", "A" * 32, "a" * 31, f"{'a' * 32}/../x"])
def test_no_other_folder_is_taken_for_a_scene(scenes, key):
    with pytest.raises(InputError, match="does not exist"):
        scenes.folder_of(key)
    assert scenes.look(key)["status"] == "absent"


def test_a_store_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.serving.run_list.LIMIT_S", 0.05)
    runs = RunList(tmp_path, tmp_path)
    try:
        end = time.monotonic() + 30
        while (state := runs.look())["status"] == "running":
            assert time.monotonic() < end
            time.sleep(0.02)
        assert state["status"] == "failed"
        assert "make ui" in state["message"]
    finally:
        runs.stop()


def test_the_preset_whose_values_params_yaml_has_is_marked(tmp_path):
    presets = Project(Path(), tmp_path).presets()
    assert [one.name for one in presets if one.used] == ["phantom"]
    assert all(one.about for one in presets)
    assert not any(one.used for one in Project(tmp_path, tmp_path).presets())


@pytest.mark.slow
def test_cases_expire_after_a_damaged_scene_was_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "_SWEEP_S", 0.1)
    with hosting(tmp_path / "store") as server:
        damaged = server.cases.store.folder / "scenes" / ("a" * 32)
        damaged.mkdir()
        (damaged / "about.json").write_text("{")
        end = time.monotonic() + 20
        while damaged.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert not damaged.exists()
        case = server.cases.store.new("").id
        server.cases.store.update(case, expires="2020-01-01T00:00:00+00:00")
        while server.cases.store.all() and time.monotonic() < end:
            time.sleep(0.05)
        assert server.cases.store.all() == []
