"""What the newest commit holds, whatever the workspace holds now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.io.earlier import committed

STAGES = """stages:
  evaluate:
    cmd: {copy}
    deps: [said.csv]
    outs: [metrics/cases.csv]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A DVC repository whose commit has one out, of other content than the workspace."""
    folder = tmp_path_factory.mktemp("earlier") / "clone"
    (folder / "metrics").mkdir(parents=True)
    copy = "python -c \"import shutil; shutil.copy('said.csv', 'metrics/cases.csv')\""
    (folder / "dvc.yaml").write_text(STAGES.format(copy=copy))
    (folder / "metrics/.gitignore").write_text("/cases.csv\n")
    (folder / "said.csv").write_text("case,dice\na,0.5\n")
    commands = ["git init -q", "git config user.name test", "git config user.email test@localhost", "dvc init -q", "dvc repro -q"]
    _run(folder, *commands, "git add -A", "git commit -q -m one")
    (folder / "said.csv").write_text("case,dice\na,0.75\n")
    _run(folder, "dvc repro -q")
    return folder


def _run(folder: Path, *commands: str) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in commands:
        subprocess.run(command.split(), cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the current folder."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "clone"))
    return tmp_path / "clone"


def test_the_commit_is_read_not_the_workspace(repository):
    found = committed(repository / "metrics/cases.csv")
    assert found.rows_of(0) == [{"case": "a", "dice": "0.5"}]
    assert (repository / "metrics/cases.csv").read_text() == "case,dice\na,0.75\n"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert found.name.startswith(f"{commit} of 2")


def test_an_out_that_the_commit_has_not_is_none(repository):
    assert committed(Path("metrics/cases.csv"), Path("metrics/other.csv")) is None


def test_an_out_that_left_the_cache_is_none(repository):
    shutil.rmtree(repository / ".dvc/cache")
    assert committed(Path("metrics/cases.csv")) is None


def test_a_folder_without_commits_or_lock_or_paths_outside_of_it_have_none(tmp_path, monkeypatch, repository):
    assert committed(tmp_path / "metrics/cases.csv") is None
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.chdir(bare)
    assert committed(Path("metrics/cases.csv")) is None
