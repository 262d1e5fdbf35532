"""BraTS folders of 2017 to 2025 are recognised, their tables read, and what is ambiguous is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.domain.errors import InputError
from pipeline.domain.regions import classes_to_regions, regions_to_classes, values_to_classes
from pipeline.io import verification
from pipeline.sources import brats
from tests.conftest import case_arrays, write_case

NAMED = {source.name: source for source in brats.SOURCES}


def renamed(folder, old: str, new: str) -> None:
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace(old, new)))


def write_2023(folder: Path, case: str, seg: np.ndarray | None = None) -> Path:
    written = write_case(folder, case, seg=case_arrays()[1] % 4 if seg is None else seg)
    for old, new in (("_t1ce", "-t1c"), ("_t1.", "-t1n."), ("_t2", "-t2w"), ("_flair", "-t2f"), ("_seg", "-seg")):
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
    assert [case.case for case in brats.find(cohort, limit=2)[1]] == ["BraTS2021_00000", "BraTS2021_00001"]


def test_no_cases_is_an_error_that_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"holds no case in BraTS naming.*cohort\.location"):
        brats.find(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        brats.find(tmp_path / "absent")


def test_one_case_in_two_folders_is_refused(tmp_path):
    write_case(tmp_path / "a", "BraTS2021_00001")
    write_case(tmp_path / "b", "BraTS2021_00001")
    with pytest.raises(InputError, match="also stands in"):
        brats.find(tmp_path)


def test_years_are_not_mixed(tmp_path):
    write_case(tmp_path, "BraTS2021_00001")
    renamed(write_case(tmp_path, "BraTS-GLI-00001-000"), "_", "-")
    with pytest.raises(InputError, match="mixes names"):
        brats.find(tmp_path)


def test_a_modality_under_two_names_is_refused(tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00001")
    shutil.copy(folder / "BraTS2021_00001_t1ce.nii.gz", folder / "BraTS2021_00001_t1c.nii.gz")
    with pytest.raises(InputError, match="t1c also stands in"):
        brats.find(tmp_path)


def test_two_cases_in_one_folder_are_refused(tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00001")
    other = write_case(tmp_path, "BraTS2021_00002")
    shutil.copy(other / "BraTS2021_00002_t2.nii.gz", folder)
    (folder / "BraTS2021_00001_t2.nii.gz").unlink()
    with pytest.raises(InputError, match="belongs to case BraTS2021_00002"):
        brats.find(tmp_path)


@pytest.mark.parametrize("location", [".", "HGG"])
def test_the_grade_is_told_by_the_folder(tmp_path, location):
    write_case(tmp_path / "HGG", "Brats17_TCIA_105_1")
    write_case(tmp_path / "LGG", "Brats17_TCIA_101_1")
    _, found = brats.find(tmp_path / location)
    assert {case.case: case.attributes["grade"] for case in found}["Brats17_TCIA_105_1"] == "HGG"
    assert len(found) == (1 if location == "HGG" else 2)


def write_table(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_survival_and_grade_come_from_the_tables_of_2020(tmp_path):
    for number in (1, 2, 3):
        write_case(tmp_path, f"BraTS20_Training_{number:03d}")
    write_table(
        tmp_path / "name_mapping.csv",
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID,BraTS_2020_subject_ID",
        "HGG,Brats17_CBICA_AAB_1,Brats18_CBICA_AAB_1,NA,BraTS19_CBICA_AAB_1,BraTS20_Training_001",
        "LGG,Brats17_TCIA_101_1,Brats18_TCIA10_101_1,TCGA-CS-0001,BraTS19_TCIA10_101_1,BraTS20_Training_002",
    )
    write_table(
        tmp_path / "survival_info.csv",
        "Brats20ID,Age,Survival_days,Extent_of_Resection",
        "BraTS20_Training_001,60.463,289,GTR",
        "BraTS20_Training_002,52.2,ALIVE (361 days later),NA",
    )
    _, (first, second, third) = brats.find(tmp_path)
    assert first.attributes == {"grade": "HGG", "age": "60.463", "survival_days": "289", "resection": "GTR"}
    assert second.attributes == {"grade": "LGG", "age": "52.2", "survival": "ALIVE (361 days later)"}
    assert third.attributes == {}
    assert second.patient == "TCGA-CS-0001"
    assert third.patient == third.case


@pytest.mark.parametrize("header", ["Brats17ID,Age,Survival", "BraTS18ID,Age,Survival,ResectionStatus"])
def test_survival_tables_of_2017_and_2018_are_read(tmp_path, header):
    year = header[5:7]
    write_case(tmp_path / "HGG", f"Brats{year}_CBICA_AAB_1")
    write_table(tmp_path / "survival_data.csv", f"\ufeff{header}", f"Brats{year}_CBICA_AAB_1,60.5,289,GTR")
    _, (found,) = brats.find(tmp_path)
    assert found.attributes.items() >= {"grade": "HGG", "age": "60.5", "survival_days": "289"}.items()


def test_one_patient_under_the_names_of_several_years_is_one_patient(tmp_path):
    names = (
        "Brats17_CBICA_AAB_1",
        "Brats18_CBICA_AAB_1",
        "BraTS19_CBICA_AAB_1",
        "BraTS20_Training_001",
        "BraTS2021_00077",
        "BraTS2021_00078",
    )
    for name in names:
        write_case(tmp_path, name)
    _, found = brats.find(tmp_path)
    assert [case.patient for case in found if "CBICA" in case.case] == ["CBICA_AAB"] * 3
    assert len({case.patient for case in found}) == 4
    write_table(
        tmp_path / "tables/name_mapping.csv",
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID,BraTS_2020_subject_ID",
        "HGG,Brats17_CBICA_AAB_1,Brats18_CBICA_AAB_1,TCGA-02-0001,BraTS19_CBICA_AAB_1,BraTS20_Training_001",
    )
    write_table(
        tmp_path / "tables/BraTS2021_MappingToTCIA.csv",
        "Data Collection (as on TCIA+additional),Site ID,PatientID on TCIA Radiology Portal,BraTS2021 ID,MGMT value",
        "TCGA-GBM,4,TCGA-02-0001,BraTS2021_00077,1",
        "UCSF-PDGM,18,new-not-previously-in-TCIA,BraTS2021_00078,",
    )
    _, found = brats.find(tmp_path)
    assert {case.case: case.patient for case in found} == dict.fromkeys(names[:5], "TCGA-02-0001") | {names[5]: names[5]}
    assert next(case for case in found if case.case == "BraTS2021_00077").attributes["collection"] == "TCGA-GBM"


def test_two_scans_of_a_collection_are_one_patient(tmp_path):
    for number in range(4):
        write_case(tmp_path, f"BraTS2021_0000{number}")
    write_table(
        tmp_path / "mapping.csv",
        "Data Collection (as on TCIA+additional),PatientID on TCIA Radiology Portal,BraTS2021 ID",
        "UPENN-GBM,UPENN-GBM-00001_11,BraTS2021_00000",
        "UPENN-GBM,UPENN-GBM-00001_21,BraTS2021_00001",
        "UCSF-PDGM,12,BraTS2021_00002",
        "ACRIN,12,BraTS2021_00003",
    )
    first, second, third, fourth = (case.patient for case in brats.find(tmp_path)[1])
    assert first == second
    assert len({first, third, fourth}) == 3


def test_a_table_against_the_folder_is_noted(tmp_path):
    write_case(tmp_path / "HGG", "Brats18_2013_2_1")
    write_table(tmp_path / "name_mapping.csv", "Grade,BraTS_2018_subject_ID", "LGG,Brats18_2013_2_1")
    _, (found,) = brats.find(tmp_path)
    assert found.attributes["grade"] == "HGG"
    assert "the table gives grade LGG" in found.notes[0]


@pytest.mark.parametrize("stored", [b"Grade,BraTS18ID\n\xff\xfe\n", b"a" * 200_000 + b"\n1"])
def test_a_table_that_is_none_is_refused(tmp_path, stored):
    write_case(tmp_path, "Brats18_2013_2_1")
    (tmp_path / "survival_data.csv").write_bytes(stored)
    with pytest.raises(InputError, match=r"survival_data\.csv: is not a table"):
        brats.find(tmp_path)


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
    assert verification.verify(found, schema).entry.label_voxels == {
        label: int((values == value).sum()) for label, value in schema.labels.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_another_kind_is_sent_to_its_source(tmp_path, name):
    write_2023(tmp_path, KINDS[name])
    with pytest.raises(InputError, match=rf"is not of source brats\. Set cohort\.source: (.* or )?{name}\b"):
        brats.find(tmp_path)


def test_the_user_is_told_what_was_assumed_of_a_name_that_two_years_share(tmp_path):
    for number in (1, 2):
        write_2023(tmp_path, f"BraTS-PED-0000{number}-000")
    for name, other in (("brats-ped", "brats-ped2023"), ("brats-ped2023", "brats-ped")):
        _, (first, second) = NAMED[name].find(tmp_path, 0)
        assert first.notes[0].endswith(other)
        assert second.notes == ()


def test_kinds_are_not_mixed(tmp_path):
    write_2023(tmp_path, "BraTS-MEN-00004-000")
    write_2023(tmp_path, "BraTS-SSA-00004-000")
    with pytest.raises(InputError, match=r"BraTS-SSA-00004-000 is not of source brats-men\. Set cohort\.source: brats-ssa"):
        NAMED["brats-men"].find(tmp_path, 0)


def test_a_cavity_is_no_label_of_a_cohort_before_treatment(tmp_path):
    schema = brats.schema("-")
    folder = write_2023(tmp_path, "BraTS-GLI-00005-000", case_arrays()[1])
    with pytest.raises(InputError, match=r"seg\.nii\.gz: label values 4 \(208 voxels\) are not among"):
        verification.verify(brats.read_folder(folder)[1], schema)


def test_meningiomas_before_radiotherapy_have_one_modality_and_a_target_volume(tmp_path):
    folder = write_case(tmp_path, "BraTS-MEN-RT-0001-1", t1=None, t2=None, flair=None, seg=(case_arrays()[1] > 0).astype(np.uint8))
    renamed(folder, "_t1ce", "_t1c")
    renamed(folder, "_seg", "_gtv")
    schema, (found,) = NAMED["brats-menrt"].find(tmp_path, 0)
    assert schema.modalities == tuple(found.images) == ("t1c",)
    assert found.labels.name == "BraTS-MEN-RT-0001-1_gtv.nii.gz"
    assert found.patient == "BraTS-MEN-RT-0001"
    assert verification.verify(found, schema).entry.label_voxels["tumour"] > 0


@pytest.mark.parametrize("schema", [schema for source in brats.SOURCES for schema in source.schemas], ids=lambda schema: schema.cohort)
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
    with pytest.raises(InputError, match=r"the name of case 'BraTS2021 00002' is more than letters"):
        brats.find(tmp_path)


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "count", "patient"), [("brats2018", 1, "2013_2"), ("brats2021", 6, "BraTS2021_01476"), ("brats2023", 1, "BraTS-GLI-00000")]
)
def test_real_cases_are_found(real_cases, folder, count, patient):
    schema, found = brats.find(real_cases / folder)
    assert len(found) == count
    assert found[0].patient == patient
    assert all(set(case.images) == set(schema.modalities) and case.labels for case in found)
