"""The run of a reproduction: opened or continued by each stage that logs to it.

DVC outs must be reproducible, so no out holds a run id. Stages find their run by its content
instead: each adds its `Part` and then tags the run with the hash of the part; the next stage
continues the newest run of the same workspace, DVC experiment and params that holds the parts it
starts from. If there is none, because earlier stages came from DVC's cache, it opens a run and adds
their parts from their files, so every run is complete. A stage that was killed finds its run the
same way.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core import params
from .. import provenance
from ..programs import state_of_code
from . import datasets, description, metrics, store, system
from .parts import Part
from .run import Run, ended, place


@contextmanager
def run(
    tags: Mapping[str, str],
    data: datasets.Data,
    *parts: Part,
    past: Sequence[Mapping[str, Any]] = (),
    params_path: Path = Path("params.yaml"),
) -> Iterator[Run]:
    """Open or continue the run of this reproduction; add the last part if the block succeeds.

    Parameters
    ----------
    tags : mapping
        Those of the training: ``data_hash``, ``code_hash``, ``keras_backend``.
    data : Data
        The parts of the cohort.
    *parts : Part
        Inputs of the stage, in the order of the stages, then its output: ``model`` for `train`,
        ``model, evaluation`` for `evaluate`, ``model, evaluation, report`` for `visualize`.
    past : sequence of mapping
        Epochs before a resumed training, as for `Run.log_epoch`.
    params_path : Path
        All its values are logged, with dotted names.

    Yields
    ------
    Run
        With status RUNNING; afterwards FINISHED, or FAILED (KILLED by Ctrl-C) if the block raises.

    Raises
    ------
    InputError
        If the store cannot be opened or the params cannot be read.
    """
    values = params.read(params_path)
    client, experiment_id = store.opened()
    *before, own = parts
    shared = _shared(values)
    content = {name: value for part in before for name, value in part.tag().items()} or dict(tags)
    origin = description.Origin(
        data.cohort,
        provenance.settings(values, params_path),
        provenance.command(values, params_path),
        shared["dvc_exp_name"],
    )
    run_id = _unfinished(client, experiment_id, shared | content, len(before), len(past))
    is_new = run_id is None
    if run_id is None:
        about = {**_circumstances(), **tags, **shared, **content}
        # MLflow would draw a name from the global random state, and so change it
        name = description.name_of(origin)
        run_id = client.create_run(experiment_id, tags=about, run_name=name).info.run_id
    _end_abandoned(client, experiment_id, run_id)
    client.update_run(run_id, status="RUNNING")
    with ended(client, run_id):
        flat = _log_params(client, run_id, values)
        datasets.log(client, run_id, data)
        previous = _previous(client, experiment_id, run_id, flat)
        current = Run(client, run_id, origin, previous, data.tested)
        if is_new:
            current.describe()
        with system.monitored(run_id, own.stage, store.address()):
            for part in before:
                if not current.holds(part):
                    current.add(part)
            for record in past:
                current.log_epoch(record)
            yield current
        current.add(own)


def _unfinished(
    client: Any, experiment_id: str, wanted: Mapping[str, str], parts_before: int, epochs_past: int
) -> str | None:
    """Id of the newest run with the wanted tags that this stage can continue."""
    # A training that was killed after its last epoch continues as well; once evaluated, a run
    # belongs to an earlier reproduction.
    closing = "report_sha256" if parts_before == 2 else "evaluation_sha256"
    query = f"tags.params_sha256 = '{wanted['params_sha256']}'"
    for candidate in client.search_runs(
        [experiment_id], query, order_by=["attributes.start_time DESC"]
    ):
        if wanted.items() <= candidate.data.tags.items() and closing not in candidate.data.tags:
            # One epoch may have been logged without a checkpoint; more belong to a training that
            # started again.
            epochs = client.get_metric_history(candidate.info.run_id, "epoch")
            if parts_before or len(epochs) <= epochs_past + 1:
                return candidate.info.run_id
    return None


def _end_abandoned(client: Any, experiment_id: str, own: str) -> None:
    """Mark other running runs of this workspace as killed: DVC runs one stage in it at a time."""
    here = place().items()
    for other in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if other.info.run_id != own and here <= other.data.tags.items():
            client.set_terminated(other.info.run_id, "KILLED")


def _previous(
    client: Any, experiment_id: str, own: str, now: Mapping[str, str]
) -> tuple[str, list[str]] | None:
    """Name of the newest run before, not of a fold, and the params in which it differs."""
    started = client.get_run(own).info.start_time
    for other in client.search_runs(
        [experiment_id],
        f"attributes.start_time < {started}",
        order_by=["attributes.start_time DESC"],
        max_results=20,
    ):
        if "mlflow.parentRunId" not in other.data.tags:
            return other.info.run_name, description.changed_since(other.data.params, now)
    return None


def _log_params(client: Any, run_id: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Log all params and return them; logging the same value again is no error in MLflow."""
    from mlflow.entities import Param

    flat = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in metrics.flattened(values, ".").items()
    }
    entries = [Param(name, value) for name, value in flat.items()]
    for first in range(0, len(entries), 100):  # MLflow takes no more at once
        client.log_batch(run_id, params=entries[first : first + 100])
    return flat


def _shared(values: Mapping[str, Any]) -> dict[str, str]:
    """Tags that the stages of one reproduction share."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    name = os.environ.get("DVC_EXP_NAME", "")
    return {"params_sha256": digest, "dvc_exp_name": name, "workspace": str(Path.cwd())}


def _circumstances() -> dict[str, str]:
    """Tags of place and code; `git_changed` covers code and params, not the outs of stages."""
    source = "dvc exp run" if os.environ.get("DVC_EXP_NAME") else "dvc repro"
    tags = place() | {"mlflow.source.name": source}
    commit, changed = state_of_code(Path.cwd())
    if commit:
        tags |= {"git_commit": commit, "mlflow.source.git.commit": commit}
        tags["git_changed"] = str(bool(changed)).lower()
    return tags
