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
from pipeline.core.extensions import NONE
from pipeline.runtime import params_file
from pipeline.runtime.tracking import datasets, reproduction
from pipeline.runtime.tracking.parts import Part

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
        "dvc on PATH": "ok",
        "python on PATH": "ok",
        "dvc repository": "fail",
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


@pytest.fixture
def values(folder, monkeypatch):
    """Write params.yaml with some texts replaced, beside a dvc.yaml; what the doctor says of it."""
    monkeypatch.setenv("DVC_ROOT", str(folder))
    Path("dvc.yaml").write_text("stages: {}\n")

    def look(replacements):
        text = (ROOT / "params.yaml").read_text()
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        Path("params.yaml").write_text(text)
        return list(doctor.params_values(Path("params.yaml")))

    return look


def test_every_fault_of_params_is_named_once_and_no_advice_loses_a_value(values):
    assert [(one.mark, one.found) for one in values({})] == [("ok", "valid")]
    Path("params.yaml").unlink()
    Path("dvc.yaml").unlink()
    marks = [one.mark for one in doctor.params_values(Path("params.yaml"))]
    assert marks == ["fail", "fail"], "no dvc.yaml and no params.yaml"
    Path("dvc.yaml").write_text("stages: {}\n")
    findings = values({"  folds:": "  folding:", "seed: 2026": "seed: abc", "dpi: 130": "dpi: 7"})
    assert [(one.mark, one.found.partition(":")[0]) for one in findings] == [
        ("fail", "cohort.seed"),
        ("fail", "split.folds"),
        ("fail", "split.folding"),
        ("fail", "visualize.dpi"),
    ]
    advice = " ".join(one.advice for one in findings)
    assert "doctor --fix" in advice
    assert "preset" not in advice


def test_a_location_that_is_not_there_fails_unless_the_cases_are_downloaded(values):
    absent = {"source: phantom ": "source: brats ", 'location: ""': "location: /nope"}
    fits, location = values(absent)
    assert (fits.mark, location.mark, location.subject) == ("ok", "fail", "cohort.location")
    assert location.found.startswith("/nope: does not exist")
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/catalogue.json").touch()
    assert [one.mark for one in values(absent)] == ["ok", "warn"]


def test_a_shell_that_has_not_activated_the_environment_is_noticed(folder, monkeypatch):
    assert {found(doctor.clone())[f"{name} on PATH"].mark for name in ("dvc", "python")} == {"ok"}
    other = folder / "bin"
    other.mkdir()
    (other / "python").write_text("#!/bin/sh\necho /usr\n")
    (other / "python").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:/usr/bin:/bin")
    findings = found(doctor.clone())
    for name, said in (("dvc", "none"), ("python", str(other / "python"))):
        finding = findings[f"{name} on PATH"]
        assert (finding.mark, finding.found) == ("fail", said)
        assert str(Path(sys.executable).parent) in finding.advice


def test_a_cache_that_dvc_cannot_link_from_is_a_warning(folder, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(folder))
    Path(".dvc/cache").mkdir(parents=True)
    for types, mark, said in (
        ("hardlink,symlink", "ok", "by hardlink, symlink"),
        ("copy", "warn", "copies"),
    ):
        Path(".dvc/config").write_text(f"[cache]\n    type = {types!r}\n".replace("'", '"'))
        cache = found(doctor.clone())["dvc cache"]
        assert (cache.mark, cache.found) == (mark, said)
    Path(".dvc/config").write_text("[cache]\n    type = glue\n")
    cache = found(doctor.clone())["dvc cache"]
    assert cache.mark == "fail"
    assert ".dvc/config" in cache.advice
    assert [path.name for path in folder.iterdir()] == [".dvc"]
    assert list(Path(".dvc/cache").iterdir()) == []


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
    cohort |= {"unlabelled": "refuse", "corrections": NONE, "seed": 1}
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


@pytest.mark.parametrize("deep", [False, True])
def test_a_store_of_runs_that_cannot_be_opened_fails_with_advice(folder, deep):
    assert found(doctor.runs(deep))["mlflow store"].found.endswith("created by the first run")
    Path("mlflow.db").write_text("not a database")
    finding = found(doctor.runs(deep))["mlflow store"]
    assert finding.mark == "fail"
    assert "MLFLOW_TRACKING_URI" in finding.advice


def test_runs_are_counted_alike_with_and_without_mlflow(folder):
    Path("mlflow.db").touch()
    assert found(doctor.runs())["mlflow store"].found.endswith("mlflow.db: 0 runs")
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    part = Part("model", "train", (Path("params.yaml"),))
    with reproduction.run({}, datasets.Data("phantom", ()), part):
        pass
    for deep in (False, True):
        assert found(doctor.runs(deep))["mlflow store"].found.endswith("mlflow.db: 1 run")


def test_a_store_on_a_server_is_not_asked_without_deep(folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    (finding,) = doctor.runs()
    assert (finding.mark, finding.found) == ("skip", "http://***@127.0.0.1:9: not tried")


@pytest.mark.parametrize("look", [doctor.backend, doctor.backend_packages])
def test_a_backend_that_does_not_load_fails_with_advice(folder, monkeypatch, look):
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    finding = look()
    assert finding.mark == "fail"
    assert "abacus" in finding.found
    assert "KERAS_BACKEND" in finding.advice


def test_a_gpu_without_its_libraries_is_a_warning(folder, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setitem(doctor._CUDA, "tensorflow", ("no-such-package",))
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    finding = doctor.backend_packages()
    assert (finding.mark, finding.found.partition("; ")[2]) == (
        "warn",
        "1 NVIDIA GPU, none of its CUDA packages",
    )
    assert "make env GPU=1" in finding.advice
    monkeypatch.setitem(doctor._CUDA, "tensorflow", ("numpy",))
    assert doctor.backend_packages().mark == "ok"


def test_without_deep_nothing_is_loaded_that_takes_seconds():
    program = (
        "import sys; from pipeline.__main__ import main\n"
        "try: main(['doctor'])\n"
        "finally: print('loaded', {'keras', 'tensorflow', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "loaded set()" in done.stdout
    assert "Not tried: starting Keras, DVC and MLflow." in done.stdout


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
