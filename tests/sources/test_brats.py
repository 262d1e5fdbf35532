"""BraTS folders of 2018 to 2023 are recognised, and what is ambiguous is refused."""

import shutil

import pytest

from pipeline.domain.errors import InputError
from pipeline.sources import brats
from tests.conftest import write_case


def renamed(folder, old: str, new: str) -> None:
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace(old, new)))


def test_cases_are_found_at_any_depth_and_sorted(tmp_path):
    write_case(tmp_path / "HGG", "Brats18_2013_2_1")
    write_case(tmp_path / "LGG", "Brats18_2013_1_1", suffix=".nii")
    schema, found = brats.find(tmp_path)
    assert [case.case for case in found] == ["Brats18_2013_1_1", "Brats18_2013_2_1"]
    assert schema.labels["enhancing"] == 4
    assert all(set(case.images) == set(schema.modalities) and case.labels for case in found)


def test_names_of_2023_mean_enhancing_3_and_one_patient_with_two_timepoints(tmp_path):
    for timepoint in ("000", "001"):
        case = f"BraTS-GLI-00005-{timepoint}"
        folder = write_case(tmp_path, case)
        for old, new in (("_t1ce", "-t1c"), ("_t1.", "-t1n."), ("_t2", "-t2w"), ("_flair", "-t2f"), ("_seg", "-seg")):
            renamed(folder, old, new)
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
