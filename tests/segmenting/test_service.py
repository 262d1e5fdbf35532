"""A case that a client sends gives the files that `predict` writes; a bad one gives an error that
names no place of the server.
"""

import base64
import io
import json
import logging
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.segmenting import service
from pipeline.segmenting.service import Request, RequestError, Service
from tests.conftest import LPS, case_arrays, write_case
from tests.formats.dicom.test_series import slice_of, write

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "network/format_1"
KINDS = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
DESCRIPTIONS = {"t1n": "AX T1", "t1c": "AX T1 POST GD", "t2w": "AX T2 FSE", "t2f": "T2 FLAIR"}


@pytest.fixture(scope="module")
def model():
    return api.load(MODEL)


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path / "cases", "BraTS2021_00077", seed=77)


@pytest.fixture
def served(model, case):
    """Paths below the folder of the case are allowed."""
    return Service(model, case.parent)


def images_of(case: Path) -> dict[str, bytes]:
    return {name: (case / f"{case.name}_{KINDS[name]}.nii.gz").read_bytes() for name in KINDS}


def as_text(stored: bytes) -> str:
    return base64.b64encode(stored).decode()


def write_dicom(folder: Path) -> Path:
    """The images of `case_arrays` as a study of four series."""
    images, _ = case_arrays(77)
    for place, (name, description) in enumerate(DESCRIPTIONS.items(), 1):
        voxels = images[KINDS[name]]
        for number in range(voxels.shape[2]):
            values = {
                "plane": np.ascontiguousarray(voxels[:, :, number].T),
                "ImagePositionPatient": [0.0, 0.0, float(number)],
                "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                "PixelSpacing": [1.0, 1.0],
                "SpacingBetweenSlices": 1.0,
                "SliceThickness": 1.0,
                "SeriesInstanceUID": f"1.2.826.1.{place}",
                "SeriesDescription": description,
                "SOPInstanceUID": f"1.2.826.0.{place}.{number + 1}",
            }
            write(folder / "Roe_Jane" / name / f"{number}.dcm", slice_of(number, **values))
    return folder


def zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(folder))
    return packed.getvalue()


def test_a_folder_and_its_files_give_the_file_that_predict_writes(model, served, case, tmp_path):
    model.segment(case).save(tmp_path / "by_predict.nii.gz")
    expected = (tmp_path / "by_predict.nii.gz").read_bytes()
    record = json.loads((tmp_path / "by_predict.nii.gz.json").read_bytes())
    of_path = served.answer(Request(case=case.name))
    assert of_path.labels == expected
    assert of_path.record.keys() == record.keys()
    same = ("case", "inputs", "network_sha256", "settings", "volumes_ml", "warnings")
    assert {key: of_path.record[key] for key in same} == {key: record[key] for key in same}
    assert of_path.affine == LPS.tolist()
    of_files = served.answer(Request(images=images_of(case)))
    assert of_files.labels == expected
    assert of_files.record["volumes_ml"] == record["volumes_ml"]
    hashes = {name: file["sha256"] for name, file in of_files.record["inputs"].items()}
    assert hashes == {name: file["sha256"] for name, file in record["inputs"].items()}


def test_a_zip_of_a_dicom_study_gives_the_labels_of_its_folder_and_no_identity(
    model, served, tmp_path
):
    folder = write_dicom(tmp_path / "study")
    expected = model.segment(folder)
    answer = served.answer_json({"study": as_text(zipped(folder))})
    (tmp_path / "answer.nii.gz").write_bytes(base64.b64decode(answer["labels"]))
    labels = nifti.read(tmp_path / "answer.nii.gz")
    assert expected.labels.any()
    assert np.array_equal(labels.voxels, expected.labels)
    assert np.allclose(labels.grid.affine, expected.affine)
    said = json.dumps(answer)
    assert not [word for word in ("Roe", "Jane", "MRN4711", "19610203", "/tmp") if word in said]
    answer["labels"] = ""
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_files_without_compression_are_taken(served, case, tmp_path):
    stored = images_of(case)
    plain = write_case(tmp_path / "plain", case.name, seed=77, suffix=".nii")
    stored["t1c"] = (plain / f"{case.name}_t1ce.nii").read_bytes()
    expected = served.segment(Request(case=str(case))).labels
    assert np.array_equal(served.segment(Request(images=stored)).labels, expected)


