"""Patients of BraTS are one under all their names, and the tables beside the cases are read."""

from pathlib import Path

import pytest

from pipeline.cohorts import brats
from pipeline.cohorts.brats_patients import patient_of, timepoint_of
from pipeline.core.errors import InputError
from tests.conftest import write_case


@pytest.mark.parametrize(
    ("identifier", "patient", "timepoint"),
    [
        ("Brats17_CBICA_AAB_1", "CBICA_AAB", None),
        ("BraTS19_TCIA10_101_1", "TCIA10_101", None),
        ("BraTS20_Training_001", "BraTS20_Training_001", None),
        ("BraTS2021_00077", "BraTS2021_00077", None),
        ("BraTS-GLI-00005-100", "BraTS-GLI-00005", "100"),
        ("BraTS-MEN-RT-0001-1", "BraTS-MEN-RT-0001", "1"),
        ("UCSF-PDGM-0429", "UCSF-PDGM-0429", None),
        ("UCSF-PDGM-0429_FU003d", "UCSF-PDGM-0429", "FU003d"),
    ],
)
def test_a_name_tells_the_patient_and_since_2023_the_timepoint(identifier, patient, timepoint):
    assert (patient_of(identifier), timepoint_of(identifier)) == (patient, timepoint)


MAPPING = (
    "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID,"
    "BraTS_2020_subject_ID"
)


def write_table(path: Path, *rows: str) -> None:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_survival_and_grade_come_from_the_tables_of_2020(tmp_path):
    for number in (1, 2, 3):
        write_case(tmp_path, f"BraTS20_Training_{number:03d}")
    write_table(
        tmp_path / "name_mapping.csv",
        MAPPING,
        "HGG,Brats17_CBICA_AAB_1,Brats18_CBICA_AAB_1,NA,BraTS19_CBICA_AAB_1,BraTS20_Training_001",
        "LGG,Brats17_TCIA_101_1,Brats18_TCIA10_101_1,TCGA-CS-0001,BraTS19_TCIA10_101_1,"
        "BraTS20_Training_002",
    )
    write_table(
        tmp_path / "survival_info.csv",
        "Brats20ID,Age,Survival_days,Extent_of_Resection",
        "BraTS20_Training_001,60.463,289,GTR",
        "BraTS20_Training_002,52.2,ALIVE (361 days later),NA",
    )
    _, found = brats.find(tmp_path)
    assert [case.attributes for case in found] == [
        {"grade": "HGG", "age": "60.463", "survival_days": "289", "resection": "GTR"},
        {"grade": "LGG", "age": "52.2", "survival": "ALIVE (361 days later)"},
        {},
    ]
    assert [case.patient for case in found][1:] == ["TCGA-CS-0001", "BraTS20_Training_003"]


@pytest.mark.parametrize(
    "header", ["Brats17ID,Age,Survival", "BraTS18ID,Age,Survival,ResectionStatus"]
)
def test_survival_tables_of_2017_and_2018_are_read(tmp_path, header):
    year = header[5:7]
    write_case(tmp_path / "HGG", f"Brats{year}_CBICA_AAB_1")
    write_table(
        tmp_path / "survival_data.csv", f"\ufeff{header}", f"Brats{year}_CBICA_AAB_1,60.5,289,GTR"
    )
    _, (found,) = brats.find(tmp_path)
    expected = {"grade": "HGG", "age": "60.5", "survival_days": "289"}
    assert found.attributes.items() >= expected.items()


def test_one_patient_under_the_names_of_several_years_is_one_patient(tmp_path):
    names = [f"{year}_CBICA_AAB_1" for year in ("Brats17", "Brats18", "BraTS19")]
    names += ["BraTS20_Training_001", "BraTS2021_00077", "BraTS2021_00078"]
    for name in names:
        write_case(tmp_path, name)
    _, found = brats.find(tmp_path)
    assert [case.patient for case in found if "CBICA" in case.case] == ["CBICA_AAB"] * 3
    assert len({case.patient for case in found}) == 4
    (tmp_path / "tables").mkdir()
    write_table(
        tmp_path / "tables/name_mapping.csv",
        MAPPING,
        f"HGG,{names[0]},{names[1]},TCGA-02-0001,{names[2]},{names[3]}",
    )
    write_table(
        tmp_path / "tables/BraTS2021_MappingToTCIA.csv",
        "Data Collection (as on TCIA+additional),Site ID,PatientID on TCIA Radiology"
        " Portal,BraTS2021 ID,MGMT value",
        "TCGA-GBM,4,TCGA-02-0001,BraTS2021_00077,1",
        "UCSF-PDGM,18,new-not-previously-in-TCIA,BraTS2021_00078,",
    )
    found = {case.case: case for case in brats.find(tmp_path)[1]}
    assert [found[name].patient for name in names] == ["TCGA-02-0001"] * 5 + [names[5]]
    assert found["BraTS2021_00077"].attributes["collection"] == "TCGA-GBM"


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


def test_a_table_that_is_none_is_rejected(tmp_path):
    write_case(tmp_path, "Brats18_2013_2_1")
    (tmp_path / "survival_data.csv").write_bytes(b"a" * 200_000 + b"\n1")
    with pytest.raises(InputError, match=r"survival_data\.csv: the table cannot be read"):
        brats.find(tmp_path)
