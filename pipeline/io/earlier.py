"""Outs of DVC as the newest commit has them: what a new result is set against."""

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.io.git import git


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
    """Read outs as the commit in HEAD has them.

    Parameters
    ----------
    *paths : Path
        Relative to the folder that holds dvc.yaml, or absolute paths within it.

    Returns
    -------
    Committed or None
        None outside of a repository, where HEAD has no dvc.lock or other paths, or where DVC's cache lacks one of the files;
        nothing is fetched from remote storage, so a clone whose cache is empty knows no earlier result.
    """
    here = Path.cwd()
    inside = [path.resolve().relative_to(here).as_posix() for path in paths if path.resolve().is_relative_to(here)]
    if len(inside) < len(paths) or not git(here, "cat-file", "-t", "HEAD:./dvc.lock"):
        return None
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo.open(str(here), rev="HEAD") as repo:
            kept = {repo.fs.relpath(out.fs_path, repo.root_dir): Path(out.cache_path) for out in repo.index.outs if out.hash_info}
            texts = tuple(kept[path].read_text(encoding="utf-8") for path in inside)
    except (DvcException, OSError, KeyError):
        return None
    return Committed(git(here, "log", "-1", "--format=%h of %cs"), texts)
