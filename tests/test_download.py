"""A cohort is verified as a whole before anything is copied; the source is never written to."""

import os

import pytest

from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.core.extensions import NONE
from pipeline.core.params import Cohort
from pipeline.core.records import read_json
from pipeline.download import download
from pipeline.formats import nifti
from tests.cohorts import test_folder
from tests.conftest import AS_IT_IS, LPS, case_arrays, write_case


def contents(folder) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(tmp_path, raw=None, **cohort) -> None:
    described = Cohort(**{"cases": 0, "seed": 1, "unlabelled": "refuse"} | cohort)
    download(
        raw or tmp_path / "raw",
        tmp_path / "verify.json",
        tmp_path / "thumbnails.png",
        described,
        AS_IT_IS,
        NONE,
    )


def bring(cohort, tmp_path, cases: int = 0) -> Catalogue:
    run(tmp_path, source="brats", location=str(cohort), cases=cases)
    return read_json(tmp_path / "raw/catalogue.json", Catalogue)


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
    run(tmp_path, source="folder", location=str(cohort))
    (entry,) = read_json(tmp_path / "raw/catalogue.json", Catalogue).cases
    assert entry.labels.path == "p1/seg_image.nii.gz"
    assert {kind: file.path for kind, file in entry.images.items()} == {
        kind: f"p1/{kind}_image.nii.gz" for kind in ("t1n", "t2f")
    }
    for kind in files:
        assert (tmp_path / f"raw/p1/{kind}_image.nii.gz").read_bytes() == (
            cohort / f"p1/{kind}/image.nii.gz"
        ).read_bytes()


def test_bringing_it_again_changes_nothing(cohort, tmp_path):
    bring(cohort, tmp_path)
    before = contents(tmp_path / "raw")
    bring(cohort, tmp_path)
    assert contents(tmp_path / "raw") == before


def test_what_an_earlier_or_interrupted_run_left_is_mended(cohort, tmp_path):
    bring(cohort, tmp_path)
    before = contents(tmp_path / "raw")
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


def test_the_same_voxels_under_two_names_are_refused_even_resaved(cohort, tmp_path):
    write_case(cohort, "BraTS2021_00099", seed=2, suffix=".nii")
    with pytest.raises(
        InputError,
        match=r"t1n of case BraTS2021_00099 has the same voxels as .*BraTS2021_00002_t1\.nii\.gz",
    ):
        bring(cohort, tmp_path)
    assert not (tmp_path / "raw").exists()


def test_a_case_without_a_mask_is_refused_with_the_way_out(cohort, tmp_path):
    (cohort / "BraTS2021_00001/BraTS2021_00001_seg.nii.gz").unlink()
    with pytest.raises(InputError, match=r"BraTS2021_00001: no mask .*python -m pipeline predict"):
        bring(cohort, tmp_path)


def test_a_source_inside_of_raw_is_refused(cohort, tmp_path):
    with pytest.raises(InputError, match="contain each other"):
        run(tmp_path, raw=cohort.parent, source="brats", location=str(cohort))


@pytest.mark.parametrize(
    ("source", "said"),
    [("phantom", r"cohort\.cases is 0"), ("brats", r"cohort\.location is empty.*preset NAME")],
)
def test_a_cohort_that_is_not_named_is_refused_and_raw_left_alone(cohort, tmp_path, source, said):
    bring(cohort, tmp_path, cases=1)
    before = contents(tmp_path / "raw")
    with pytest.raises(InputError, match=said):
        run(tmp_path, source=source, location="")
    assert contents(tmp_path / "raw") == before


@pytest.mark.real
def test_six_real_cases_are_verified(real_cases, tmp_path):
    catalogue = bring(real_cases / "brats2021", tmp_path)
    assert len(catalogue.cases) == 6
    without = [entry.case for entry in catalogue.cases if entry.label_voxels["enhancing"] == 0]
    assert len(without) == 2
