"""Every case of a folder or a list is found, whatever its source; what is unusable is named."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.segmenting.finding import in_parent
from tests import project
from tests.cohorts.test_dicom import write_study
from tests.cohorts.test_folder import describe, fill
from tests.conftest import write_case

MODEL = Path(__file__).parents[1] / "network/format_1"
FOUR = ("t1n", "t1c", "t2w", "t2f")
KINDS = dict(zip(FOUR, ("t1", "t1ce", "t2", "flair"), strict=True))


@pytest.fixture(scope="module")
def model():
    return api.load(MODEL)


def names(cases) -> list[str]:
    return [case.name for case in cases]


def test_cases_in_the_naming_of_brats_are_found_at_any_depth_and_of_any_year(model, tmp_path):
    write_case(tmp_path / "HGG", "BraTS2021_00001")
    write_case(tmp_path / "LGG/deeper", "BraTS-MET-00002-000", seed=2, seg=None)
    (tmp_path / "LGG/predictions").mkdir()
    (tmp_path / "LGG/predictions/BraTS2021_00001_seg.nii.gz").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    assert names(model.find_all([tmp_path])) == ["BraTS2021_00001", "BraTS-MET-00002-000"]
    one = model.find_all([tmp_path / "HGG/BraTS2021_00001"])
    assert names(one) == ["BraTS2021_00001"]


def test_a_catalogue_names_the_cases_of_its_folder(tmp_path):
    folder = project.run_stages(project.make(tmp_path, cases=3), "download")
    (folder / "data/raw/other").mkdir()
    cases = in_parent(folder / "data/raw", None, FOUR)
    assert names(cases) == [f"BraTS2021_0000{number}" for number in range(3)]
    assert {case.schema.cohort for case in cases} == {"brats2018-2021"}
    assert all(path.is_file() for case in cases for path in case.paths)


def test_dicom_studies_of_a_cohort_are_found_and_a_damaged_one_is_named(model, tmp_path):
    for number in (1, 2, 3):
        write_study(tmp_path / f"patient-{number}", number)
    assert len({*names(model.find_all([tmp_path]))}) == 3
    damaged = next((tmp_path / "patient-2").rglob("*.dcm"))
    damaged.write_bytes(b"no DICOM file at all" * 20)
    found = model.find_all([tmp_path])
    unusable = [case for case in found if isinstance(case, api.Unusable)]
    assert len(found) == 3
    assert [Path(case.name).name for case in unusable] == ["patient-2"]
    assert damaged.name in unusable[0].reason
    alone = model.find_all([tmp_path / "patient-2"])
    assert [Path(case.name).name for case in alone] == ["patient-2"]


def test_the_table_of_modalities_of_a_cohort_of_studies_holds_for_each(model, tmp_path):
    series = {"a": "one", "t1c": "AX T1 POST GD", "t2w": "AX T2 FSE", "t2f": "T2 FLAIR"}
    for number in (1, 2):
        write_study(tmp_path / f"patient-{number}", number, series)
    assert all("t1n" in case.reason for case in model.find_all([tmp_path]))
    (tmp_path / "modalities.yaml").write_text("'^one$': t1n\n")
    assert all({*case.found.images} == {*FOUR} for case in model.find_all([tmp_path]))


def test_a_folder_of_both_kinds_is_rejected_unless_the_source_is_named(model, tmp_path):
    write_case(tmp_path, "BraTS2021_00001")
    write_study(tmp_path / "study")
    (mixed,) = model.find_all([tmp_path])
    assert "holds cases in BraTS naming and DICOM files, such as" in mixed.reason
    assert names(model.find_all([tmp_path], "brats")) == ["BraTS2021_00001"]
    assert names(model.find_all([tmp_path], "dicom"))[0].startswith("study-")


def test_another_source_finds_its_cases_as_for_training(model, tmp_path):
    kinds = ("post", "fla")
    fill(tmp_path, *(f"{case}/{case}_{kind}.nii.gz" for case in ("007", "008") for kind in kinds))
    assert names(model.find_all([describe(tmp_path)], "folder")) == ["007", "008"]
    (unknown,) = model.find_all([tmp_path], "brats1999")
    assert "--source is 'brats1999'" in unknown.reason


def test_missing_modalities_are_left_out_of_every_case(model, tmp_path):
    for number in (1, 2):
        write_case(tmp_path, f"BraTS2021_0000{number}", seed=number)
    for case in model.find_all([tmp_path], missing=["t1c"]):
        assert ({*case.found.images}, case.missing) == ({"t1n", "t2w", "t2f"}, ("t1c",))
    with pytest.raises(InputError, match="adc: is no modality of the network"):
        model.find_all([tmp_path], missing=["adc"])


def test_a_text_file_lists_folders_relative_to_itself(model, tmp_path):
    for number in (1, 2, 3):
        write_case(tmp_path / "cases", f"BraTS2021_0000{number}", seed=number)
    listed = "# some\ncases/BraTS2021_00003\n\ncases/BraTS2021_00001\nnowhere\nlist.txt\n"
    (tmp_path / "list.txt").write_text(listed)
    *found, absent, itself = model.find_all([tmp_path / "list.txt"])
    assert names(found) == ["BraTS2021_00003", "BraTS2021_00001"]
    assert "nowhere: does not exist" in absent.reason
    assert "list.txt: is a file. Name the folder" in itself.reason


def test_a_table_names_files_of_any_name_and_cases(model, tmp_path):
    case = write_case(tmp_path, "BraTS2021_00001")
    for name, kind in KINDS.items():
        shutil.copy(case / f"{case.name}_{kind}.nii.gz", tmp_path / f"{name}-of-anna.nii.gz")
    rows = [
        "case,folder,t1n,t1c,t2w,t2f",
        "anna,,t1n-of-anna.nii.gz,t1c-of-anna.nii.gz,t2w-of-anna.nii.gz,t2f-of-anna.nii.gz",
        "berta,BraTS2021_00001,,,,",
        ",BraTS2021_00001,,t1c-of-anna.nii.gz,,",
        "carla,,absent.nii.gz,,,",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    anna, berta, mixed, carla = model.find_all([tmp_path / "list.csv"])
    assert [path.name for path in anna.paths] == [f"{name}-of-anna.nii.gz" for name in FOUR]
    assert (anna.name, berta.name, mixed.name) == ("anna", "berta", "BraTS2021_00001")
    assert mixed.found.images["t1c"].name == "t1c-of-anna.nii.gz"
    assert (carla.name, "does not exist" in carla.reason) == (
        f"{tmp_path / 'list.csv'}, row 4",
        True,
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "list.csv",
            "case,t1ce\na,b.nii\n",
            r"has a column 't1ce'\. Name columns case, folder, t1n",
        ),
        ("list.csv", "case,t1n\na,\n", "row 1: names neither a folder nor a file"),
        ("list.csv", "case,folder\na/b,c\n", "the name of case 'a/b' may have only letters"),
        ("list.csv", "case,folder\n", r"list\.csv: lists no case"),
        ("list.txt", "# nothing\n", r"list\.txt: lists no case"),
        ("list.dat", "x\n", r"list\.dat: is a file\. Name the folder of the case"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(model, tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    (unusable,) = model.find_all([tmp_path / name])
    assert isinstance(unusable, api.Unusable)
    assert re.search(said, unusable.reason)
