"""The log of the server says what was done to which id, and nothing of a patient."""

import subprocess

import pytest

from tests.cohorts.fetching.test_archives import tar
from tests.serving import hostile
from tests.serving.hosted import MODEL
from tests.serving.served import serving

pytestmark = pytest.mark.slow

IDENTITY = ("Roe", "Jane", "MRN4711", "19610203", "GLIOMA", "secret", "AX T1")


def of_jane(name: str, **values: object) -> bytes:
    said = {"PatientName": "Roe^Jane", "SeriesDescription": "AX T1 GLIOMA"} | values
    return tar([(f"Jane_Roe_secret/{name}", file) for name, file in hostile.study(**said)])


def small_study_of_jane() -> bytes:
    """Four series of three slices, too small for the network."""
    said = {"PatientName": "Roe^Jane", "SeriesDescription": "AX T1 GLIOMA"}
    return tar(
        (
            f"Jane_Roe_secret/{series}/{number}.dcm",
            hostile.dicom(
                number,
                SeriesInstanceUID=f"1.2.826.1.{series}",
                SOPInstanceUID=f"1.2.826.2.{series}.{number}",
                **said,
            ),
        )
        for series in range(1, 5)
        for number in range(3)
    )


def test_no_identity_is_in_the_log_whatever_fails(tmp_path):
    log = tmp_path / "log"
    with (
        log.open("w") as file,
        serving(MODEL, tmp_path / "store", stdout=file, stderr=subprocess.STDOUT) as server,
    ):
        seen = {}
        for name, body in {
            "whole": small_study_of_jane(),
            "not MR": of_jane("b", Modality="CT"),
            "odd values": of_jane("c", PixelSpacing=[0, 0], ImagePositionPatient=[1e9, 0, 0]),
            "no rows": of_jane("d", Rows=0),
            "cut": tar([("Jane_Roe_secret.dcm", hostile.dicom()[:-300])]),
            "foreign": tar([("Jane_Roe_secret.dcm", hostile.foreign_syntax())]),
            "damaged": tar([("Jane_Roe_secret_t1c.nii.gz", hostile.packed(b"x" * 900))]),
            "archive": tar([("../Jane_Roe_secret", b"x")]),
            "good": tar((f"Jane_Roe_secret/{name}", file) for name, file in hostile.images()),
        }.items():
            case_id = server.upload(body, "Jane Roe secret")
            state = server.wait(case_id)
            seen[name] = state["status"]
            if name == "whole":
                keys = (one["key"] for one in state["series"])
                chosen = {"series": dict(zip(("t1n", "t1c", "t2w", "t2f"), keys, strict=True))}
                server.ask("POST", f"/api/cases/{case_id}/series", json=chosen)
                assert server.wait(case_id)["status"] == "failed"
            server.session.get(
                f"{server.address}/api/cases/{case_id}/files/Jane_Roe_secret", timeout=20
            )
        assert case_id in log.read_text()
        last = case_id
    said = log.read_text()
    assert seen["good"] == "done"
    assert seen["not MR"] == seen["archive"] == "rejected"
    assert not [word for word in IDENTITY if word.lower() in said.lower()], said
    assert f"{last}: segment" in said
