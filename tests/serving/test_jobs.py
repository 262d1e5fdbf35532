"""Whatever process ends, and when: the case says so, nothing half written is offered, and the next
start goes on.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import timedelta

import psutil
import pydicom
import pytest

from pipeline.core.errors import InputError
from pipeline.serving import listing
from pipeline.serving.cases import Cases
from pipeline.serving.jobs import ENVIRONMENT
from pipeline.serving.limits import Limits
from pipeline.serving.refusals import DISK_FULL, Refusal
from pipeline.serving.store import Store
from tests.cohorts.fetching.test_archives import tar
from tests.exchange.studies import write_study
from tests.serving import hostile
from tests.serving.hosted import MODEL
from tests.serving.served import ROOT, free_port

pytestmark = pytest.mark.slow

ENDLESS = b'"(a|a)*$": t1c\n'
"""A pattern that takes longer than the universe lasts for the description of `endless`."""
_TABLES = """
from pipeline.serving.limits import READER_BYTES
from pipeline.serving.worker import bound_memory
bound_memory(READER_BYTES)
import numpy, pandas
pandas.DataFrame({"case": ["a"]}).to_csv()
numpy.ones(2**29, "u1")
"""
"""Code that makes a table, then takes half a gigabyte."""
_PATIENCE_S = 120


@contextmanager
def working(folder, limits: Limits | None = None):
    """The cases of a folder, worked on until the context ends."""
    cases = Cases(Store(folder, timedelta(hours=1)), MODEL, limits)
    cases.start()
    try:
        yield cases
    finally:
        cases.stop()


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A folder with room for some MiB, where the system allows it."""
    disk = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    is_small = not subprocess.run(command, capture_output=True).returncode
    yield disk
    if is_small:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture(scope="module")
def shared(disk):
    with working(disk / "store", Limits(reserve_bytes=0)) as cases:
        yield cases


@pytest.fixture
def cases(shared):
    """The same cases for every test, which starts and ends with none."""
    yield shared
    for state in shared.store.all():
        shared.remove(state.id)


def send(cases: Cases, body: bytes, label: str = "") -> str:
    with cases.receiving(label) as (state, path):
        path.write_bytes(body)
    return state.id


