"""The task that lists the last runs of a project, in a process of its own that loads MLflow."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..network.card import read_card
from ..runtime.tracking import overview
from . import worker

MOST = 20


def list_runs(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """The last runs of the store of a project.

    Parameters
    ----------
    values : mapping
        ``folder`` of the project; ``model``, that of the network that is served.
    report : callable

    Returns
    -------
    dict
        ``runs``, the newest first (`overview.RunFacts`); ``regions``, the names of all their
        regions, those of the network first; ``mlflow``, the address that `make ui` gives the list.
        All empty if the project has no runs yet; InputError if its store cannot be opened.
    """
    os.environ["DVC_ROOT"] = str(Path(values["folder"]).resolve())
    found = overview.latest(MOST)
    if found is None:
        return {"runs": [], "regions": [], "mlflow": ""}
    known = {name for run in found.runs for name in run.dice}
    own = [name for name in read_card(Path(values["model"])).cohort.regions if name in known]
    regions = [*own, *sorted(known - {*own})]
    return {"runs": [asdict(run) for run in found.runs], "regions": regions, "mlflow": found.path}
