"""BraTS folders of 2017 to 2025 are recognised by their names, and ambiguous ones are rejected."""

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.verification import checks
from tests.cohorts.challenges import write_2023
from tests.conftest import LPS, case_arrays, write_case

NAMED = {source.name: source for source in brats.SOURCES}
KINDS = {
    "brats-gli2024": "BraTS-GLI-00005-100",
    "brats-men": "BraTS-MEN-00004-000",
    "brats-met": "BraTS-MET-00001-000",
    "brats-met2025": "BraTS-MET-00001-001",
    "brats-ssa": "BraTS-SSA-00002-000",
    "brats-ped": "BraTS-PED-00001-000",
    "brats-ped2023": "BraTS-PED-00002-000",
}


def test_cases_are_found_at_any_depth_sorted_and_up_to_a_limit(tmp_path):
    write_case(tmp_path / "HGG", "Brats18_2013_2_1")
    folder = write_case(tmp_path / "LGG", "Brats18_2013_1_1", suffix=".nii")
    (folder / "._Brats18_2013_1_1_t1.nii.gz").write_bytes(b"of macOS")
    (tmp_path / "selected").mkdir()
    (tmp_path / "selected/link").symlink_to(folder)  # found twice, it is one case
    schema, found = brats.find(tmp_path)
    assert [case.case for case in found] == ["Brats18_2013_1_1", "Brats18_2013_2_1"]
    assert schema.labels["enhancing"] == 4
    assert all(set(case.images) == set(schema.modalities) and case.labels for case in found)
    assert brats.find(tmp_path, limit=1)[1] == found[:1]


def test_names_of_2023_mean_enhancing_3_and_one_patient_with_two_timepoints(tmp_path):
    for timepoint in ("000", "001"):
        write_2023(tmp_path, f"BraTS-GLI-00005-{timepoint}")
    schema, found = brats.find(tmp_path)
    assert schema.labels["enhancing"] == 3
    assert [case.patient for case in found] == ["BraTS-GLI-00005"] * 2


def test_the_misnamed_mask_of_case_355_is_found(tmp_path):
    folder = write_case(tmp_path, "BraTS20_Training_355", suffix=".nii")
    (folder / "BraTS20_Training_355_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    _, (found,) = brats.find(tmp_path)
    assert found.case == "BraTS20_Training_355"
    assert found.labels.name == "W39_1998.09.19_Segm.nii"
    assert not found.notes


def test_the_folder_gives_the_grade_and_a_table_against_it_is_noted(tmp_path):
    write_case(tmp_path / "HGG", "Brats17_TCIA_105_1")
    write_case(tmp_path / "LGG", "Brats17_TCIA_101_1")
    for location in (tmp_path, tmp_path / "HGG"):
        case = brats.find(location)[1][-1]
        assert (case.case, case.attributes["grade"]) == ("Brats17_TCIA_105_1", "HGG")
    table = "Grade,BraTS_2017_subject_ID\nLGG,Brats17_TCIA_105_1\n"
    (tmp_path / "name_mapping.csv").write_text(table)
    case = brats.find(tmp_path)[1][-1]
    assert case.attributes["grade"] == "HGG"
    assert "the table gives grade LGG" in case.notes[0]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_found_under_its_name_with_its_labels_and_by_no_other(tmp_path, name):
    (schema,) = NAMED[name].schemas
    values = np.resize([0, *schema.labels.values()], (24, 22, 20)).astype(np.uint8)
    write_2023(tmp_path, KINDS[name], seg=values)
    given, (found,) = NAMED[name].find(tmp_path, 0)
    assert given == schema
    assert found.patient == KINDS[name][:-4]
    assert found.attributes["timepoint"] == KINDS[name][-3:]
    assert checks.verify(found, schema).entry.label_voxels == {
        label: int((values == value).sum()) for label, value in schema.labels.items()
    }
    with pytest.raises(
        InputError, match=rf"is not of source brats\. Set cohort\.source: (.* or )?{name}\b"
    ):
        brats.find(tmp_path)


def test_the_assumed_year_of_an_ambiguous_name_is_reported(tmp_path, caplog):
    for number in (1, 2):
        write_2023(tmp_path, f"BraTS-PED-0000{number}-000")
    for name, other in (("brats-ped", "brats-ped2023"), ("brats-ped2023", "brats-ped")):
        _, (first, second) = NAMED[name].find(tmp_path, 0)
        assert first.notes[0].startswith("here and in all other cases PED of 202")
        assert first.notes[0].endswith(other)
        assert second.notes == ()
        assert f"set cohort.source to {other}." in caplog.messages[-1]
        assert caplog.records[-1].levelname == "WARNING"


def test_the_names_of_ucsf_pdgm_are_read_beside_its_many_other_files(tmp_path):
    folder = tmp_path / "UCSF-PDGM-0004_nifti"
    images, values = case_arrays()
    names = {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR"}
    files = {names[kind]: voxels for kind, voxels in images.items()}
    files |= {f"{names[kind]}_bias": voxels for kind, voxels in images.items()}
    files |= {"tumor_segmentation": values, "brain_segmentation": values}
    for name, voxels in files.items():
        nifti.write(folder / f"UCSF-PDGM-0004_{name}.nii.gz", voxels, LPS)
    schema, (found,) = brats.find(tmp_path)
    assert found.case == found.patient == "UCSF-PDGM-0004"
    assert schema.labels["enhancing"] == 4
    assert found.labels.name == "UCSF-PDGM-0004_tumor_segmentation.nii.gz"
    assert {path.name for path in found.images.values()} == {
        f"UCSF-PDGM-0004_{name}.nii.gz" for name in names.values()
    }
    assert len(found.passed_over) == 5
    assert "5 image files fit no name that is known" in found.notes[0]


def test_meningiomas_before_radiotherapy_have_one_modality_and_a_target_volume(tmp_path):
    others = dict.fromkeys(("t1", "t2", "flair", "seg"))
    gtv = (case_arrays()[1] > 0).astype(np.uint8)
    write_2023(tmp_path, "BraTS-MEN-RT-0001-1", **others, gtv=gtv)
    schema, (found,) = NAMED["brats-menrt"].find(tmp_path, 0)
    assert schema.modalities == tuple(found.images) == ("t1c",)
    assert found.labels.name == "BraTS-MEN-RT-0001-1-gtv.nii.gz"
    assert found.patient == "BraTS-MEN-RT-0001"
    assert checks.verify(found, schema).entry.label_voxels["tumour"] == gtv.sum()


def test_the_regions_are_those_of_the_challenges():
    treated, children = NAMED["brats-gli2024"].schemas[0], NAMED["brats-ped"].schemas[0]
    assert treated.around == {"WT": None, "TC": "WT", "ET": "TC", "RC": None}
    assert treated.own_labels["RC"] == {"cavity"}
    assert children.around == {"WT": None, "TC": "WT", "ET": "TC", "CC": "TC"}
    assert children.own_labels["TC"] == {"nonenhancing"}
    assert children.own_labels["WT"] == {"edema"}


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
