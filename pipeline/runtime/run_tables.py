"""Find the tables of an evaluated run: in files, a git revision or DVC experiment, or MLflow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.records import parse_table, read_table
from . import workspace
from .committed import NOTHING_COMMITTED, nothing_committed
from .tracking.kept import evaluation_table

if TYPE_CHECKING:
    import pandas

TABLES = {
    "cases": "cases.csv",
    "lesionwise": "tables/lesionwise.csv",
    "matched": "tables/matched.csv",
    "instances": "tables/instances.csv",
}
"""Table to its file in metrics/."""
_ABSENT = {
    "cases": "",
    "lesionwise": (
        " A run whose cohort names no lesion_rules has no such table: compare it by --table cases"
        " or instances, or name rules as docs/metrics.md says and evaluate again."
    ),
    "matched": (
        " A run whose cohort names no lesion_rules of 2025 has no such table: name some as"
        " docs/metrics.md says and evaluate again."
    ),
    "instances": (
        " A run of an earlier version has F1, SQ and PQ in its lesionwise.csv: evaluate it again"
        " (dvc repro evaluate)."
    ),
}


@dataclass(frozen=True, eq=False)
class FoundRun:
    """A table of a run, as `pipeline.core.records.read_table` gives it; `origin` is "workspace",
    "file", "DVC" or "MLflow". `evaluation` reads the text of the run's evaluate.json (of `score`,
    summary.json); it returns None without one.
    """

    origin: str
    table: "pandas.DataFrame"
    evaluation: Callable[[], str | None]


def find_run(name: str, table: str) -> FoundRun:
    """Find a run by name.

    Parameters
    ----------
    name : str
        A table, a folder that holds one, ``workspace``, a DVC experiment or git revision, or the
        name or id of an MLflow run; looked for in this order.
    table : str
        Of `TABLES`.

    Raises
    ------
    InputError
        If there is no such run, or its table cannot be read.
    """
    file = TABLES[table]
    path = Path("metrics") if name == workspace.NAME else Path(name)
    if path.is_dir():
        path = _table_in(path, table)
    if path.is_file():
        origin = "workspace" if name == workspace.NAME else "file"
        return FoundRun(origin, read_table(path), lambda: _evaluation_near(path))
    if path.suffix == ".csv" or name == workspace.NAME:
        raise InputError(
            f"{path}: no such file. Name a table of scores, or run the stages that make one: dvc"
            " repro."
        )
    text, reason = _of_revision(name, file)
    if text is not None:
        evaluation = "evaluate.json"
        return FoundRun("DVC", parse_table(text, name), lambda: _of_revision(name, evaluation)[0])
    try:
        kept = evaluation_table(name, file)
    except InputError as fault:
        raise InputError(
            f"{name}: no such run. It is no file or folder here. DVC: {reason}. MLflow: {fault}\n"
            f"`dvc exp show` lists experiments, `make ui` runs.{_ABSENT[table]}"
        ) from None
    return FoundRun(
        "MLflow",
        read_table(kept),
        lambda: evaluation_table(name, "evaluate.json").read_text(encoding="utf-8"),
    )


def _table_in(folder: Path, table: str) -> Path:
    file = TABLES[table]
    for path in (folder / "metrics" / file, folder / file, folder / Path(file).name):
        if path.is_file():
            return path
    raise InputError(
        f"{folder}: holds neither metrics/{file} nor {file}. Name the folder of a run that was"
        f" evaluated.{_ABSENT[table]}"
    )


def _evaluation_near(table: Path) -> str | None:
    for folder in (table.parent, table.parent.parent):
        for name in ("evaluate.json", "summary.json"):
            if (folder / name).is_file():
                return (folder / name).read_text(encoding="utf-8")
    return None


def _of_revision(name: str, file: str) -> tuple[str | None, str]:
    """The text of a file of metrics/ in a revision or DVC experiment, or None and the reason."""
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    path = f"metrics/{file}"
    try:
        root = str(workspace.root())
        return dvc.api.read(path, repo=root, rev=name, encoding="utf-8-sig"), ""
    except RevError:
        return None, "no experiment or revision of this name"
    except (DvcException, OSError):  # of Git LFS, the cache or remote storage
        if nothing_committed(name):
            return None, f"{path} of this revision is not there: {NOTHING_COMMITTED}"
        return None, f"{path} of this revision is not in the cache (dvc pull may fetch it)"
