"""A study in a watched folder is segmented once, when it has stopped growing, whatever happens."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest
from filelock import FileLock

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.exchange.segmenter import Segmenter
from pipeline.exchange.server import Server
from pipeline.exchange.watching import Watch, folder_name, signature
from tests.conftest import write_case
from tests.exchange import faulty, studies

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/network/format_1"


@pytest.fixture(scope="module")
def model():
    return api.load(MODEL)


@pytest.fixture(scope="module")
def dicom(tmp_path_factory) -> Path:
    return studies.write_study(tmp_path_factory.mktemp("dicom") / "study")


@pytest.fixture
def inbox(tmp_path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def watch(model, inbox, tmp_path) -> Watch:
    return made(model, inbox, tmp_path / "out")


def made(model, inbox, out, server=None, formats=("nifti",)) -> Watch:
    segmenter = Segmenter(model, out, False, (), api.Extras(formats=formats))
    return Watch(inbox, segmenter, quiet_s=0.05, poll_s=0.02, server=server)


def once(watch: Watch, **options) -> bool:
    return watch.run(threading.Event(), once=True, **options)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.glob("[!.]*")
        if path.is_file() and path.name != "watch.json"
    }


def repeatable(written: dict[str, tuple[int, bytes]]) -> dict[str, object]:
    """Content of labels and manifests, without what differs between runs."""
    labels = {name: data for name, (_, data) in written.items() if name.endswith(".gz")}
    records = {name: data for name, (_, data) in written.items() if name.endswith(".json")}
    return labels | {name: json.loads(data) | {"run": None} for name, data in records.items()}


def state(watch: Watch) -> dict[str, dict]:
    return json.loads((watch.out / "watch.json").read_text())["studies"]


def test_a_study_is_segmented_once_as_by_predict(watch, model, inbox, dicom, tmp_path):
    shutil.copytree(dicom, inbox / "Roe_Jane")
    write_case(inbox, "BraTS2021_00001")
    assert once(watch)
    written = files(watch.out)
    list(model.segment_many([*inbox.glob("[!.]*")], tmp_path / "alone"))
    assert repeatable(written) == repeatable(files(tmp_path / "alone"))
    assert once(watch)
    assert files(watch.out) == written
    (case,) = state(watch)[folder_name("BraTS2021_00001")]["cases"]
    assert case == "BraTS2021_00001"


def test_a_study_that_grows_waits_until_it_is_quiet(watch, inbox, dicom):
    target = inbox / "study"
    stop, missing = threading.Event(), sorted(dicom.rglob("*.dcm"))
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    try:
        for path in missing:
            place = target / path.relative_to(dicom)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
            assert not (watch.out / "watch.json").exists()
            time.sleep(0.005)
        for _ in range(600):
            if (watch.out / "watch.json").exists():
                break
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
    assert state(watch)[folder_name("study")]["state"] == "done"


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "more.txt").write_text("x"),
        lambda folder: (folder / ".rsync.partial").write_text("x"),
        lambda folder: os.utime(folder / "t1/000.dcm", (0, 0)),
        lambda folder: (folder / "t1/000.dcm").rename(folder / "t1/900.dcm"),
        lambda folder: (folder / "t1/000.dcm").unlink(),
        lambda folder: (folder / "t1/000.dcm").write_bytes(b"x"),
    ],
    ids=["a file", "a hidden file", "a time", "a name", "a file less", "a size"],
)
def test_every_change_of_a_study_is_seen(dicom, tmp_path, change):
    folder = shutil.copytree(dicom, tmp_path / "study")
    before = signature(folder)
    assert before == signature(folder) != ""
    change(folder)
    assert signature(folder) != before


def test_a_folder_without_files_or_that_is_gone_is_no_study(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    assert signature(tmp_path / "a") == signature(tmp_path / "gone") == ""


def test_a_study_that_fails_is_named_and_not_tried_again_until_it_changes(
    watch, inbox, dicom, caplog
):
    folder = shutil.copytree(dicom, inbox / "Roe_Jane")
    shutil.move(folder / "t2", inbox.parent / "t2")
    assert not once(watch)
    (one,) = state(watch).values()
    assert (one["state"], one["cases"]) == ("failed", [])
    assert "t2w" in one["reasons"][0]
    caplog.clear()
    assert once(watch)
    assert not caplog.records
    shutil.move(inbox.parent / "t2", folder / "t2")
    assert once(watch)
    assert [each["state"] for each in state(watch).values()] == ["done"]


def test_failed_studies_are_tried_again_on_demand(watch, inbox, dicom, model):
    shutil.copytree(dicom, inbox / "study")
    shutil.rmtree(inbox / "study/t2")
    assert not once(watch)
    assert not once(watch, retry_failed=True)


def test_no_name_of_a_folder_is_in_log_or_results(watch, inbox, dicom, caplog):
    caplog.set_level(logging.DEBUG)
    shutil.copytree(dicom, inbox / "Roe_Jane")
    folder = inbox / "Roe_Janet/Janet^Roe"
    shutil.copytree(dicom, folder)
    (folder / "t1/000.dcm").write_bytes(b"damaged")
    once(watch)
    produced = caplog.text + "".join(map(repr, files(watch.out).values())) + repr(state(watch))
    assert folder_name("Roe_Janet") in produced
    assert not [name for name in ("Roe", "Jane", "MRN4711") if name in produced]
    assert {name: one and one.state for name, one in watch.status().items()} == {
        "Roe_Jane": "done",
        "Roe_Janet": "failed",
    }


def test_a_study_in_two_folders_is_not_segmented_twice(watch, inbox, dicom):
    shutil.copytree(dicom, inbox / "a")
    assert once(watch)
    shutil.copytree(dicom, inbox / "b")
    assert not once(watch)
    assert f"is also in {folder_name('a')}" in state(watch)[folder_name("b")]["reasons"][0]
    shutil.rmtree(inbox / "a")
    assert once(watch, retry_failed=True)


def test_a_second_watcher_and_a_wrong_place_are_rejected(watch, model, inbox, tmp_path):
    watch.out.mkdir()
    for place in (inbox / ".tumorflow-watch.lock", watch.out / ".watch.lock"):
        with FileLock(place), pytest.raises(InputError, match="another `watch` works in"):
            once(watch)
    with pytest.raises(InputError, match="lies in the folder of cases"):
        once(made(model, inbox, inbox / "out"))
    with pytest.raises(InputError, match="gone: is not a folder"):
        once(made(model, tmp_path / "gone", watch.out))


def test_a_damaged_state_is_rejected_with_what_to_do(watch):
    watch.out.mkdir()
    (watch.out / "watch.json").write_text("{")
    with pytest.raises(InputError, match=r"watch\.json: is damaged\. Remove it"):
        once(watch)


def test_results_are_stored_and_what_a_server_does_not_take_is_sent_later(
    model, inbox, dicom, tmp_path
):
    shutil.copytree(dicom, inbox / "study")
    with faulty.serving() as running:
        out = tmp_path / "out"
        server = Server(running.url, waits_s=(0.01,), stall_s=2)

        def started_again() -> Watch:
            return made(model, inbox, out, server, ("nifti", "seg"))

        running.faults["stow"] = ["500", "500", "401"]
        watch = started_again()
        assert not once(watch)
        assert [one["state"] for one in state(watch).values()] == ["done"]
        assert once(watch)  # a while has not passed
        assert running.count("stow") == 2
        assert not once(started_again())
        assert running.stored == []
        assert once(started_again())
        (result,) = out.glob("*.seg.dcm")
        assert running.stored == [pydicom.dcmread(result).SOPInstanceUID]
        assert once(started_again())
        assert running.count("stow") == 4


COMMAND = [sys.executable, "-m", "pipeline", "watch", "--model", MODEL]


@pytest.mark.slow
def test_a_watcher_that_is_killed_at_any_moment_loses_nothing_and_ends_cleanly(
    inbox, tmp_path, model
):
    for number in range(2):
        write_case(inbox, f"BraTS2021_0000{number}", seed=number)
    out, log = tmp_path / "out", tmp_path / "log"
    words = [inbox, "--out", out, "--quiet-seconds", "0.2", "--poll-seconds", "0.1"]

    def started() -> subprocess.Popen:
        with log.open("ab") as file:
            return subprocess.Popen([*COMMAND, *words], cwd=ROOT, stderr=file)

    def until(condition) -> None:
        for _ in range(1200):
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(log.read_text())

    process = started()
    until(lambda: [*out.glob("*.nii.gz.json")])
    process.kill()
    process.wait()
    before = files(out)
    write_case(inbox, "BraTS2021_00002", seed=2)  # so that the second has one to do in any case
    process = started()
    until(lambda: (out / "watch.json").exists() and len(state_of(out)) == 3)
    process.terminate()
    assert process.wait(60) == 0, log.read_text()
    after = files(out)
    assert len([name for name in after if name.endswith(".json")]) == 3
    complete = [name.removesuffix(".json") for name in before if name.endswith(".json")]
    assert complete
    for name in complete:
        assert after[name] == before[name]
    assert {one["state"] for one in state_of(out).values()} == {"done"}
    assert not [path for path in out.iterdir() if path.name.startswith(".partial")]


def state_of(out: Path) -> dict[str, dict]:
    return json.loads((out / "watch.json").read_text())["studies"]