def test_a_table_leaves_the_reader_its_memory():
    made = subprocess.run(
        [sys.executable, "-c", _TABLES],
        cwd=ROOT,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr


def test_a_case_that_is_still_being_sent_is_listed_as_such(cases):
    with cases.receiving("slow") as (state, path):
        listed = listing.listed(cases)
        path.write_bytes(b"no archive")
    assert [(one["id"], one["step"]) for one in listed] == [(state.id, "Uploading")]
    assert cases.progress(state.id)[0] != "Uploading"


def until(cases: Cases, case_id: str, *statuses: str):
    """The state of a case once it has one of some statuses."""
    end = time.monotonic() + _PATIENCE_S
    while (state := cases.get(case_id)).status not in statuses:
        assert time.monotonic() < end, state
        time.sleep(0.01)
    return state


def endless() -> bytes:
    """A study whose reading does not end."""
    long = hostile.study(SeriesDescription="a" * 60 + "!")
    return tar([*long, ("modalities.yaml", ENDLESS)])


def busy(worker) -> int:
    """The process of a worker, once there is one."""
    end = time.monotonic() + _PATIENCE_S
    while worker.pid is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return worker.pid


def results(cases: Cases, case_id: str) -> set[str]:
    return {path.name for path in cases.store.folder_of(case_id).iterdir()}


def test_a_killed_segmenter_marks_its_case_which_can_be_started_again(cases):
    case_id = send(cases, hostile.good())
    until(cases, case_id, "running")
    os.kill(busy(cases.segmenter), signal.SIGKILL)
    state = until(cases, case_id, "interrupted")
    assert "Start it again" in state.message
    assert "result" not in results(cases, case_id)
    cases.choose(case_id, state.chosen, False)
    assert until(cases, case_id, "done", "interrupted").status == "done"
    assert not {".result", "named"} & results(cases, case_id)


def test_a_killed_reader_reads_again_and_then_gives_up(cases):
    case_id = send(cases, endless())
    for attempt in (1, 2):
        while cases.store.get(case_id).attempts < attempt or cases.reader.pid is None:
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(busy(cases.reader), signal.SIGKILL)
    assert "They may be damaged" in until(cases, case_id, "rejected").message


def test_reading_that_does_not_end_is_ended(cases, monkeypatch):
    until(cases, send(cases, hostile.nifti(), "t1c.nii"), "unclear")
    with monkeypatch.context() as patch:
        patch.setattr(cases, "limits", Limits(read_s=3.0, reserve_bytes=0))
        case_id = send(cases, endless())
    after = send(cases, hostile.nifti(), "t1c.nii")
    assert "longer than 3 s" in until(cases, case_id, "rejected").message
    assert until(cases, after, "unclear", "rejected").status == "unclear"


def test_a_deleted_case_is_ended_and_the_others_go_on(cases):
    running, waiting, kept = (send(cases, hostile.good(), label) for label in "abc")
    until(cases, running, "running", "done")
    for case_id in (running, waiting):
        cases.remove(case_id)
        with pytest.raises(Refusal, match="does not exist"):
            cases.get(case_id)
    assert until(cases, kept, "done", "interrupted", "rejected").status == "done"
    left = {path.name for path in (cases.store.folder / "cases").iterdir()}
    assert left == {kept}


def test_a_case_expires_while_it_is_worked_on(cases):
    case_id = send(cases, endless())
    until(cases, case_id, "received")
    busy(cases.reader)
    cases.store.update(case_id, expires="2020-01-01T00:00:00+00:00")
    cases.sweep()
    assert not [*(cases.store.folder / "cases").iterdir()]
    assert until(cases, send(cases, hostile.good()), "done", "rejected").status == "done"


def test_the_next_start_goes_on_in_the_order_of_the_queue(cases, tmp_path):
    """Of a server that was killed while it received, read, queued and ran, and of one stopped."""
    made = send(cases, hostile.good())
    until(cases, made, "done")
    store = Store(tmp_path / "store", timedelta(hours=1))
    ids = {}
    for place, (name, changes) in enumerate(
        {
            "third": {"status": "waiting"},
            "first": {"status": "running", "attempts": 1},
            "second": {"status": "interrupted", "attempts": 1},
            "given up": {"status": "running", "attempts": 2},
            "read": {"status": "received"},
            "read too often": {"status": "received", "attempts": 2},
        }.items()
    ):
        ids[name] = store.new(name).id
        old, new = cases.store.folder_of(made), store.folder_of(ids[name])
        shutil.copytree(old / "upload", new / "upload", dirs_exist_ok=True)
        state = cases.store.get(made)
        queued = f"2026-01-01T00:00:0{(place - 1) % 3}+00:00"
        series = [one.model_dump() for one in state.series]
        same = {"kind": state.kind, "chosen": state.chosen, "series": series, "queued": queued}
        store.update(ids[name], **(same | changes))
        (new / ".result").mkdir()
        (new / ".result/labels.nii.gz").write_bytes(b"half")
    cut = store.new("cut").id
    (store.folder_of(cut) / "upload/.body").write_bytes(b"half")
    (store.folder / "cases" / ("r" * 22)).mkdir()  # of a case without a state
    waited_for = {"first", "second", "third", "read"}
    seen: list[str] = []
    with working(tmp_path / "store") as again:
        assert again.get(ids["given up"]).status == "interrupted"
        assert again.get(ids["read too often"]).status == "rejected"
        assert {path.name for path in (store.folder / "cases").iterdir()} == {*ids.values()}
        end = time.monotonic() + _PATIENCE_S
        while len(seen) < len(waited_for) and time.monotonic() < end:
            for name in waited_for.difference(seen):
                if again.get(ids[name]).status == "done":
                    seen.append(name)
            time.sleep(0.005)
        assert [name for name in seen if name != "read"] == ["first", "second", "third"]
        assert "read" in seen
        assert ".result" not in results(again, ids["first"])
        again.choose(ids["first"], again.get(ids["first"]).chosen, False)
        until(again, ids["first"], "running", "done")
    state = store.get(ids["first"])
    assert (state.status, state.attempts) in (("waiting", 0), ("done", 1))


def test_a_case_whose_end_cannot_be_noted_does_not_run_for_ever(cases, monkeypatch):
    case_id = send(cases, hostile.good())
    until(cases, case_id, "running", "done")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cases.store, "_write", full)
        state = until(cases, case_id, "interrupted", "done")
    if state.status == "interrupted":
        cases.choose(case_id, state.chosen, False)
        assert until(cases, case_id, "done", "interrupted").status == "done"


