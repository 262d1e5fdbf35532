import subprocess

from pipeline.runtime.git import git


def test_what_git_prints_is_given_without_the_last_line_end(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "new.txt").touch()
    assert git(tmp_path, "status", "--porcelain") == "?? new.txt"


def test_what_git_does_not_know_is_nothing(tmp_path):
    assert git(tmp_path, "rev-parse", "HEAD") == ""
