import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement

from pipeline.commands import doctor
from pipeline.core import params
from pipeline.core.cores import usable_cores
from pipeline.core.errors import InputError
from pipeline.runtime import params_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder outside of any repository, with nobody's git settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def found(findings):
    return {finding.subject: finding for finding in findings}


def git(*arguments):
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def test_every_required_package_is_listed_with_its_version():
    findings = found(doctor.packages())
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert len(findings) == sum(not line.startswith("#") for line in lines if line)
    assert findings["numpy"] == doctor.Finding("ok", "numpy", __import__("numpy").__version__)


@pytest.mark.parametrize(
    ("installed", "mark", "says"),
    [
        ({"tensorflow": "2.21.0"}, "ok", "2.21.0"),
        ({"tensorflow": "2.19.0"}, "warn", "2.19.0"),
        ({"jax": "0.10.2"}, "ok", "not installed; instead jax 0.10.2"),
        ({}, "fail", "not installed"),
    ],
)
def test_a_package_is_judged_by_what_is_installed(installed, mark, says):
    finding = doctor._package(Requirement("tensorflow>=2.21,<2.22"), installed)
    assert (finding.mark, finding.found) == (mark, says)
    assert bool(finding.advice) == (mark != "ok")


def test_cores_memory_and_disk_are_those_of_this_machine():
    findings = found(doctor.machine())
    assert findings["cores"].found == str(usable_cores())
    assert 0 < doctor.usable_memory() <= psutil.virtual_memory().total
    assert findings["python"].found == sys.version.split()[0]


def test_outside_of_a_repository_the_advice_is_to_work_in_a_clone(folder):
    findings = found(doctor.clone())
    assert {name: finding.mark for name, finding in findings.items()} == {
        "git repository": "fail",
        "commit": "warn",
        "git identity": "warn",
        "dvc": "ok",
        "dvc repository": "fail",
        "dvc cache": "ok",
    }
    assert "git init" in findings["git repository"].advice


def test_a_clone_that_can_run_queued_experiments_is_in_order(folder):
    shutil.copytree(ROOT / ".dvc", ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    git("init", "-q")
    for key in ("name", "email"):
        git("config", f"user.{key}", "a@example.org")
    git("add", ".")
    git("commit", "-qm", "start")
    assert {finding.mark for finding in doctor.clone()} == {"ok"}


@pytest.mark.slow
def test_params_that_a_stage_rejects_are_shown_with_its_message(folder):
    (missing,) = doctor.params_values(Path("params.yaml"))
    assert (missing.mark, missing.subject) == ("fail", "dvc.yaml")
    Path("dvc.yaml").write_text("stages:\n  download: {}\n  split: {}\n")
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  folds:", "  folding:"))
    findings = found(doctor.params_values(Path("params.yaml")))
    assert findings["params.yaml for download"].mark == "ok"
    assert findings["params.yaml for split"].mark == "fail"
    assert "split.folding" in findings["params.yaml for split"].found
    assert not list(folder.glob("data*")), "checking runs no stage"


def older(*without):
    """The text of params.yaml as a user of an earlier version has it."""
    lines = (ROOT / "params.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.strip().partition(":")[0] not in without]
    return "".join(kept).replace('location: ""', "location: /my/cases")


def test_fix_adds_missing_keys_with_their_comments_and_keeps_every_value(folder, capsys):
    text = older("folds", "momentum")
    Path("params.yaml").write_text(text)
    doctor.fix(Path("params.yaml"))
    assert Path("params.yaml").read_text() == older()
    printed = capsys.readouterr().out
    assert "added split.folds: 5" in printed
    assert "added train.momentum: 0.9" in printed
    doctor.fix(Path("params.yaml"))
    assert Path("params.yaml").read_text() == older()
    assert "no key is missing" in capsys.readouterr().out


def test_fix_renames_a_key_and_says_its_value_in_the_new_words(folder):
    text = (ROOT / "params.yaml").read_text()
    encoder = next(line for line in text.splitlines() if line.startswith("  encoder:"))
    for old, new in (("true", "residual"), ("false", "plain")):
        Path("params.yaml").write_text(text.replace(encoder, f"  residual: {old} # mine"))
        doctor.fix(Path("params.yaml"))
        found = re.sub(f"{new} +#", f"{new} #", Path("params.yaml").read_text())
        assert found == text.replace(encoder, f"  encoder: {new} # mine")


def test_fix_adds_a_whole_section_and_keys_of_a_section_in_one_line(folder):
    line = "cohort: {source: brats, location: /data/mine, unlabelled: refuse, seed: 1}  # mine"
    Path("params.yaml").write_text(f"# my study\n{line}\n")
    doctor.fix(Path("params.yaml"))
    cohort = {"source": "brats", "location": "/data/mine", "cases": 24}
    cohort |= {"unlabelled": "refuse", "seed": 1}
    expected = params.read(params_file.DEFAULTS) | {"cohort": cohort}
    assert params.read(Path("params.yaml")) == expected
    assert Path("params.yaml").read_text().startswith("# my study\ncohort: {")
    assert "# mine" in Path("params.yaml").read_text()


def test_fix_renames_sections_and_keys_and_never_replaces_a_value(folder, monkeypatch):
    renamed = {"validation": "evaluate", "split.parts": "split.folds", "split.share": "test_share"}
    monkeypatch.setattr(params, "RENAMED", renamed)
    expected = (
        older().replace("  folds: 5", "  folds: 9").replace("test_share: 0.2", "test_share: 0.4")
    )
    text = expected.replace("\nevaluate:", "\nvalidation:").replace("  folds:", "  parts:")
    Path("params.yaml").write_text(text.replace("test_share: 0.4", "share: 0.4"))
    doctor.fix(Path("params.yaml"))
    assert Path("params.yaml").read_text() == expected
    Path("params.yaml").write_text(expected.replace("  folds: 9", "  folds: 9\n  parts: 8"))
    doctor.fix(Path("params.yaml"))
    assert params.read(Path("params.yaml"))["split"]["parts"] == 8, "left for the user to decide"


@pytest.mark.parametrize("text", ["- a list\n", "", "a: [\n"])
def test_fix_rejects_a_file_that_holds_no_sections(folder, text):
    Path("params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml: (holds no|cannot be read as YAML)"):
        doctor.fix(Path("params.yaml"))
    assert Path("params.yaml").read_text() == text


def test_a_store_of_runs_that_cannot_be_opened_fails_with_advice(folder):
    assert found(doctor.runs())["mlflow store"].found.endswith("created by the first run")
    Path("mlflow.db").write_text("not a database")
    finding = found(doctor.runs())["mlflow store"]
    assert finding.mark == "fail"
    assert "MLFLOW_TRACKING_URI" in finding.advice


def test_a_backend_that_does_not_load_fails_with_advice(folder, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    finding = doctor.backend()
    assert finding.mark == "fail"
    assert "abacus" in finding.found
    assert "KERAS_BACKEND" in finding.advice


def test_the_list_is_aligned_with_marks_and_advice_below(capsys):
    findings = [
        doctor.Finding("ok", "cores", "2"),
        doctor.Finding("fail", "disk", "full\nindeed", "Make room."),
    ]
    assert list(doctor._printed("machine", findings)) == ["ok", "fail"]
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "machine"
    assert [line[:34].split() for line in lines] == [["ok", "cores"], ["fail", "disk"], [], []]
    assert [line[36:] for line in lines] == ["2", "full", "indeed", "-> Make room."]
