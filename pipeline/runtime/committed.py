"""Files as in the latest commit: the results that new ones are compared with."""

from dataclasses import dataclass
from pathlib import Path

from . import workspace
from .programs import git

NOTHING_COMMITTED = (
    "it has no dvc.lock, so no results were committed (git add params.yaml dvc.lock metrics && git"
    " commit)"
)
"""Why a revision holds no results; see `nothing_committed`."""


@dataclass(frozen=True)
class Committed:
    """Texts of files as in a commit, whose `name` is its abbreviated hash and date."""

    name: str
    texts: tuple[str, ...]


def nothing_committed(revision: str) -> bool:
    """Whether git knows a revision and shows that it holds no dvc.lock, without which DVC finds no
    outs there. False for a DVC experiment, whose name git does not know.
    """
    root = workspace.root()
    known = git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return bool(known) and not git(root, "ls-tree", "--name-only", known, "dvc.lock")


def committed(*paths: Path) -> Committed | None:
    """Read files as in HEAD; None outside of a repository, or if HEAD lacks one of them.

    Paths are relative to the current folder, or absolute ones within it.
    """
    here = Path.cwd()
    if not all(path.resolve().is_relative_to(here) for path in paths):
        return None
    inside = [path.resolve().relative_to(here).as_posix() for path in paths]
    if not all(git(here, "cat-file", "-t", f"HEAD:./{path}") for path in inside):
        return None
    texts = tuple(git(here, "show", f"HEAD:./{path}") + "\n" for path in inside)
    return Committed(git(here, "log", "-1", "--format=%h of %cs"), texts)
