"""Output of git."""

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in a folder; empty without repository, commit or git."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.rstrip()
    except (OSError, subprocess.CalledProcessError):
        return ""
