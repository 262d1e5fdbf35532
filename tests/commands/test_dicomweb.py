"""The command fetches from a real server, segments, and stores what the server then shows."""

import re
from pathlib import Path

import pydicom
import pytest

from pipeline import __main__ as commands
from pipeline.formats.dicom.header import pseudonym
from tests.exchange import faulty, orthanc
from tests.exchange.studies import STUDY, write_segmentation, write_study

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/network/format_1"
CASE = f"study-{pseudonym('study', STUDY)}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def server(study, tmp_path):
    with orthanc.running(tmp_path / "orthanc") as url:
        orthanc.upload(url, study)
        yield url


def dicomweb(*words: object) -> int | str:
    """Exit status of the command, or its message."""
    with pytest.raises(SystemExit) as ended:
        commands.main(["dicomweb", *map(str, words)])
    return ended.value.code


def shown(url: str) -> dict[str, list[str]]:
    """Modality and UID of the series that are not MR."""
    return {
        series["00080060"]["Value"][0]: series["0020000E"]["Value"]
        for series in orthanc.series_of(url, STUDY)
        if series["00080060"]["Value"] != ["MR"]
    }


def test_orthanc_lists_studies_by_their_attributes(server, capsys):
    assert dicomweb("list", server, "--patient-id", "MRN4711", "--study-date", "20260101-") == 0
    found = capsys.readouterr()
    assert found.out == f"{STUDY}  {CASE}  20260102  MR  4 series, 80 files\n"
    assert "1 study" in found.err
    for other in (["--patient-id", "MRN47"], ["--modality", "CT"], ["--study-date", "20250101"]):
        assert dicomweb("list", server, *other) == 0
        assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_study_in_orthanc_is_fetched_segmented_and_stored_once(
    server, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TUMORFLOW_LOG", "verbose")
    out = tmp_path / "out"
    words = ["segment", server, STUDY, "--out", out, "--model", MODEL, "--formats", "seg,sr"]
    words.append("--store")
    assert dicomweb(*words) == 0
    said = capsys.readouterr()
    measured = r"WT .* ml; quality \w+.*"
    assert re.search(f"{CASE}  done  {measured}  {CASE}.seg.dcm  {CASE}.sr.dcm", said.out)
    result, report = (pydicom.dcmread(out / f"{CASE}.{name}.dcm") for name in ("seg", "sr"))
    assert f"{result.SOPInstanceUID}: stored" in said.out
    stored = {"SEG": [result.SeriesInstanceUID], "SR": [report.SeriesInstanceUID]}
    assert shown(server) == stored
    assert not re.search("Roe|MRN4711", said.out + said.err)
    assert dicomweb(*words) == 0
    said = capsys.readouterr().out
    assert re.search(f"{CASE}  skipped  {measured}  {CASE}.seg.dcm", said)
    assert f"{result.SOPInstanceUID}: was stored before" in said
    assert shown(server) == stored
    assert not [*(out / "outbox").glob("*.dcm")]


def test_files_are_stored_in_orthanc_and_one_that_waits_is_sent_by_the_next_call(
    server, study, tmp_path, capsys
):
    result = write_segmentation(tmp_path / "a.seg.dcm", study)
    out = tmp_path / "out"
    with faulty.serving() as running:
        running.faults["stow"] = ["refuse"]
        assert dicomweb("store", running.url, tmp_path / "a.seg.dcm", "--out", out) == 1
        said = capsys.readouterr().err
        assert f"not stored: {result.SOPInstanceUID}: " in said
        assert f"outbox: 1 not stored yet, for {running.url}" in said
        assert dicomweb("store", running.url, "--out", out) == 0
        assert running.stored == [result.SOPInstanceUID]
        capsys.readouterr()
        assert dicomweb("store", running.url, "--out", out) == 0
        assert "outbox: nothing to send" in capsys.readouterr().err
    assert dicomweb("store", server, tmp_path / "a.seg.dcm", "--out", out) == 0
    assert shown(server) == {"SEG": [result.SeriesInstanceUID]}


def test_orthanc_asks_for_credentials(study, tmp_path, monkeypatch, capsys):
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"me": "secret"}}
    with orthanc.running(tmp_path / "orthanc", **users) as url:
        assert "answers 401 Unauthorized. Set TUMORFLOW_DICOMWEB_USER" in dicomweb("list", url)
        monkeypatch.setenv("TUMORFLOW_DICOMWEB_USER", "me")
        monkeypatch.setenv("TUMORFLOW_DICOMWEB_PASSWORD", "secret")
        assert dicomweb("list", url) == 0
        assert "0 studies" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fetch", "http://127.0.0.1:1"], "fetch needs --out FOLDER"),
        (["fetch", "http://127.0.0.1:1", "--out", "o"], "fetch needs the UIDs of studies"),
        (["list", "http://127.0.0.1:1", "1.2"], "list takes no UIDs and files"),
        (["list", "http://me:secret@127.0.0.1:1"], "holds a user or password"),
        (
            ["segment", "http://127.0.0.1:1", "1.2", "--out", "o", "--formats", "nifti", "--store"],
            "makes no DICOM file that --store could store",
        ),
    ],
)
def test_what_cannot_be_done_is_rejected_before_anything_is_asked(words, said):
    assert said in dicomweb(*words)


def test_a_study_that_cannot_be_fetched_does_not_stop_the_others(study, tmp_path, capsys):
    with faulty.serving() as running:
        running.hold_all(study)
        assert dicomweb("fetch", running.url, "1.2.3", STUDY, "--out", tmp_path) == 1
    said = capsys.readouterr()
    assert "failed: " in said.err
    assert said.out == f"{tmp_path / 'dicom' / CASE}\n"
