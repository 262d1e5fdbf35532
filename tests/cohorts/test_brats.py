"""BraTS folders of 2017 to 2025 are recognised, their tables read, and what is ambiguous is
refused.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.cohorts.brats_patients import patient_of, timepoint_of
from pipeline.core.errors import InputError
from pipeline.core.extensions import NONE
from pipeline.core.params import Cohort
from pipeline.core.regions import classes_to_regions, regions_to_classes, values_to_classes
from pipeline.download import download
from pipeline.formats import nifti
from pipeline.verification import checks
from tests.conftest import AS_IT_IS, LPS, case_arrays, write_case

NAMED = {source.name: source for source in brats.SOURCES}


def renamed(folder, old: str, new: str) -> None:
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace(old, new)))


def write_2023(folder: Path, case: str, seg: np.ndarray | None = None) -> Path:
    written = write_case(folder, case, seg=case_arrays()[1] % 4 if seg is None else seg)
    for old, new in (
        ("_t1ce", "-t1c"),
        ("_t1.", "-t1n."),
        ("_t2", "-t2w"),
        ("_flair", "-t2f"),
        ("_seg", "-seg"),
    ):
        renamed(written, old, new)
    return written


def test_cases_are_found_at_any_depth_and_sorted(tmp_path):
    write_case(tmp_path / "HGG", "Brats18_2013_2_1")
    write_case(tmp_path / "LGG", "Brats18_2013_1_1", suffix=".nii")
    schema, found = brats.find(tmp_path)
    assert [case.case for case in found] == ["Brats18_2013_1_1", "Brats18_2013_2_1"]
    assert schema.labels["enhancing"] == 4
    assert all(set(case.images) == set(schema.modalities) and case.labels for case in found)


def test_names_of_2023_mean_enhancing_3_and_one_patient_with_two_timepoints(tmp_path):
    for timepoint in ("000", "001"):
        write_2023(tmp_path, f"BraTS-GLI-00005-{timepoint}")
    schema, found = brats.find(tmp_path)
    assert schema.labels["enhancing"] == 3
    assert {case.patient for case in found} == {"BraTS-GLI-00005"}
    assert len(found) == 2


def test_the_misnamed_mask_of_case_355_is_found(tmp_path):
    folder = write_case(tmp_path, "BraTS20_Training_355", suffix=".nii")
    (folder / "BraTS20_Training_355_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    _, (found,) = brats.find(tmp_path)
    assert found.case == "BraTS20_Training_355"
    assert found.labels.name == "W39_1998.09.19_Segm.nii"


def test_a_limit_takes_the_first_cases(cohort):
    assert [case.case for case in brats.find(cohort, limit=2)[1]] == [
        "BraTS2021_00000",
        "BraTS2021_00001",
    ]


def test_no_cases_is_an_error_that_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"holds no case in BraTS naming.*cohort\.location"):
        brats.find(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        brats.find(tmp_path / "absent")


def test_one_case_in_two_folders_is_refused(tmp_path):
    write_case(tmp_path / "a", "BraTS2021_00001")
    write_case(tmp_path / "b", "BraTS2021_00001")
    with pytest.raises(InputError, match="is also in"):
        brats.find(tmp_path)


def test_years_are_not_mixed(tmp_path):
    write_case(tmp_path, "BraTS2021_00001")
    renamed(write_case(tmp_path, "BraTS-GLI-00001-000"), "_", "-")
    with pytest.raises(InputError, match="mixes names"):
        brats.find(tmp_path)


def test_a_modality_under_two_names_is_refused(tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00001")
    shutil.copy(folder / "BraTS2021_00001_t1ce.nii.gz", folder / "BraTS2021_00001_t1c.nii.gz")
    with pytest.raises(InputError, match="t1c is also in"):
        brats.find(tmp_path)


def test_two_cases_in_one_folder_are_refused(tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00001")
    other = write_case(tmp_path, "BraTS2021_00002")
    shutil.copy(other / "BraTS2021_00002_t2.nii.gz", folder)
    (folder / "BraTS2021_00001_t2.nii.gz").unlink()
    with pytest.raises(InputError, match="belongs to case BraTS2021_00002"):
        brats.find(tmp_path)


@pytest.mark.parametrize("location", [".", "HGG"])
def test_the_folder_gives_the_grade(tmp_path, location):
    write_case(tmp_path / "HGG", "Brats17_TCIA_105_1")
    write_case(tmp_path / "LGG", "Brats17_TCIA_101_1")
    _, found = brats.find(tmp_path / location)
    assert {case.case: case.attributes["grade"] for case in found}["Brats17_TCIA_105_1"] == "HGG"
    assert len(found) == (1 if location == "HGG" else 2)


def test_a_table_against_the_folder_is_noted(tmp_path):
    write_case(tmp_path / "HGG", "Brats18_2013_2_1")
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2018_subject_ID\nLGG,Brats18_2013_2_1\n"
    )
    _, (found,) = brats.find(tmp_path)
    assert found.attributes["grade"] == "HGG"
    assert "the table gives grade LGG" in found.notes[0]


KINDS = {
    "brats-gli2024": "BraTS-GLI-00005-100",
    "brats-men": "BraTS-MEN-00004-000",
    "brats-met": "BraTS-MET-00001-000",
    "brats-met2025": "BraTS-MET-00001-001",
    "brats-ssa": "BraTS-SSA-00002-000",
    "brats-ped": "BraTS-PED-00001-000",
    "brats-ped2023": "BraTS-PED-00002-000",
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_found_under_its_name_with_its_labels(tmp_path, name):
    (schema,) = NAMED[name].schemas
    values = np.resize([0, *schema.labels.values()], (24, 22, 20)).astype(np.uint8)
    write_2023(tmp_path, KINDS[name], values)
    given, (found,) = NAMED[name].find(tmp_path, 0)
    assert given == schema
    assert found.patient == KINDS[name][:-4]
    assert found.attributes["timepoint"] == KINDS[name][-3:]
    assert checks.verify(found, schema).entry.label_voxels == {
        label: int((values == value).sum()) for label, value in schema.labels.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_another_kind_is_sent_to_its_source(tmp_path, name):
    write_2023(tmp_path, KINDS[name])
    with pytest.raises(
        InputError, match=rf"is not of source brats\. Set cohort\.source: (.* or )?{name}\b"
    ):
        brats.find(tmp_path)


def test_the_assumed_year_of_an_ambiguous_name_is_reported(tmp_path, caplog):
    for number in (1, 2):
        write_2023(tmp_path, f"BraTS-PED-0000{number}-000")
    for name, other in (("brats-ped", "brats-ped2023"), ("brats-ped2023", "brats-ped")):
        _, (first, second) = NAMED[name].find(tmp_path, 0)
        assert first.notes[0].endswith(other)
        assert second.notes == ()
        assert first.notes[0].startswith("here and in all other cases PED of 202")
        assert f"set cohort.source to {other}." in caplog.messages[-1]


def test_children_read_under_the_wrong_year_are_a_warning_of_verify_json_and_of_the_log(
    tmp_path, caplog
):
    for number in (1, 2, 3):
        images, values = case_arrays(number)
        write_2023(tmp_path / "source", f"BraTS-PED-0000{number}-000", values % 4)
        for path in (tmp_path / f"source/BraTS-PED-0000{number}-000").glob("*-t*.nii.gz"):
            nifti.write(
                path,
                images[
                    {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}[
                        path.name.split("-")[-1][:3]
                    ]
                ],
                LPS,
            )
    cohort = Cohort(
        source="brats-ped", location=str(tmp_path / "source"), cases=0, unlabelled="refuse", seed=1
    )
    download(
        tmp_path / "raw",
        tmp_path / "verify.json",
        tmp_path / "thumbnails.png",
        cohort,
        AS_IT_IS,
        NONE,
    )
    told = [
        warning
        for warning in json.loads((tmp_path / "verify.json").read_text())["warnings"]
        if "brats-ped2023" in warning
    ]
    assert len(told) == 1
    assert told[0].startswith(
        "BraTS-PED-00001-000: here and in all other cases PED of 2024 and later was assumed"
    )
    assert [record.levelname for record in caplog.records if "brats-ped2023" in record.message] == [
        "WARNING"
    ]


def test_the_names_of_ucsf_pdgm_are_read_beside_its_many_other_files(tmp_path):
    folder = tmp_path / "UCSF-PDGM-0004_nifti"
    images, values = case_arrays()
    names = {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR"}
    for kind, voxels in images.items():
        nifti.write(folder / f"UCSF-PDGM-0004_{names[kind]}.nii.gz", voxels, LPS)
        nifti.write(folder / f"UCSF-PDGM-0004_{names[kind]}_bias.nii.gz", voxels, LPS)
    nifti.write(folder / "UCSF-PDGM-0004_tumor_segmentation.nii.gz", values, LPS)
    nifti.write(folder / "UCSF-PDGM-0004_brain_segmentation.nii.gz", values, LPS)
    schema, (found,) = brats.find(tmp_path)
    assert (found.case, found.patient, schema.labels["enhancing"]) == (
        "UCSF-PDGM-0004",
        "UCSF-PDGM-0004",
        4,
    )
    assert found.labels.name == "UCSF-PDGM-0004_tumor_segmentation.nii.gz"
    assert sorted(path.name for path in found.images.values()) == sorted(
        f"UCSF-PDGM-0004_{name}.nii.gz" for name in names.values()
    )
    assert len(found.passed_over) == 5
    assert "5 image files fit no name that is known" in found.notes[0]


def test_a_follow_up_of_ucsf_pdgm_is_of_the_same_patient():
    assert patient_of("UCSF-PDGM-0429_FU003d") == patient_of("UCSF-PDGM-0429") == "UCSF-PDGM-0429"
    assert timepoint_of("UCSF-PDGM-0429_FU003d") == "FU003d"
    assert timepoint_of("UCSF-PDGM-0429") is None


def test_a_case_that_is_met_twice_through_a_link_is_one(tmp_path):
    case = write_case(tmp_path / "HGG", "BraTS2021_00001")
    (tmp_path / "selected").mkdir()
    (tmp_path / "selected/link").symlink_to(case)
    assert [found.case for found in brats.find(tmp_path)[1]] == ["BraTS2021_00001"]


def test_kinds_are_not_mixed(tmp_path):
    write_2023(tmp_path, "BraTS-MEN-00004-000")
    write_2023(tmp_path, "BraTS-SSA-00004-000")
    with pytest.raises(
        InputError,
        match=r"BraTS-SSA-00004-000 is not of source brats-men\. Set cohort\.source: brats-ssa",
    ):
        NAMED["brats-men"].find(tmp_path, 0)


def test_a_cavity_is_no_label_of_a_cohort_before_treatment(tmp_path):
    schema = brats.schema("-")
    folder = write_2023(tmp_path, "BraTS-GLI-00005-000", case_arrays()[1])
    with pytest.raises(
        InputError, match=r"seg\.nii\.gz: label values 4 \(208 voxels\) are not among"
    ):
        checks.verify(brats.read_folder(folder)[1], schema)


def test_meningiomas_before_radiotherapy_have_one_modality_and_a_target_volume(tmp_path):
    folder = write_case(
        tmp_path,
        "BraTS-MEN-RT-0001-1",
        t1=None,
        t2=None,
        flair=None,
        seg=(case_arrays()[1] > 0).astype(np.uint8),
    )
    renamed(folder, "_t1ce", "_t1c")
    renamed(folder, "_seg", "_gtv")
    schema, (found,) = NAMED["brats-menrt"].find(tmp_path, 0)
    assert schema.modalities == tuple(found.images) == ("t1c",)
    assert found.labels.name == "BraTS-MEN-RT-0001-1_gtv.nii.gz"
    assert found.patient == "BraTS-MEN-RT-0001"
    assert checks.verify(found, schema).entry.label_voxels["tumour"] > 0


@pytest.mark.parametrize(
    "schema",
    [schema for source in brats.SOURCES for schema in source.schemas],
    ids=lambda schema: schema.cohort,
)
def test_labels_survive_the_way_over_regions(schema):
    classes = values_to_classes(np.array([[[0, *schema.labels.values()]]]), schema)
    assert np.array_equal(regions_to_classes(classes_to_regions(classes, schema), schema), classes)


def test_the_regions_are_those_of_the_challenges():
    treated, children = NAMED["brats-gli2024"].schemas[0], NAMED["brats-ped"].schemas[0]
    assert treated.around == {"WT": None, "TC": "WT", "ET": "TC", "RC": None}
    assert treated.own_labels["RC"] == {"cavity"}
    assert children.around == {"WT": None, "TC": "WT", "ET": "TC", "CC": "TC"}
    assert children.own_labels["TC"] == {"nonenhancing"}
    assert children.own_labels["WT"] == {"edema"}


def test_files_of_macos_are_passed_over_and_strange_names_refused(tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00001")
    (folder / "._BraTS2021_00001_t1.nii.gz").write_bytes(b"of macOS")
    assert len(brats.find(tmp_path)[1][0].images) == 4
    write_case(tmp_path, "BraTS2021 00002")
    with pytest.raises(
        InputError, match=r"the name of case 'BraTS2021 00002' may have only letters"
    ):
        brats.find(tmp_path)


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "count", "patient"),
    [
        ("brats2018", 1, "2013_2"),
        ("brats2021", 6, "BraTS2021_01476"),
        ("brats2023", 1, "BraTS-GLI-00000"),
    ],
)
def test_real_cases_are_found(real_cases, folder, count, patient):
    schema, found = brats.find(real_cases / folder)
    assert len(found) == count
    assert found[0].patient == patient
    assert all(set(case.images) == set(schema.modalities) and case.labels for case in found)