ELSEWHERE = ["/etc", "..", "../outside", "link", "x" * 5000, "a\0b", "nowhere", "file.txt"]


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_place_outside_of_the_allowed_folder_is_told_from_no_other(served, place):
    root = served.root
    write_case(root.parent / "outside", "BraTS2021_00001")
    (root / "link").symlink_to(root.parent / "outside")
    (root / "file.txt").write_text("no folder")
    with pytest.raises(RequestError, match=r"^case: is no folder below that of \w+\.$") as fault:
        served.answer(Request(case=place))
    assert fault.value.by_client


def test_a_server_without_an_allowed_folder_reads_none(model, case):
    with pytest.raises(RequestError, match="this server reads no folders"):
        Service(model, None).answer(Request(case=str(case)))


BAD = {
    "nothing": ({}, "expected one of case, images and study, got none"),
    "two": ({"case": "a", "study": "QUFB"}, "got case and study"),
    "no text": ({"study": 3}, "study: is no text"),
    "no base64": ({"study": "ä"}, "study: is not base64"),
    "no object": ({"images": "QUFB"}, "images: is no object"),
    "a modality that leads out": ({"images": {"../t1n": "QUFB"}}, r"\.\./t1n: is no modality"),
    "no NIfTI": ({"images": {n: as_text(b"x" * 400) for n in KINDS}}, r"case\.t1n\.nii: is not a"),
    "too few files": (
        {"images": {"t1n": "QUFB"}},
        "modality t1c, t2w, t2f of case case is missing",
    ),
    "no archive": ({"study": "QUFB"}, r"study\.zip: is no archive"),
    "no DICOM": ({"study": as_text(b"")}, "got none"),
    "a flag": ({"case": "a", "native": "yes"}, "native: is neither"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_the_clients_fault_and_is_explained_without_a_place(served, name):
    fields, message = BAD[name]
    with pytest.raises(RequestError, match=message) as fault:
        served.answer_json(fields)
    assert fault.value.by_client
    assert "/tmp" not in str(fault.value)
    assert str(served.root) not in str(fault.value)


def test_an_archive_that_leads_out_or_is_a_bomb_is_rejected(served, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../evil.dcm", b"x")
    with pytest.raises(RequestError, match="leads out of the folder"):
        served.answer(Request(study=packed.getvalue()))
    monkeypatch.setattr(service, "MOST_UNPACKED", 2**20)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(2**27))
    with pytest.raises(RequestError, match="as bombs do"):
        served.answer(Request(study=packed.getvalue()))


def test_more_than_the_limits_is_rejected_before_it_is_read(served, case, monkeypatch):
    stored = images_of(case)
    monkeypatch.setattr(service, "MOST_VOXELS", 1000)
    with pytest.raises(RequestError, match=r"t1n: has 24 x 22 x 20 voxels, more than 1,000"):
        served.answer(Request(images=stored))
    monkeypatch.setattr(service, "MOST_BYTES", 1000)
    with pytest.raises(RequestError, match=r"images: has [\d,]+ bytes, expected at most 1,000"):
        served.answer(Request(images=stored))
    with pytest.raises(RequestError, match=r"study: has [\d,]+ bytes"):
        served.answer_json({"study": "A" * 4000})


def test_an_error_of_the_program_is_logged_without_its_message(
    served, tmp_path, caplog, monkeypatch
):
    served.require_network()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "Roe_Jane"))
    with caplog.at_level(logging.ERROR), pytest.raises(RequestError, match="NotFound") as fault:
        served.answer(Request(case="."))
    assert not fault.value.by_client
    assert "in answerable" in caplog.text
    assert "Roe" not in caplog.text + str(fault.value)


def test_a_network_that_cannot_be_loaded_is_not_the_clients_fault(case, tmp_path, caplog):
    folder = Path(shutil.copytree(MODEL, tmp_path / "model"))
    model = api.load(folder)
    (folder / "unet.keras").unlink()
    with caplog.at_level(logging.ERROR), pytest.raises(RequestError, match="network") as fault:
        Service(model, case.parent).answer(Request(case=case.name))
    assert not fault.value.by_client
    assert str(folder) in caplog.text
    assert str(folder) not in str(fault.value)


def test_in_this_process_an_error_is_an_input_error(served):
    with pytest.raises(InputError, match="got none"):
        served.segment(Request())
