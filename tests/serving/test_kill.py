"""A server that is killed at any moment offers nothing half made, and its next start goes on."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from pipeline.correcting.cohort import corrections
from tests.serving import hostile
from tests.serving.hosted import MODEL
from tests.serving.served import Served, serving
from tests.serving.test_corrections import save, scene_voxels

pytestmark = pytest.mark.slow

_PATIENCE_S = 60.0


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def kill(served: Served) -> None:
    """End a server as a power cut does, and see that its processes end by themselves."""
    workers = psutil.Process(served.pid).children(recursive=True)
    os.kill(served.pid, signal.SIGKILL)
    assert workers
    assert psutil.wait_procs(workers, timeout=_PATIENCE_S)[1] == []


def finished(served: Served, case: str) -> dict[str, Any]:
    """The state of a case with all its downloads."""
    assert served.wait(case)["status"] == "done"
    until(lambda: served.state(case)["downloads"]["is_complete"])
    return served.state(case)


def labels(served: Served, case: str) -> bytes:
    return served.ask("GET", f"/api/cases/{case}/files/labels.nii.gz").content


def test_a_server_that_is_killed_while_it_receives_runs_and_prepares_goes_on(tmp_path):
    cases, body = tmp_path / "cases", hostile.good()
    with serving(MODEL, tmp_path) as served:

        def cut() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            until(lambda: [*cases.glob("*/upload/.body")])
            kill(served)
            yield body[len(body) // 2 :]

        with pytest.raises(requests.ConnectionError):
            served.session.post(f"{served.address}/api/cases", data=cut(), timeout=60)
    with serving(MODEL, tmp_path) as served:
        assert served.ask("GET", "/api/cases").json() == []
        assert [*cases.iterdir()] == []
        case = served.upload(body)
        until(lambda: served.state(case)["status"] in ("running", "done"))
        kill(served)
    with serving(MODEL, tmp_path) as served:
        assert served.wait(case, every_s=0.005)["status"] == "done"
        kill(served)  # before the downloads are prepared
    with serving(MODEL, tmp_path) as served:
        state = finished(served, case)
        assert not [one for one in state["downloads"]["lacking"] if "ended" in one["reason"]]
        left = {path.name for path in (cases / case).rglob("*")}
        assert not left & {".result", ".extras", ".body", "body"}
        other = served.upload(body)
        assert served.wait(other)["status"] == "done"
        assert labels(served, case) == labels(served, other)


def test_a_correction_is_stored_whole_or_not_at_all_if_the_server_is_killed(tmp_path):
    store, place = tmp_path / "store", tmp_path / "corrected"
    options = ("--corrections", str(place))
    with serving(MODEL, store, *options) as served:
        case = served.upload(hostile.good())
        finished(served, case)
        drawn = scene_voxels(served, case)

        def send() -> None:
            with pytest.raises(requests.ConnectionError):
                save(served, case, drawn)

        sending = threading.Thread(target=send)
        sending.start()
        until(lambda: (place / ".lock").exists())
        kill(served)
        sending.join(_PATIENCE_S)
    assert [one for one in place.iterdir() if one.is_dir() and one.name[0] != "."] == [
        place / one.case for one in corrections(place)
    ]
    with serving(MODEL, store, *options) as served:
        before = len(corrections(place))
        about = save(served, case, drawn).json()
        assert about["version"] == before + 1
        assert [one.version for one in corrections(place)] == [about["version"]]
        assert served.ask("GET", f"/api/cases/{case}/correction").json() == about
        made: Path = place / about["case"]
        assert made.is_dir()