def test_a_damaged_state_hides_no_other_case(cases):
    good, bad = send(cases, hostile.nifti(), "t1c.nii"), send(cases, hostile.nifti(), "t1c.nii")
    until(cases, good, "unclear")
    until(cases, bad, "unclear")
    (cases.store.folder_of(bad) / "state.json").write_text("{")
    assert [state.id for state in cases.all()] == [good]
    with pytest.raises(Refusal, match="damaged"):
        cases.get(bad)
    cases.sweep()
    cases.remove(bad)


def test_only_series_of_the_case_and_modalities_of_the_network_are_chosen(cases):
    case_id = send(cases, hostile.nifti(), "t1c.nii")
    until(cases, case_id, "unclear")
    for chosen in (
        {},
        {"t1c": "../../state.json"},
        {"../../../evil": "t1c.nii"},
        {"t1c": "t1c.nii", "": "t1c.nii"},
    ):
        with pytest.raises(InputError):
            cases.choose(case_id, chosen, False)
    with pytest.raises(InputError, match="One series is chosen for t1c and t2f"):
        cases.choose(case_id, {"t1c": "t1c.nii", "t2f": "t1c.nii"}, False)
    assert cases.get(case_id).status == "unclear"


def test_series_of_one_name_are_told_apart_by_their_folders(cases):
    files = ("native/t1c.nii", "brats/t1c.nii", "t2f.nii")
    case_id = send(cases, tar([(name, hostile.nifti()) for name in files]))
    titles = {one.key: one.title for one in until(cases, case_id, "unclear").series}
    assert titles == dict(zip(files, (*files[:2], "t2f.nii"), strict=True))


def test_of_several_candidates_the_likeliest_is_proposed_and_a_person_decides(cases):
    derived = [(name.replace("/case", "/DWI_case"), data) for name, data in hostile.images()]
    case_id = send(cases, tar([*derived, *hostile.images()]))
    state = until(cases, case_id, "unclear", "waiting", "running")
    assert state.status == "unclear"
    assert "2 files may be t1c" in state.message
    assert {*state.chosen.values()} == {name for name, _ in hostile.images()}


