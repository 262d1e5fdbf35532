"""Results arrive once, whatever goes wrong, and stay on disk until they have arrived."""

import json

import pydicom
import pytest

from pipeline.core.errors import InputError
from pipeline.exchange.outbox import Outbox
from pipeline.exchange.server import Server
from tests.exchange.faulty import STALL_S, serving
from tests.exchange.studies import write_segmentation, write_study


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    write_segmentation(folder / "a.seg.dcm", write_study(folder / "study"))
    return folder / "a.seg.dcm"


@pytest.fixture
def faulty():
    with serving() as running:
        yield running


@pytest.fixture
def outbox(tmp_path, faulty, result) -> Outbox:
    made = Outbox(tmp_path / "outbox")
    made.add([result], faulty.url)
    return made


def client(faulty, waits_s=(0.01, 0.01)) -> Server:
    return Server(faulty.url, waits_s=waits_s, stall_s=STALL_S)


def states(outbox, faulty, **options) -> list[str]:
    return [one.state for one in outbox.send(client(faulty, **options))]


def is_empty(outbox) -> bool:
    return not [path for path in outbox.folder.iterdir() if path.name != ".lock"]


def test_a_result_is_stored_and_leaves_the_outbox(outbox, faulty, result):
    assert states(outbox, faulty) == ["stored"]
    uid = pydicom.dcmread(result).SOPInstanceUID
    assert faulty.stored == [uid]
    assert pydicom.dcmread(result) == pydicom.dcmread(result.parent / "a.seg.dcm")
    assert is_empty(outbox)


def test_a_result_that_is_there_is_not_stored_twice(outbox, faulty, result):
    states(outbox, faulty)
    outbox.add([result], faulty.url)
    assert states(outbox, faulty) == ["there"]
    assert (len(faulty.stored), faulty.count("stow")) == (1, 1)


@pytest.mark.parametrize(
    ("faults", "requests"),
    [
        (["500"], 2),
        (["503", "500"], 3),
        (["429"], 2),
        (["stall without storing"], 2),
        (["stored 500"], 1),
        (["500", "stored 503"], 2),
        (["lost"], 1),
        (["stall"], 1),
        (["cut"], 1),
        (["cut without length"], 1),
        (["nothing"], 1),
        (["html"], 1),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_after_a_fault_a_result_is_sent_again_only_if_it_did_not_arrive(
    outbox, faulty, faults, requests
):
    faulty.faults["stow"] = faults
    assert states(outbox, faulty) == ["stored"]
    assert (len(faulty.stored), faulty.count("stow")) == (1, requests)
    assert is_empty(outbox)


@pytest.mark.parametrize("fault", ["500", "stall without storing"])
def test_a_result_that_cannot_be_stored_stays_and_is_sent_by_the_next_call(outbox, faulty, fault):
    faulty.faults["stow"] = [fault] * 3
    (one,) = outbox.send(client(faulty))
    assert (one.state, faulty.stored) == ("unclear", [])
    note = json.loads((outbox.folder / f"{one.uid}.json").read_text())
    assert (note["state"], note["server"]) == ("unclear", faulty.url)
    assert note["reason"] == one.reason != ""
    assert outbox.waiting() == {faulty.url: 1}
    assert states(outbox, faulty) == ["stored"]
    assert len(faulty.stored) == 1


def test_a_server_that_asks_for_a_long_pause_is_not_waited_for(outbox, faulty):
    faulty.faults["stow"] = ["busy"]
    assert states(outbox, faulty) == ["unclear"]
    assert faulty.count("stow") == 1
    assert states(outbox, faulty) == ["stored"]


def test_nothing_is_sent_where_the_server_cannot_say_whether_it_arrived(outbox, faulty):
    faulty.faults["stow"] = ["lost"]
    faulty.faults["has"] = ["", "500", "500", "500"]
    assert states(outbox, faulty) == ["unclear"]
    assert len(faulty.stored) == faulty.count("stow") == 1
    assert states(outbox, faulty) == ["there"]
    assert len(faulty.stored) == faulty.count("stow") == 1


@pytest.mark.parametrize("fault", ["refuse", "refuse 409", "413"])
def test_a_refusal_names_the_instance_and_the_reason_and_is_not_repeated(outbox, faulty, fault):
    faulty.faults["stow"] = [fault]
    (one,) = outbox.send(client(faulty))
    assert one.state == "rejected"
    assert f"does not store instance {one.uid}: " in one.reason
    assert ("413 " if fault == "413" else "SOP class not supported") in one.reason
    assert faulty.count("stow") == 1
    assert not is_empty(outbox)


def test_wrong_credentials_keep_the_result(outbox, faulty):
    faulty.faults["stow"] = ["401"]
    with pytest.raises(InputError, match="answers 401 Unauthorized"):
        outbox.send(client(faulty))
    assert states(outbox, faulty) == ["stored"]


def test_a_server_that_is_not_there_keeps_the_result(outbox, faulty):
    assert outbox.send(Server("http://127.0.0.1:1", waits_s=())) == []
    gone = Outbox(outbox.folder)
    gone.add([next(outbox.folder.glob("*.dcm"))], "http://127.0.0.1:1")
    (one,) = gone.send(Server("http://127.0.0.1:1", waits_s=()))
    assert one.state == "unclear"
    assert "Connection refused" in one.reason


def test_segmentations_go_before_what_refers_to_them(outbox, faulty, result, tmp_path):
    report = pydicom.dcmread(result)
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    report.Modality = "SR"
    report.save_as(tmp_path / "a.sr.dcm")
    outbox.add([tmp_path / "a.sr.dcm"], faulty.url)
    assert states(outbox, faulty) == ["stored", "stored"]
    assert faulty.stored[1] == "1.2.3"


def test_a_file_that_is_no_dicom_file_is_rejected(outbox, faulty, tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no")
    with pytest.raises(InputError, match=r"a\.dcm: is no DICOM file"):
        outbox.add([tmp_path / "a.dcm"], faulty.url)


def test_a_damaged_note_is_rejected_with_what_to_do(outbox, faulty):
    (note,) = outbox.folder.glob("*.json")
    note.write_text("{")
    with pytest.raises(InputError, match=r"\.json: is damaged\. Remove it and .*\.dcm"):
        outbox.send(client(faulty))


def test_a_rest_of_a_process_that_was_killed_is_no_entry(outbox, faulty):
    (instance,) = outbox.folder.glob("*.dcm")
    instance.unlink()
    (outbox.folder / ".partial-1.2.dcm").write_bytes(b"half")
    assert states(outbox, faulty) == []
    assert outbox.waiting() == {}
