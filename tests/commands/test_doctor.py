import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import doctor
from pipeline.runtime import parallel

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
    required = [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert len(findings) == len(required)
    assert findings["numpy"] == doctor.Finding("ok", "numpy", __import__("numpy").__version__)


@pytest.mark.parametrize(
    ("installed", "mark", "says"),
    [
        ({"tensorflow": "2.21.0"}, "ok", "2.21.0"),
        ({"tensorflow": "2.19.0"}, "warn", "2.19.0, outside of <2.22,>=2.21"),
        ({"jax": "0.10.2"}, "ok", "not installed; instead jax 0.10.2"),
        ({}, "fail", "not installed"),
    ],
)
def test_a_package_is_judged_by_what_is_installed(installed, mark, says):
    from packaging.specifiers import SpecifierSet

    finding = doctor._package("tensorflow", SpecifierSet(">=2.21,<2.22"), installed)
    assert (finding.mark, finding.found) == (mark, says)
    assert bool(finding.advice) == (mark != "ok")


def test_cores_memory_and_disk_are_those_of_this_machine():
    findings = found(doctor.machine())
    assert findings["cores"].found == str(parallel.usable_cores())
    assert 0 < doctor.usable_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert findings["python"].found == sys.version.split()[0]


def test_outside_of_a_repository_the_way_in_is_told(folder):
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
    git("config", "user.name", "A")
    git("config", "user.email", "a@example.org")
    git("add", ".")
    git("commit", "-qm", "start")
    assert {finding.mark for finding in doctor.clone()} == {"ok"}


def test_values_that_a_stage_refuses_are_shown_with_its_message(folder):
    Path("dvc.yaml").write_text("stages:\n  download: {}\n  split: {}\n")
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  folds:", "  folding:"))
    findings = found(doctor.params_values(Path("params.yaml")))
    assert findings["params.yaml for download"].mark == "ok"
    assert findings["params.yaml for split"].mark == "fail"
    assert "split.folding" in findings["params.yaml for split"].found
    assert not list(folder.glob("data*")), "checking runs no stage"


def test_a_missing_dvc_yaml_is_told(folder):
    (finding,) = doctor.params_values(Path("params.yaml"))
    assert (finding.mark, finding.subject) == ("fail", "dvc.yaml")


def test_a_store_of_runs_that_cannot_be_opened_fails_with_advice(folder):
    assert found(doctor.runs())["mlflow store"].found.endswith("mlflow.db: made by the first run")
    Path("mlflow.db").write_text("not a database")
    finding = found(doctor.runs())["mlflow store"]
    assert finding.mark == "fail"
    assert "MLFLOW_TRACKING_URI" in finding.advice


def test_an_engine_that_does_not_load_fails_with_advice(folder, monkeypatch):
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
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines] == [
        "machine",
        *(line.strip() for line in lines[1:3]),
        "indeed",
        "-> Make room.",
    ]
    assert (
        len(
            {
                lines[1].index("2"),
                lines[2].index("full"),
                lines[3].index("indeed"),
                lines[4].index("->"),
            }
        )
        == 1
    )