def test_two_series_of_a_study_that_may_be_one_modality_are_left_to_a_person(cases, tmp_path):
    study = write_study(tmp_path / "study")
    for path in sorted(study.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        if dataset.SeriesNumber == 2:
            dataset.SeriesInstanceUID += "7"
            dataset.SOPInstanceUID += "7"
            dataset.SeriesNumber = 7
            dataset.save_as(path.with_name(f"again-{path.name}"))
    members = [(str(path.relative_to(study)), path.read_bytes()) for path in study.rglob("*.dcm")]
    state = until(cases, send(cases, tar(members)), "unclear", "waiting", "running")
    assert (state.status, len(state.chosen), len(state.series)) == ("unclear", 4, 5)
    assert state.message.startswith("2 series may be t1c.")


def test_a_full_disk_is_said_nothing_is_lost_and_after_making_room_it_goes_on(cases, disk):
    if shutil.disk_usage(disk).total > 2**25:
        pytest.skip("a small file system cannot be mounted here")
    case_id = send(cases, hostile.good())
    state = until(cases, case_id, "done")
    labels = cases.store.folder_of(case_id) / "result/labels.nii.gz"
    before, filler = labels.read_bytes(), disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(filler, filler.stat().st_size - 3 * 4096)  # room for states
    cases.choose(case_id, state.chosen, False)
    assert until(cases, case_id, "failed", "interrupted").message == DISK_FULL
    assert ".result" not in results(cases, case_id)
    assert labels.read_bytes() == before
    filler.unlink()
    cases.choose(case_id, state.chosen, False)
    assert until(cases, case_id, "done", "failed").status == "done"


def serve(store, port: int, *options: str, **process) -> subprocess.Popen:
    command = [sys.executable, "-m", "pipeline", "serve", "--model", str(MODEL)]
    command += ["--store", str(store), "--port", str(port), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes, **process)


def test_a_server_ends_by_sigterm_keeps_others_out_and_takes_its_workers_along(tmp_path):
    port = free_port()
    server = serve(tmp_path / "store", port)
    try:
        assert f"http://127.0.0.1:{port}/" in server.stdout.readline()
        same_store = serve(tmp_path / "store", free_port())
        said, _ = same_store.communicate(timeout=60)
        assert (same_store.returncode, "another server uses this folder" in said) == (1, True)
        same_port = serve(tmp_path / "other", port)
        said, _ = same_port.communicate(timeout=60)
        assert (same_port.returncode, "Is another server running there" in said) == (1, True)
        workers = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(signal.SIGTERM)
        said, _ = server.communicate(timeout=30)
        assert "Traceback" not in said
        assert workers
        assert psutil.wait_procs(workers, timeout=30)[1] == []
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--keep", "0"), "--keep"),
        (("--keep", "nan"), "--keep"),
        (("--most-gb", "-1"), "--most-gb"),
        (("--tls-key", "x"), "belong together"),
        (("--tls-certificate", "LICENSE", "--tls-key", "LICENSE"), "is no certificate"),
        (("--host", "no such host"), "cannot be bound"),
        (("--token-file", "nowhere"), "cannot be read"),
        (("--store", "x", "--corrections", "x/corrected"), "Name folders apart"),
    ],
)
def test_arguments_that_cannot_be_are_refused_in_words(tmp_path, options, said):
    server = serve(tmp_path / "store", free_port(), *options)
    output, _ = server.communicate(timeout=60)
    assert (server.returncode, said in output, "Traceback" in output) == (1, True, False)


def test_a_reader_has_bounded_memory():
    code = (
        "from pipeline.serving.worker import bound_memory, READER_BYTES\n"
        "bound_memory(READER_BYTES)\n"
        "try:\n    bytearray(10 * 2**30)\nexcept MemoryError:\n    print('refused')"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "refused\n"
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_what_is_sent_while_the_network_is_replaced_can_be_started_again(tmp_path):
    model = tmp_path / "models"
    shutil.copytree(MODEL, model)
    cases = Cases(Store(tmp_path / "store", timedelta(hours=1)), model)
    cases.start()
    try:
        done = send(cases, hostile.good())
        assert until(cases, done, "done", "failed").status == "done"
        card = cases.card()
        model.rename(tmp_path / "aside")
        assert cases.card() == card
        sent = send(cases, hostile.good())
        cases.choose(done, cases.get(done).chosen, native=False)
        for case_id in (sent, done):
            state = until(cases, case_id, "interrupted", "rejected", "failed")
            assert state.status == "interrupted"
            assert state.message.startswith("The network is being replaced or is missing")
        (tmp_path / "aside").rename(model)
        for case_id in (sent, done):
            cases.choose(case_id, cases.get(case_id).chosen, native=False)
        assert until(cases, sent, "done", "failed", "rejected", "interrupted").status == "done"
        assert until(cases, done, "done", "failed", "interrupted").status == "done"
    finally:
        cases.stop()
