"""The last runs at a glance; the store is only read."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from ...core.errors import InputError
from . import store, view

_CHILD = "mlflow.parentRunId"
_ABSENT = "–"


@dataclass(frozen=True)
class RunFacts:
    """A run.

    Attributes
    ----------
    id, name, status : str
        As MLflow has them; status such as ``FINISHED`` or ``FAILED``.
    started : str
        ISO 8601 in UTC.
    cohort, commit, experiment : str
        Empty where unknown, or without a DVC experiment.
    mean, low, high : float or None
        Mean region Dice of the held-out cases, and its 95 % interval.
    dice : mapping of str to float
        Mean Dice of each region.
    changed : tuple of (str, str, str)
        Params that differ from the run before: name, value there, value here.
    evaluation_sha256 : str
        Of its metrics/evaluate.json.
    """

    id: str
    name: str
    status: str
    started: str
    cohort: str
    commit: str
    experiment: str
    mean: float | None
    low: float | None
    high: float | None
    dice: Mapping[str, float]
    changed: tuple[tuple[str, str, str], ...]
    evaluation_sha256: str


@dataclass(frozen=True)
class Overview:
    """Runs, the newest first, and the path of their list in MLflow's page."""

    runs: Sequence[RunFacts]
    path: str


def latest(most: int) -> Overview | None:
    """The newest runs without those of folds; None if there is no store, or none of ours in it.

    Raises
    ------
    InputError
        If the store cannot be read.
    """
    if not store.exists():
        return None
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    from mlflow import MlflowClient

    try:
        client = MlflowClient(store.address())
        experiment = client.get_experiment_by_name(store.EXPERIMENT)
        if experiment is None:
            return None
        newest = ["attributes.start_time DESC"]
        found = client.search_runs([experiment.experiment_id], order_by=newest, max_results=1000)
    except InputError:
        raise
    except Exception as fault:  # of SQLAlchemy, Alembic, requests or MLflow
        raise store.unusable(fault) from fault
    runs = [run for run in found if _CHILD not in run.data.tags][: most + 1]
    before = [*runs[1:], None]
    facts = [_facts(run, other) for run, other in zip(runs, before, strict=True)]
    return Overview(facts[:most], view.path(experiment.experiment_id))


def _facts(run: Any, before: Any) -> RunFacts:
    values, tags = _finite(run.data.metrics), run.data.tags
    interval = (values.get(f"evaluation/mean_region_dice/{end}") for end in ("low", "high"))
    low, high = interval
    return RunFacts(
        id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(),
        cohort=_cohort(run),
        commit=tags.get("git_commit", ""),
        experiment=tags.get("dvc_exp_name", ""),
        mean=values.get("mean_region_dice", values.get("mean_region_dice/value")),
        low=low,
        high=high,
        dice=_by_region(values),
        changed=_changed(run.data.params, before.data.params) if before else (),
        evaluation_sha256=tags.get("evaluation_sha256", ""),
    )


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Without those that are undefined, such as the Dice of a region that no case has: JSON, and so
    the page, has no NaN.
    """
    return {name: value for name, value in values.items() if isfinite(value)}


def _cohort(run: Any) -> str:
    """Of its first dataset, or the source in its params."""
    for one in run.inputs.dataset_inputs:
        cohort = json.loads(one.dataset.source or "{}").get("cohort")
        if cohort:
            return str(cohort)
    return str(run.data.params.get("cohort.source", ""))


def _by_region(values: Mapping[str, float]) -> dict[str, float]:
    parts = {tuple(name.split("/")): value for name, value in values.items()}
    return {
        path[1]: value
        for path, value in sorted(parts.items())
        if len(path) == 3 and path[0] == "region" and path[2] == "dice"
    }


def _changed(here: Mapping[str, str], there: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    names = sorted({*here, *there})
    pairs = ((name, there.get(name, _ABSENT), here.get(name, _ABSENT)) for name in names)
    return tuple(pair for pair in pairs if pair[1] != pair[2])
