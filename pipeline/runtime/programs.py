"""Output of other programs."""

import subprocess
from pathlib import Path


def output_of(*command: str, folder: Path | None = None, timeout_s: float | None = None) -> str:
    """What a program prints; empty if it is missing, fails or exceeds its time."""
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=timeout_s
        ).stdout.rstrip()
    except (OSError, subprocess.SubprocessError):
        return ""


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in a folder; empty without repository, commit or git."""
    return output_of("git", *arguments, folder=folder)


def state_of_code(clone: Path) -> tuple[str, list[str]]:
    """The commit of a clone, empty without one, and the paths of code and params, not of the outs
    of stages, that differ from it.
    """
    commit = git(clone, "rev-parse", "HEAD")
    code = ("--", "pipeline", "dvc.yaml", "params.yaml")
    changed = git(clone, "--no-optional-locks", "status", "--porcelain", *code) if commit else ""
    return commit, sorted(line[2:].strip() for line in changed.splitlines())
