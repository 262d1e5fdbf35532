"""The command segments what is complete in a folder, says what became of it, and ends."""

import shutil
from pathlib import Path

import pytest

from pipeline import __main__ as commands
from pipeline.exchange.watching import folder_name
from tests.conftest import write_case

MODEL = Path(__file__).parents[2] / "tests/network/format_1"


def watch(*words: object) -> int | str:
    """Exit status of the command, or its message."""
    with pytest.raises(SystemExit) as ended:
        commands.main(["watch", "--model", *map(str, (MODEL, *words))])
    return ended.value.code


def test_what_is_complete_is_segmented_and_its_state_is_listed_by_name(tmp_path, capsys):
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    good, bad = (write_case(inbox, f"BraTS2021_0000{number}", seed=number) for number in (0, 1))
    (bad / "BraTS2021_00001_t2.nii.gz").unlink()
    words = [inbox, "--out", out, "--quiet-seconds", 0]
    assert watch(*words, "--status") == 0
    assert f"{good.name}  {folder_name(good.name)}  waiting\n" in capsys.readouterr().out
    assert watch(*words, "--once") == 1
    assert watch(*words, "--status") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{good.name}  {folder_name(good.name)}  done  {good.name}"
    assert lines[1].startswith(f"{bad.name}  {folder_name(bad.name)}  failed  {bad.name}: ")
    assert "t2w" in lines[1]
    shutil.rmtree(bad)
    assert watch(*words, "--once") == 0
    assert (out / "BraTS2021_00000.nii.gz").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("in --out out --quiet-seconds -1", "--quiet-seconds must be 0 or more"),
        ("in --out out --quiet-seconds nan", "--quiet-seconds must be 0 or more"),
        ("in --out out --poll-seconds 0", "--poll-seconds more than 0"),
        ("in --out out --store http://127.0.0.1:1", "makes no DICOM file that --store could store"),
        ("in --out out --formats png", "expected nifti, seg, sr, rtstruct"),
        ("in --out out --once", "in: is not a folder"),
    ],
)
def test_what_cannot_be_done_is_rejected(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in watch(*words.split())
