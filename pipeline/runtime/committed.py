"""Files as the newest commit has them: the results that a new one is compared with."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .git import git


@dataclass(frozen=True)
class Committed:
    """Files of a commit.

    Attributes
    ----------
    name : str
        What the commit is called: its first digits and the date it was made.
    texts : tuple of str
        Their content, in the order asked for.
    """

    name: str
    texts: tuple[str, ...]

    def rows_of(self, place: int) -> Sequence[dict[str, str]]:
        """Rows of one of them, a CSV file."""
        return list(csv.DictReader(io.StringIO(self.texts[place])))


def committed(*paths: Path) -> Committed | None:
    """Read files as the commit in HEAD has them.

    Parameters
    ----------
    *paths : Path
        Relative to the current folder, or absolute paths within it.

    Returns
    -------
    Committed or None
        None outside of a repository, or where HEAD lacks one of the files.
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
