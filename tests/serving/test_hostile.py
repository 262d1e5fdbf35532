"""Every hostile upload is harmless, and what is said of it can be understood."""

import re
import time
from pathlib import Path

import psutil
import pytest

from pipeline.serving.limits import READER_BYTES, Limits
from tests.serving import hostile
from tests.serving.hosted import hosting
from tests.serving.hostile import KINDS

pytestmark = pytest.mark.slow

_PLACE = re.compile(
    r"/(tmp|root|home|work|usr|etc)\b|\b\w+(Error|Exception)\b|\bTraceback\b|<class"
)
_PATIENCE_S = 30


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def server(root):
    limits = Limits(most_unpacked=2**27, reserve_bytes=2**20)
    with hosting(root / "store", limits) as server:
        yield server


def outside(root: Path) -> set[Path]:
    """What lies beside the store and its cases."""
    return {*root.iterdir(), *(root / "store").iterdir(), *Path("/tmp").glob("evil*")}


@pytest.mark.parametrize("name", KINDS)
def test_a_hostile_upload_is_harmless_and_explained(server, root, name):
    kind = KINDS[name]
    before, begun, pid = outside(root), time.monotonic(), server.cases.reader.pid
    answer = server.session.post(
        f"{server.address}/api/cases", params={"name": kind.name}, data=kind.body(), timeout=30
    )
    assert answer.status_code == 201, answer.text
    case_id = answer.json()["id"]
    try:
        state = server.wait(case_id, every_s=0.03)
        page = server.ask("GET", f"/cases/{case_id}").text
    finally:
        server.ask("DELETE", f"/api/cases/{case_id}")
    assert time.monotonic() - begun < _PATIENCE_S
    assert (state["status"], bool(re.search(kind.says, state["message"]))) == (kind.status, True), (
        state["message"]
    )
    said = [state["message"], state["label"]]
    said += [text for series in state["series"] for text in series.values()]
    for text in said[:1] + [one["fault"] for one in state["series"]]:
        assert not _PLACE.search(text), text
        assert len(text) <= 1000
    assert not any(re.search("[\x00-\x1f\u202a-\u202e\u2066-\u2069]", text) for text in said[:2])
    assert hostile.SCRIPT not in page
    assert outside(root) == before
    assert pid in (None, server.cases.reader.pid)
    assert psutil.Process(server.cases.reader.pid).memory_info().rss < READER_BYTES
    assert not [*(root / "store/cases").iterdir()]


def test_the_table_has_the_kinds_that_are_promised():
    assert len(KINDS) >= 40


def test_the_reader_lived_through_all_of_them_and_a_good_case_is_segmented(server):
    state = server.wait(server.upload(hostile.good(), "good"))
    assert state["status"] == "done", state["message"]
