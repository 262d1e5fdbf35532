"""A cohort is verified as a whole before anything is copied; the source is never written to."""

import os

import pytest

from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from tests.cohorts import test_folder
from tests.conftest import LPS, case_arrays
from tests.project import download_cohort


def contents(folder) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def bring(cohort, tmp_path, cases: int = 0) -> Catalogue:
    return download_cohort(tmp_path, source="brats", location=str(cohort), cases=cases)


def test_a_cohort_is_copied_and_catalogued_and_the_source_left_alone(cohort, tmp_path):
    before = contents(cohort)
    catalogue = bring(cohort, tmp_path)
    assert contents(cohort) == before
    copied = {
        name: data
        for name, (data, _) in contents(tmp_path / "raw").items()
        if name != "catalogue.json"
    }
    assert copied == {name: data for name, (data, _) in before.items()}
    assert len(catalogue.cases) == 8
    source, copy = (
        folder / catalogue.cases[0].labels.path for folder in (cohort, tmp_path / "raw")
    )
    assert not os.path.samefile(source, copy)


def test_files_of_one_case_that_share_a_name_are_all_copied_with_their_own_bytes(tmp_path):
    cohort, (images, values) = tmp_path / "cohort", case_arrays()
    files = {"t1n": images["t1"], "t2f": images["flair"], "seg": values}
    for kind, voxels in files.items():
        nifti.write(cohort / f"p1/{kind}/image.nii.gz", voxels, LPS)
    modalities = {kind: f"{{case}}/{kind}/image.nii.gz" for kind in ("t1n", "t2f")}
    test_folder.describe(cohort, modalities=modalities, mask="{case}/seg/image.nii.gz")
    (entry,) = download_cohort(tmp_path, source="folder", location=str(cohort)).cases
    assert entry.labels.path == "p1/seg_image.nii.gz"
    assert {kind: file.path for kind, file in entry.images.items()} == {
        kind: f"p1/{kind}_image.nii.gz" for kind in ("t1n", "t2f")
    }
    for kind in files:
        assert (tmp_path / f"raw/p1/{kind}_image.nii.gz").read_bytes() == (
            cohort / f"p1/{kind}/image.nii.gz"
        ).read_bytes()


def test_what_an_earlier_or_interrupted_run_left_is_made_good_and_the_rest_stays(cohort, tmp_path):
    bring(cohort, tmp_path)
    before = contents(tmp_path / "raw")
    bring(cohort, tmp_path)
    assert contents(tmp_path / "raw") == before
    (tmp_path / "raw/Old_case").mkdir()
    (tmp_path / "raw/Old_case/old.nii.gz").write_bytes(b"old")
    (tmp_path / "raw/BraTS2021_00003/BraTS2021_00003_t1.nii.gz").write_bytes(b"half")
    (tmp_path / "raw/BraTS2021_00004/BraTS2021_00004_t2.nii.gz").unlink()
    bring(cohort, tmp_path)
    assert contents(tmp_path / "raw") == before


def test_one_bad_case_refuses_the_cohort_and_leaves_raw_as_it_was(cohort, tmp_path):
    bring(cohort, tmp_path, cases=3)
    before = contents(tmp_path / "raw")
    (cohort / "BraTS2021_00005/BraTS2021_00005_t1ce.nii.gz").write_bytes(b"broken")
    (cohort / "BraTS2021_00006/BraTS2021_00006_flair.nii.gz").unlink()
    with pytest.raises(
        InputError,
        match=r"(?s)00005_t1ce\.nii\.gz: is not a NIf.*00006: modality t2f.*2 of 8 cases rejected",
    ):
        bring(cohort, tmp_path)
    assert contents(tmp_path / "raw") == before


def test_a_source_inside_of_raw_is_refused(cohort, tmp_path):
    with pytest.raises(InputError, match="contain each other"):
        download_cohort(tmp_path, cohort.parent, source="brats", location=str(cohort))


@pytest.mark.slow
@pytest.mark.real
def test_six_real_cases_are_verified(real_cases, tmp_path):
    catalogue = bring(real_cases / "brats2021", tmp_path)
    assert len(catalogue.cases) == 6
    without = [entry.case for entry in catalogue.cases if entry.label_voxels["enhancing"] == 0]
    assert len(without) == 2
