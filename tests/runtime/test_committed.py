"""Files are read as in the latest commit, whatever the workspace holds."""

import subprocess
from pathlib import Path

import pytest

from pipeline.runtime.committed import committed
from pipeline.runtime.programs import git


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A git repository with a committed table that has changed since, as the current folder."""
    table = tmp_path / "clone/metrics/cases.csv"
    table.parent.mkdir(parents=True)
    table.write_text("case,dice\na,0.5\n")
    monkeypatch.chdir(tmp_path / "clone")
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in ("init -q", "add -A", "commit -q -m one"):
        subprocess.run(["git", *who, *command.split()], check=True)
    table.write_text("case,dice\na,0.75\n")
    return tmp_path / "clone"


def test_the_commit_is_read_not_the_workspace(repository):
    found = committed(repository / "metrics/cases.csv")
    assert found.texts == ("case,dice\na,0.5\n",)
    assert (repository / "metrics/cases.csv").read_text() == "case,dice\na,0.75\n"
    assert found.name.startswith(f"{git(repository, 'rev-parse', '--short', 'HEAD')} of 2")


def test_without_the_file_in_a_commit_or_without_a_commit_or_a_repository_there_is_none(
    tmp_path, monkeypatch, repository
):
    assert committed(Path("metrics/cases.csv"), Path("metrics/other.csv")) is None
    assert committed(tmp_path / "metrics/cases.csv") is None
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path / "bare")
    assert git(tmp_path / "bare", "rev-parse", "HEAD") == ""
    assert committed(Path("metrics/cases.csv")) is None
