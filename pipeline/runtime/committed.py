"""Files as in the latest commit: the results that new ones are compared with."""

from dataclasses import dataclass
from pathlib import Path

from .git import git


@dataclass(frozen=True)
class Committed:
    """Files of a commit.

    Attributes
    ----------
    name : str
        Abbreviated hash and date of the commit.
    texts : tuple of str
        Contents of the files, in the order of the arguments.
    """

    name: str
    texts: tuple[str, ...]


def committed(*paths: Path) -> Committed | None:
    """Read files as in HEAD.

    Parameters
    ----------
    *paths : Path
        Relative to the current folder, or absolute paths within it.

    Returns
    -------
    Committed or None
        None outside of a repository, or if HEAD lacks one of the files.
    """
    here = Path.cwd()
    inside = [
        path.resolve().relative_to(here).as_posix()
        for path in paths
        if path.resolve().is_relative_to(here)
    ]
    if len(inside) < len(paths) or not all(
        git(here, "cat-file", "-t", f"HEAD:./{path}") for path in inside
    ):
        return None
    texts = tuple(git(here, "show", f"HEAD:./{path}") + "\n" for path in inside)
    return Committed(git(here, "log", "-1", "--format=%h of %cs"), texts)
