"""The version of the package and of the commit."""

import subprocess
import tomllib

import pytest

from pipeline import __main__ as entry
from pipeline.runtime import version
from tests import project

NUMBER = tomllib.loads((project.ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_a_clone_says_its_commit_and_whether_the_code_was_changed(tmp_path, monkeypatch):
    clone = project.clone(tmp_path)
    (clone / "pyproject.toml").write_text('[project]\nversion = "9.8"\n')
    monkeypatch.setattr(version, "_CLONE", clone)
    monkeypatch.setattr(version, "_ABOUT", clone / "pyproject.toml")
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True)
    commit = git.stdout[:10]
    assert version.version() == f"9.8 (commit {commit})"
    (clone / "pipeline/train.py").write_text("")
    assert version.version() == f"9.8 (commit {commit}, changed)"


def test_the_command_line_says_it(capsys):
    with pytest.raises(SystemExit) as ended:
        entry.main(["--version"])
    assert ended.value.code in (None, 0)
    assert capsys.readouterr().out.startswith(f"tumorflow {NUMBER}")
