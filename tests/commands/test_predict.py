"""Of a folder the one case to segment is found, whatever its source, with or without a mask."""

import pytest

from pipeline.commands import predict
from pipeline.core.errors import InputError
from tests.cohorts.test_dicom import write_study
from tests.cohorts.test_folder import describe, fill
from tests.conftest import write_case


@pytest.mark.parametrize("change", [{}, {"seg": None}], ids=["with a mask", "without a mask"])
def test_a_case_in_the_naming_of_brats_needs_no_source(tmp_path, change):
    schema, found = predict._in_folder(write_case(tmp_path, "BraTS2021_00777", **change), None, ())
    assert schema.cohort == "brats2018-2021"
    assert (found.case, found.labels is None) == ("BraTS2021_00777", "seg" in change)


def test_a_described_case_needs_no_mask(tmp_path):
    fill(describe(tmp_path), "007/007_post.nii.gz", "007/007_fla.nii.gz")
    schema, found = predict._in_folder(tmp_path, "folder", ())
    assert schema.cohort == "two-contrasts"
    assert (found.case, set(found.images), found.labels) == ("007", {"t1c", "t2f"}, None)


def test_of_several_described_cases_the_description_chooses_one(tmp_path):
    fill(
        tmp_path,
        *(f"{case}/{case}_{kind}.nii.gz" for case in ("007", "008") for kind in ("post", "fla")),
    )
    with pytest.raises(
        InputError,
        match=r"holds 2 cases, among them 007, 008\. Let `case` in its cohort\.yaml match one",
    ):
        predict._in_folder(describe(tmp_path), "folder", ())
    assert predict._in_folder(describe(tmp_path, case="008"), "folder", ())[1].case == "008"


def test_a_case_and_its_series_are_found_through_links(tmp_path):
    away = write_case(tmp_path / "away", "BraTS2021_00777")
    (tmp_path / "linked").symlink_to(away)
    assert predict._in_folder(tmp_path / "linked", None, ())[1].case == "BraTS2021_00777"
    study = write_study(tmp_path / "store/study")
    (tmp_path / "study").mkdir()
    for series in study.iterdir():
        (tmp_path / "study" / series.name).symlink_to(series)
    assert set(predict._in_folder(tmp_path / "study", None, ("t1n", "t2f"))[1].images) >= {
        "t1n",
        "t2f",
    }


def test_images_in_a_case_folder_go_before_dicom_files_that_a_link_leads_to(tmp_path):
    write_study(tmp_path / "store/study")
    case = write_case(tmp_path, "BraTS2021_00777")
    (case / "dicom").symlink_to(tmp_path / "store")
    (case / "README").symlink_to(tmp_path / "nothing")
    assert predict._in_folder(case, None, ())[1].case == "BraTS2021_00777"


def test_a_study_that_is_met_twice_through_a_link_is_read_once(tmp_path):
    study = write_study(tmp_path / "study")
    before = predict._in_folder(tmp_path, None, ())[1]
    (tmp_path / "latest").symlink_to(study)
    again = predict._in_folder(tmp_path, None, ())[1]
    assert {name: len(part.files) for name, part in again.images.items()} == {
        name: len(part.files) for name, part in before.images.items()
    }


def test_an_unknown_source_and_a_folder_of_several_cases_are_refused(tmp_path):
    with pytest.raises(
        InputError, match="--source is 'brats1999'. Set it to one of phantom, brats, "
    ):
        predict._in_folder(tmp_path, "brats1999", ())
    for number in (1, 2):
        write_case(tmp_path, f"BraTS-MEN-0000{number}-000")
    with pytest.raises(
        InputError, match=r"holds 2 cases, among them BraTS-MEN-00001-000, .*Name the folder of one"
    ):
        predict._in_folder(tmp_path, "brats-men", ())
