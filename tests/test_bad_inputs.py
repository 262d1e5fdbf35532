"""Every bad input of the table is refused by name, with finding and remedy, or accepted with a
warning; nothing half-written is left.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cohorts.fetching.archives import MARKER
from pipeline.cohorts.fetching.fetch import Remote
from pipeline.cohorts.registry import SOURCES
from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.core.records import read_json
from pipeline.runtime import parallel
from tests import project
from tests.bad_inputs import GOOD, TABLE, ZIP, Row
from tests.cohorts.fetching.serving import Site, serving

REMEDY = re.compile(
    r"\b(Add|Check|Choose|Convert|Correct|Describe|Export|[Ff]etch|[Ff]ix|[Kk]eep|Leave|Let|Look"
    r"|Make|Multiply|Name|Put|[Rr]emove|Rename|Repair|Replace|Resample|Save|Say|[Ss]et|Split"
    r"|State|Take|Unpack|Use|Write|must be|the sources are)\b"
)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, Path]:
    """The good cohorts, written once."""
    folders = {name: tmp_path_factory.mktemp("good") / name for name in GOOD}
    for name, folder in folders.items():
        folder.mkdir()
        GOOD[name].write(folder)
    return folders


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def surroundings(good, site, tmp_path, monkeypatch):
    """No worker processes, fetched files below the test's own folder, and a source that publishes
    an archive.
    """
    stored = (good["served"] / ZIP).read_bytes()
    remote = Remote(site.url(ZIP), ZIP, len(stored), f"sha256:{hashlib.sha256(stored).hexdigest()}")
    monkeypatch.setitem(
        SOURCES, "served", replace(SOURCES["brats"], name="served", remotes=(remote,))
    )
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with parallel.computing(project.ONE_PROCESS):
        yield


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def bring(tmp_path: Path, cohort: str, folder: Path, site: Site, **params) -> list[str]:
    """Run the stage; its warnings."""
    values = {"source": GOOD[cohort].source, "location": GOOD[cohort].location} | params
    values["location"] = values["location"] and str(folder / values["location"])
    site.files = contents(folder) if cohort == "served" else {}
    project.download_cohort(tmp_path, **values)
    return json.loads((tmp_path / "verify.json").read_text())["warnings"]


def left_over(tmp_path: Path, source: Path) -> list[Path]:
    """Hidden files and folders of ours, without locks and the marks of unpacked folders."""
    return [
        path
        for path in tmp_path.rglob(".*")
        if source not in path.parents and path.suffix != ".lock" and path.name != MARKER
    ]


@pytest.mark.parametrize("cohort", GOOD)
def test_cohorts_that_are_not_spoilt_are_accepted(good, site, tmp_path, cohort):
    bring(tmp_path, cohort, good[cohort], site)
    assert len(read_json(tmp_path / "raw/catalogue.json", Catalogue).cases) >= 1
    assert not left_over(tmp_path, good[cohort])


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row.cohort}: {row.name}") for row in TABLE]
)
def test_a_bad_input_is_refused_or_warned_of(good, site, tmp_path, row: Row):
    source, raw = tmp_path / "source", tmp_path / "raw"
    shutil.copytree(good[row.cohort], source)
    spoilt = sorted(source.glob(row.file)) if row.file != "." else [source]
    assert spoilt, row.file
    params = row.change if isinstance(row.change, dict) else {}
    for path in spoilt if callable(row.change) else ():
        row.change(path)
    (raw / "earlier").mkdir(parents=True)
    (raw / "earlier/earlier_t1.nii.gz").write_bytes(b"of an earlier cohort")
    before, standing = contents(source), contents(raw)
    if row.accepted:
        said = "\n".join(bring(tmp_path, row.cohort, source, site, **params))
        assert set(standing).isdisjoint(contents(raw))
    else:
        with pytest.raises(InputError) as refusal:
            bring(tmp_path, row.cohort, source, site, **params)
        said = str(refusal.value)
        assert REMEDY.search(said), said
        assert contents(raw) == standing
        assert not (tmp_path / "verify.json").exists()
        assert not (tmp_path / "thumbnails.png").exists()
    assert re.search(row.said, said, re.DOTALL), said
    assert any(
        name in said for name in ([row.named] if row.named else [path.name for path in spoilt])
    ), said
    assert ".raw-converted" not in said
    assert contents(source) == before
    assert not left_over(tmp_path, source)
    assert not list(tmp_path.rglob("evil*"))
