"""The one case of a folder is found, whatever its source, with or without a mask."""

import pytest

from pipeline.api import in_folder
from pipeline.core.errors import InputError
from tests.cohorts.test_dicom import write_study
from tests.cohorts.test_folder import describe, fill
from tests.conftest import write_case


@pytest.mark.parametrize("change", [{}, {"seg": None}], ids=["with a mask", "without a mask"])
def test_a_case_in_the_naming_of_brats_needs_no_source(tmp_path, change):
    one = in_folder(write_case(tmp_path, "BraTS2021_00777", **change), None, ())
    found = one.found
    assert one.schema.cohort == "brats2018-2021"
    assert (found.case, found.labels is None) == ("BraTS2021_00777", "seg" in change)


def test_a_described_case_needs_no_mask(tmp_path):
    fill(describe(tmp_path), "007/007_post.nii.gz", "007/007_fla.nii.gz")
    one = in_folder(tmp_path, "folder", ())
    found = one.found
    assert one.schema.cohort == "two-contrasts"
    assert (found.case, set(found.images), found.labels) == ("007", {"t1c", "t2f"}, None)


def test_the_description_chooses_one_of_several_cases(tmp_path):
    kinds = ("post", "fla")
    fill(tmp_path, *(f"{case}/{case}_{kind}.nii.gz" for case in ("007", "008") for kind in kinds))
    several = r"holds 2 cases, among them 007, 008\. Let `case` in its cohort\.yaml match one"
    with pytest.raises(InputError, match=several):
        in_folder(describe(tmp_path), "folder", ())
    assert in_folder(describe(tmp_path, case="008"), "folder", ()).found.case == "008"


def test_a_case_and_its_series_are_found_through_links(tmp_path):
    away = write_case(tmp_path / "away", "BraTS2021_00777")
    (tmp_path / "linked").symlink_to(away)
    assert in_folder(tmp_path / "linked", None, ()).found.case == "BraTS2021_00777"
    study = write_study(tmp_path / "store/study")
    (tmp_path / "study").mkdir()
    for series in study.iterdir():
        (tmp_path / "study" / series.name).symlink_to(series)
    assert set(in_folder(tmp_path / "study", None, ("t1n", "t2f")).found.images) >= {"t1n", "t2f"}


def test_images_in_a_case_folder_take_precedence_over_linked_dicom_files(tmp_path):
    write_study(tmp_path / "store/study")
    case = write_case(tmp_path, "BraTS2021_00777")
    (case / "dicom").symlink_to(tmp_path / "store")
    (case / "README").symlink_to(tmp_path / "nothing")
    assert in_folder(case, None, ()).found.case == "BraTS2021_00777"


def test_a_study_linked_twice_is_read_once(tmp_path):
    study = write_study(tmp_path / "study")
    before = in_folder(tmp_path, None, ()).found.images
    (tmp_path / "latest").symlink_to(study)
    again = in_folder(tmp_path, None, ()).found.images
    counts = ({name: len(part.files) for name, part in each.items()} for each in (before, again))
    assert next(counts) == next(counts)


def test_an_unknown_source_and_a_folder_of_several_cases_are_rejected(tmp_path):
    unknown = r"--source is 'brats1999'\. Set it to one of phantom, brats, "
    with pytest.raises(InputError, match=unknown):
        in_folder(tmp_path, "brats1999", ())
    for number in (1, 2):
        write_case(tmp_path, f"BraTS-MEN-0000{number}-000")
    several = r"holds 2 cases, among them BraTS-MEN-00001-000, .*Name the folder of one"
    with pytest.raises(InputError, match=several):
        in_folder(tmp_path, "brats-men", ())
