"""A study is fetched whole or not at all, and no instance twice."""

import pytest

from pipeline.core.errors import InputError
from pipeline.exchange.fetching import fetch_study
from pipeline.exchange.server import Server
from pipeline.formats.dicom.header import pseudonym
from pipeline.formats.dicom.study import studies
from tests.exchange.faulty import STALL_S, serving
from tests.exchange.studies import STUDY, write_study

NAME = f"study-{pseudonym('study', STUDY)}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def faulty(study):
    with serving() as running:
        running.hold_all(study)
        yield running


def fetch(faulty, out, waits_s=(0.01,), **options):
    return fetch_study(Server(faulty.url, waits_s=waits_s, stall_s=STALL_S), STUDY, out, **options)


def contents(folder) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*.dcm"))


def test_a_study_is_fetched_byte_by_byte_under_its_pseudonym(faulty, study, tmp_path):
    folder = fetch(faulty, tmp_path)
    assert folder == tmp_path / NAME
    assert contents(folder) == contents(study)
    (found,) = studies(folder)
    assert len(found.stacks) == 4


def test_what_is_there_is_not_fetched_again(faulty, study, tmp_path):
    folder = fetch(faulty, tmp_path)
    missing = next(folder.rglob("*.7.dcm"))
    missing.unlink()
    before = faulty.count("wado")
    assert fetch(faulty, tmp_path) == folder
    assert faulty.count("wado") == before + 1
    assert contents(folder) == contents(study)
    fetch(faulty, tmp_path)
    assert faulty.count("wado") == before + 1


@pytest.mark.parametrize("fault", ["500", "stall", "cut", "cut without length", "lost"])
def test_a_fetch_that_fails_goes_on_where_it_was_and_shows_no_part_of_a_study(
    faulty, study, tmp_path, fault
):
    faulty.faults["wado"] = [""] * 30 + [fault] * 2
    with pytest.raises(InputError, match=r"What was fetched is kept in .*give the command again"):
        fetch(faulty, tmp_path)
    assert not (tmp_path / NAME).exists()
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert faulty.count("wado") == 32
    assert contents(fetch(faulty, tmp_path)) == contents(study)
    assert faulty.count("wado") == 32 + 50


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("another", "sends another instance than"),
        ("short file", "sends another instance than"),
        ("html", "gives no DICOMweb answer"),
    ],
)
def test_something_else_than_the_instance_is_rejected_and_not_kept(faulty, tmp_path, fault, said):
    faulty.faults["wado"] = ["", fault]
    with pytest.raises(InputError, match=said):
        fetch(faulty, tmp_path)
    assert len(contents(tmp_path)) == 1


def test_a_study_that_is_too_large_is_rejected(faulty, tmp_path):
    with pytest.raises(InputError, match="more than 10,000 bytes"):
        fetch(faulty, tmp_path, most_bytes=10_000)


@pytest.mark.parametrize("uid", ["../../etc", "1.2.3/../..", ""])
def test_a_study_that_is_no_uid_is_rejected_before_anything_is_asked(faulty, tmp_path, uid):
    with pytest.raises(InputError, match="is no StudyInstanceUID"):
        fetch_study(Server(faulty.url), uid, tmp_path)
    assert not faulty.asked


def test_a_study_without_mr_series_is_rejected(faulty, tmp_path):
    with pytest.raises(InputError, match=r"has no MR series \(no series\)"):
        fetch_study(Server(faulty.url), "1.2.3", tmp_path)


def test_files_that_the_server_no_longer_lists_are_reported(faulty, tmp_path, caplog):
    folder = fetch(faulty, tmp_path)
    del faulty.places[next(iter(faulty.files))]
    fetch(faulty, tmp_path)
    assert f"{folder}: holds 1 files that are not in the study on the server" in caplog.text
