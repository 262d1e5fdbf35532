"""Provenance is the same for two clones of one commit, and its command reproduces the result."""

import functools
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.runtime import provenance

ROOT = Path(__file__).parents[2]
SOME = {"scores": "metrics/cases.csv", "predictions": "metrics/predictions"}


def commit(folder: Path) -> None:
    """Commit everything; the commit has the same hash in every folder."""
    when = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "A clone"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, env=os.environ | when)


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    """A clone with the repository's params.yaml, a file of code, and ignored results."""
    folder = tmp_path_factory.mktemp("committed")
    (folder / "pipeline").mkdir()
    (folder / "pipeline/train.py").write_text("learn = True\n")
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / ".gitignore").write_text("metrics/\n")
    shutil.copy(ROOT / "params.yaml", folder)
    commit(folder)
    (folder / "metrics/predictions/deep").mkdir(parents=True)
    (folder / "metrics/cases.csv").write_text("case,dice\na,0.5\n")
    (folder / "metrics/predictions/b.nii").write_bytes(b"\1\2")
    (folder / "metrics/predictions/deep/ä.nii").write_bytes(b"\3")
    return folder


@pytest.fixture
def folder(committed, tmp_path) -> Path:
    """A copy of the clone."""
    return shutil.copytree(committed, tmp_path / "clone")


def record(folder: Path) -> dict:
    return provenance.provenance(
        {name: folder / path for name, path in SOME.items()}, folder / "params.yaml"
    )


def change(folder: Path, **changes) -> None:
    """Set dotted keys, written with __ for the dot."""
    values = yaml.safe_load((folder / "params.yaml").read_text())
    for key, value in changes.items():
        *within, last = key.split("__")
        functools.reduce(dict.__getitem__, within, values)[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def test_two_clones_of_one_commit_have_the_same_record(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "far/away/there")
    assert json.dumps(record(folder)) == json.dumps(record(other))
    assert re.fullmatch("[0-9a-f]{40}", record(folder)["commit"])


def test_no_path_no_host_and_no_user_is_recorded(folder, tmp_path):
    secret = folder.rename(tmp_path / "secret_folder")
    change(
        secret,
        cohort__location="/home/someone/secret_folder/cases",
        compute__address="tcp://someone:pass@secret_host:1",
    )
    text = json.dumps(record(secret))
    for private in ("secret", "someone", "/home", str(tmp_path), platform.node()):
        assert private not in text


def test_a_public_place_of_the_cases_is_recorded_and_no_other(folder):
    for place in ("", "synapse:syn51156910", "kaggle:owner/data-set"):
        change(folder, cohort__location=place)
        assert record(folder)["params"]["cohort"]["location"] == place
    url = "https://me:word@example.org/a.zip"
    for place in ("/data/cases", "../cases", url, "s3://bucket/a", "synapse:syn1 /x"):
        change(folder, cohort__location=place)
        found = record(folder)
        assert found["params"]["cohort"]["location"] == "(a place of its own)", place
        assert "cohort.location=FOLDER" in found["command"]


@pytest.mark.slow
def test_the_hashes_are_those_that_dvc_writes_and_depend_on_names_and_content(
    folder, tmp_path, monkeypatch
):
    outside = shutil.copytree(folder / "metrics", tmp_path / "outside")
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for command in (["init", "--no-scm", "-q"], ["add", "-q", "cases.csv", "predictions"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=outside, check=True, capture_output=True
        )
    scores, predictions = (
        yaml.safe_load((outside / f"{name}.dvc").read_text())["outs"][0]["md5"]
        for name in ("cases.csv", "predictions")
    )
    assert record(folder)["files"] == {"scores": scores, "predictions": predictions}
    (folder / "metrics/predictions/b.nii").rename(folder / "metrics/predictions/c.nii")
    after = record(folder)["files"]
    assert (after["scores"], after["predictions"] == predictions) == (scores, False)


def test_an_unchanged_clone_is_reproduced_by_dvc_repro_wherever_the_work_ran(folder):
    before = record(folder)
    assert before["changed"] == []
    assert before["command"] == f"git checkout {before['commit']} && dvc repro"
    change(folder, compute__backend="dask", compute__workers=7)
    after = record(folder)
    assert after["changed"] == ["params.yaml"]
    assert after | {"changed": []} == before
    shutil.rmtree(folder / ".git")
    bare = record(folder)
    assert bare == before | {"commit": "", "command": "dvc repro"}


def test_the_command_restores_changed_params(folder):
    from dvc.utils.hydra import apply_overrides

    changes = {
        "train__learning_rate": 1e-5,
        "train__patch": [64, 32],
        "preprocess__spacing_mm": None,
        "split__test_folds": ["2", "a b"],
        "augment__ranges__noise__sd": [0.5, 1.5],
        "visualize__names": [],
        "network__encoder": "residual",
        "network__normalization": "it's, =odd",
        "cohort__source": "brats-men",
    }
    change(folder, **changes)
    found = record(folder)
    _, _, command = found["command"].partition(" && ")
    words = shlex.split(command)
    assert words[:3] == ["dvc", "exp", "run"]
    subprocess.run(["git", "checkout", "-q", "params.yaml"], cwd=folder, check=True)
    apply_overrides(folder / "params.yaml", [word for word in words[3:] if word != "-S"])
    back = record(folder)["params"]
    assert back == found["params"]
    assert back["train"]["learning_rate"] == 1e-5
    assert back["split"]["test_folds"] == ["2", "a b"]


def test_the_command_adds_and_removes_keys(folder):
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["network"]["new"] = values["network"].pop("depth")
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    assert record(folder)["command"].endswith("dvc exp run -S +network.new=5 -S '~network.depth'")


def test_code_that_differs_from_the_commit_is_named(folder):
    (folder / "pipeline/train.py").write_text("learn = False\n")
    (folder / "pipeline/new.py").write_text("")
    (folder / "notes.txt").write_text("not code")
    assert record(folder)["changed"] == ["pipeline/new.py", "pipeline/train.py"]


def test_the_seed_the_packages_and_the_machine_are_recorded(folder):
    found = record(folder)
    assert found["seed"] == 2026
    assert found["packages"]["numpy"] == __import__("numpy").__version__
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["machine"]["memory_gb"] >= 1
    assert found["machine"]["cpu"]


def test_the_packages_are_those_of_the_requirements():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {re.split(r"[<>=~\[ #]", line)[0] for line in lines}
    assert {"numpy", "dvc", "keras"} <= set(provenance.packages())
    assert set(provenance.packages()) <= required | {"tensorflow-cpu", "jax"}


def test_gpus_are_recorded_with_their_driver(replaced):
    replaced("nvidia-smi", "echo 'NVIDIA H200, 143771 MiB, 570.86'")
    assert provenance.machine()["gpus"] == ["NVIDIA H200, 143771 MiB, driver 570.86"]


def test_the_params_of_the_commit_are_those_before_an_edit_and_none_without_sections(folder):
    before, path = record(folder)["params"], folder / "params.yaml"
    path.write_text(path.read_text().replace("seed: ", "seed: 9"))
    assert provenance.committed_params(path) == before
    assert record(folder)["params"] != before
    path.write_text("epochs: 3\n")
    commit(folder)
    assert provenance.committed_params(path) is None
