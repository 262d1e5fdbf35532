"""The one case of a folder is found, whatever its source, with or without a mask; the command
segments it, or many cases into a folder.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import __main__ as commands
from pipeline.api import in_folder
from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from tests.cohorts.test_dicom import write_study
from tests.cohorts.test_folder import describe, fill
from tests.conftest import write_case

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/network/format_1"


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


@pytest.fixture
def cases(tmp_path) -> Path:
    for number in range(2):
        write_case(tmp_path / "cases", f"BraTS2021_0000{number}", seed=number)
    return tmp_path / "cases"


def predict(*words: object) -> int | str:
    """Exit status of the command, or its message."""
    with pytest.raises(SystemExit) as ended:
        commands.main(["predict", "--model", *map(str, (MODEL, *words))])
    return ended.value.code


def test_a_folder_of_cases_is_segmented_into_a_folder_and_skipped_the_second_time(
    cases, tmp_path, capsys
):
    out = tmp_path / "out"
    assert predict(cases, "--out", out, "--overlay", "--summary") == 0
    printed = capsys.readouterr().out
    assert "BraTS2021_00001: WT " in printed
    assert f"{out}: 2 done, 0 skipped, 0 failed; volumes in {out / 'volumes.csv'}" in printed
    assert sorted(path.name for path in (out / "overlays").iterdir()) == [
        "BraTS2021_00000.png",
        "BraTS2021_00001.png",
    ]
    assert len([*(out / "summaries").glob("*.pdf")]) == 2
    assert predict(cases, "--out", out) == 0
    assert f"{out}: 0 done, 2 skipped, 0 failed" in capsys.readouterr().out
    assert predict(cases, "--out", out, "--overwrite") == 0
    assert f"{out}: 2 done, 0 skipped, 0 failed" in capsys.readouterr().out


def test_a_failed_case_is_named_with_its_reason_and_gives_exit_status_1(cases, tmp_path, capsys):
    (cases / "BraTS2021_00000/BraTS2021_00000_t2.nii.gz").unlink()
    assert predict(cases, "--out", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert re.search(r"failed: BraTS2021_00000: .*modality t2w .* is missing", captured.err)
    assert "1 done, 0 skipped, 1 failed: BraTS2021_00000; volumes in" in captured.out


def test_a_file_has_the_same_bytes_as_in_a_folder_whether_its_case_or_a_parent_is_named(
    cases, tmp_path
):
    case = cases / "BraTS2021_00000"
    shutil.rmtree(cases / "BraTS2021_00001")
    for number, place in enumerate((case, cases)):
        assert predict(place, "--out", tmp_path / f"{number}.nii.gz") == 0
    assert predict(case, "--out", tmp_path / "out", "--probabilities") == 0
    labels = (tmp_path / "out/BraTS2021_00000.nii.gz").read_bytes()
    assert (tmp_path / "0.nii.gz").read_bytes() == labels
    assert (tmp_path / "1.nii.gz").read_bytes() == labels
    assert len([*(tmp_path / "out/probabilities").iterdir()]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("cases --out a.nii.gz", r"a\.nii\.gz: is the file of one case, but there are 2 cases"),
        ("cases --out a.png", r"a\.png: must end in \.nii or \.nii\.gz"),
        ("cases --out cases", r"cases: lies in the folder of cases cases\. Name a place outside"),
        ("cases --out link/below/out", r"link/below/out: lies in the folder of cases cases"),
        ("list.txt --out cases/BraTS2021_00000/out", r"lies in the folder of case BraTS2021_00000"),
        (
            "cases/BraTS2021_00000 --out cases/BraTS2021_00000/a.nii.gz",
            r"a\.nii\.gz: lies in the folder of cases cases/BraTS2021_00000",
        ),
        (
            "cases cases --t1n cases/BraTS2021_00000/BraTS2021_00000_t1.nii.gz --out out",
            "files named one by one are of one case, but there are several CASES",
        ),
        ("cases --out out --device gpu:x", r"--device gpu:x: is no device\. Name cpu, gpu, or"),
    ],
)
def test_arguments_that_do_not_fit_are_an_error_and_nothing_is_written(
    cases, tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(cases)
    (tmp_path / "list.txt").write_text("cases/BraTS2021_00000\n")
    before = sorted(tmp_path.rglob("*"))
    assert re.search(said, str(predict(*words.split())))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_killed_call_goes_on_and_leaves_no_half_of_a_file(tmp_path):
    for number in range(4):
        write_case(tmp_path / "cases", f"BraTS2021_0000{number}", seed=number)
    out = tmp_path / "out"
    words = [sys.executable, "-m", "pipeline", "predict", tmp_path / "cases", "--model", MODEL]
    words += ["--out", out, "--device", "cpu", "--overlay"]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (out / "BraTS2021_00001.nii.gz").exists():
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    done = {path.name: path.read_bytes() for path in out.glob("*.nii.gz*")}
    again = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert " 0 failed" in again.stdout
    assert " 0 skipped" not in again.stdout
    assert all((out / name).read_bytes() == stored for name, stored in done.items())
    assert len(read_csv(out / "volumes.csv")) == 4
    assert not [*out.rglob(".partial-*")]
