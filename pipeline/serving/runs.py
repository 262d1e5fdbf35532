"""The task that lists the last runs of a project, in a process of its own that loads MLflow."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..runtime.tracking import overview
from . import worker

MOST = 20


def list_runs(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """The last runs of the store of a project.

    Parameters
    ----------
    values : mapping
        ``folder`` of the project.
    report : callable

    Returns
    -------
    dict
        ``runs``, the newest first (`overview.RunFacts`); ``mlflow``, the address that `make ui`
        gives the list. InputError if the project has no store, or it cannot be opened.
    """
    os.environ["DVC_ROOT"] = str(Path(values["folder"]).resolve())
    found = overview.latest(MOST)
    if found is None:
        raise InputError("This project has no runs yet: mlflow.db is not there. Run `dvc repro`.")
    return {"runs": [asdict(run) for run in found.runs], "mlflow": found.path}
