"""MLflow: one run per `dvc repro` or `dvc exp run`, whichever of its stages were computed.

DVC outs must be reproducible, so no out holds a run id. Stages find their run by its content
instead: each adds its `Part` and then tags the run with the hash of the part; the next stage
continues the newest run of the same workspace, DVC experiment and params that holds the parts it
starts from. If there is none, because earlier stages came from DVC's cache, it opens a run and adds
their parts from their files, so every run is complete. A stage that was killed finds its run the
same way. No other module imports mlflow.
"""

import hashlib
import json
import os
import platform
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import params
from ..core.errors import InputError
from ..core.records import read_csv, sha256
from . import workspace
from .programs import state_of_code

EXPERIMENT = "tumorflow"


@dataclass(frozen=True)
class Part:
    """What one stage adds to a run.

    Attributes
    ----------
    name : str
        Of the folder of its artifacts; the run has the tag ``<name>_sha256`` once it is complete.
    files : tuple of Path
        Files and folders to keep; the hash of the first, a file, identifies the part.
    history : Path or None
        CSV file with a row for each ``epoch`` of its metrics.
    scores : Path or None
        JSON file with the metrics of the whole run.
    """

    name: str
    files: tuple[Path, ...]
    history: Path | None = None
    scores: Path | None = None

    def tag(self) -> dict[str, str]:
        """The tag that identifies the part by its content."""
        return {f"{self.name}_sha256": sha256(self.files[0])}


def model_part(network: Path, card: Path, history: Path) -> Part:
    """Outputs of `train`: the network, its card and the table of its epochs."""
    return Part("model", (network, card, history), history=history)


def evaluation_part(scores: Path, *tables: Path) -> Part:
    """Outputs of `evaluate`: metrics/evaluate.json, cases.csv and the other tables."""
    return Part("evaluation", (scores, *tables), scores=scores)


def report_part(report: Path, *figures: Path) -> Part:
    """Outputs of `visualize`: the report, and figures as files or folders."""
    return Part("report", (report, *figures))


class Run:
    """An open run. What it already holds is not logged again."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.id = run_id
        self._client = client
        self._metrics = dict(client.get_run(run_id).data.metrics)
        self._steps = {
            name: {point.step for point in client.get_metric_history(run_id, name)}
            for name in ("epoch", "case")
        }

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Log the metrics of epoch ``record["epoch"]``, without texts, empty fields and NaN."""
        self._log_once("epoch", record)

    def log_case(self, number: int, values: Mapping[str, float]) -> None:
        """Log costs of a case, such as seconds, with its number as the step."""
        costs = {f"case/{name}": value for name, value in values.items()}
        self._log_once("case", {"case": number} | costs)

    @contextmanager
    def child(self, name: str) -> "Iterator[Run]":
        """Open or continue the nested run of that name, such as that of a fold."""
        client = self._client
        experiment_id = client.get_run(self.id).info.experiment_id
        query = f"tags.`mlflow.parentRunId` = '{self.id}' and attributes.run_name = '{name}'"
        found = client.search_runs([experiment_id], query)
        if found:
            run_id = found[0].info.run_id
            client.update_run(run_id, status="RUNNING")
        else:
            tags = _place() | {"mlflow.parentRunId": self.id}
            run_id = client.create_run(experiment_id, tags=tags, run_name=name).info.run_id
        with _ended(client, run_id):
            yield Run(client, run_id)

    def _log_once(self, kind: str, record: Mapping[str, Any]) -> None:
        step = int(record[kind])
        if step not in self._steps[kind]:
            self._log(record, step)
            self._steps[kind].add(step)

    def log_metrics(self, scores: Mapping[str, Any]) -> None:
        """Log metrics of the whole run from nested dicts, named by their path: ``region/ET/dice``.

        Of a dict with a ``mean``, only the mean is logged, under the name of the dict.
        """
        flat = _flat(scores, "/", lambda value: value.get("mean", value))
        kept = self._metrics
        self._log({name: flat[name] for name in flat if kept.get(_name(name)) != flat[name]}, 0)

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        numbers = {_name(name): _number(value) for name, value in values.items()}
        points = [Metric(name, x, now, step) for name, x in numbers.items() if x == x]
        for first in range(0, len(points), 1000):  # MLflow takes no more at once
            self._client.log_batch(self.id, metrics=points[first : first + 1000])

    def add(self, part: Part) -> None:
        """Add a finished part: missing epochs, scores, artifacts, and last the tag."""
        for row in read_csv(part.history) if part.history else ():
            self.log_epoch(row)
        if part.scores:
            self.log_metrics(json.loads(part.scores.read_bytes()))
        for path in reversed(part.files):  # the first file comes last: `holds` looks for it
            if path.is_dir():
                self._client.log_artifacts(self.id, str(path), f"{part.name}/{path.name}")
            else:
                self._client.log_artifact(self.id, str(path), part.name)
        for name, value in part.tag().items():
            self._client.set_tag(self.id, name, value)

    def holds(self, part: Part) -> bool:
        """Whether all of a part was added."""
        return f"{part.name}/{part.files[0].name}" in {
            item.path for item in self._client.list_artifacts(self.id, part.name)
        }


def _name(name: str) -> str:
    """A name that MLflow accepts for a metric."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _number(value: Any) -> float:
    """A float; NaN for texts and empty fields of a CSV file."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _flat(
    values: Any, separator: str, reading: Any = lambda value: value, name: str = ""
) -> dict[str, Any]:
    """Nested dicts as one, keys joined; `reading` may replace a dict with a value."""
    values = reading(values) if isinstance(values, Mapping) else values
    if not isinstance(values, Mapping):
        return {name: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = f"{name}{separator}{key}" if name else key
        flat |= _flat(value, separator, reading, inner)
    return flat


@contextmanager
def run(
    tags: Mapping[str, str],
    *parts: Part,
    past: Sequence[Mapping[str, Any]] = (),
    params_path: Path = Path("params.yaml"),
) -> Iterator[Run]:
    """Open or continue the run of this reproduction; add the last part if the block succeeds.

    Parameters
    ----------
    tags : mapping
        Those of the training: ``data_hash``, ``code_hash``, ``keras_backend``.
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
    client, experiment_id = _open_store()
    *before, own = parts
    origin = _origin(values)
    content = {name: value for part in before for name, value in part.tag().items()} or dict(tags)
    run_id = _unfinished(client, experiment_id, origin | content, len(before), len(past))
    if run_id is None:
        about = {**_circumstances(), **tags, **origin, **content}
        # MLflow would draw a name from the global random state, and so change it
        name = origin["dvc_exp_name"] or time.strftime("repro %Y-%m-%d %H:%M:%S")
        run_id = client.create_run(experiment_id, tags=about, run_name=name).info.run_id
    _end_abandoned(client, experiment_id, run_id)
    client.update_run(run_id, status="RUNNING")
    with _ended(client, run_id):
        _log_params(client, run_id, values)
        current = Run(client, run_id)
        for part in before:
            if not current.holds(part):
                current.add(part)
        for record in past:
            current.log_epoch(record)
        yield current
        current.add(own)


@contextmanager
def _ended(client: Any, run_id: str) -> Iterator[None]:
    """Mark a run as finished after the block; as failed, or killed by Ctrl-C, if it raises."""
    try:
        yield
    except BaseException as fault:
        killed = isinstance(fault, KeyboardInterrupt)
        client.set_terminated(run_id, "KILLED" if killed else "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


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
    here = _place().items()
    for other in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if other.info.run_id != own and here <= other.data.tags.items():
            client.set_terminated(other.info.run_id, "KILLED")


def _log_params(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    """Log all params; logging the same value again is no error in MLflow."""
    from mlflow.entities import Param

    entries = [
        Param(name, value if isinstance(value, str) else json.dumps(value))
        for name, value in _flat(values, ".").items()
    ]
    for first in range(0, len(entries), 100):  # MLflow takes no more at once
        client.log_batch(run_id, params=entries[first : first + 100])


def _origin(values: Mapping[str, Any]) -> dict[str, str]:
    """Tags that the stages of one reproduction share."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    name = os.environ.get("DVC_EXP_NAME", "")
    return {"params_sha256": digest, "dvc_exp_name": name, "workspace": str(Path.cwd())}


def _place() -> dict[str, str]:
    return {"host": platform.node(), "workspace": str(Path.cwd())}


def _circumstances() -> dict[str, str]:
    """Tags of place and code; `git_changed` covers code and params, not the outs of stages."""
    source = "dvc exp run" if os.environ.get("DVC_EXP_NAME") else "dvc repro"
    tags = _place() | {"mlflow.source.name": source}
    commit, changed = state_of_code(Path.cwd())
    if commit:
        tags |= {"git_commit": commit, "mlflow.source.git.commit": commit}
        tags["git_changed"] = str(bool(changed)).lower()
    return tags


def address(file: Path) -> str:
    """The URL of a SQLite file, with ``?``, ``%`` and the like in its path quoted for SQLAlchemy.

    It names the driver because MLflow creates the folder of a plain ``sqlite:///`` URL without
    unquoting it.
    """
    from sqlalchemy import URL

    return URL.create("sqlite+pysqlite", database=str(file)).render_as_string()


def store() -> str:
    """The URL of the store: MLFLOW_TRACKING_URI, or that of mlflow.db in `workspace.root`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or address(workspace.root() / "mlflow.db")


def shown_store() -> str:
    """The store for messages: its file, or its URL without a password."""
    return str(_file() or re.sub(r"//[^/@]*@", "//***@", store()))


def _file() -> Path | None:
    """The file of a SQLite store; None for another store."""
    from sqlalchemy import make_url

    if not re.match(r"sqlite(\+\w+)?:///.", store()):
        return None
    return Path(make_url(store()).database or "")


def runs_kept() -> int | None:
    """Number of runs in the store; None if there is no store yet. InputError if it cannot be
    opened.
    """
    file = _file()
    if file and not file.exists():
        return None
    client, experiment_id = _open_store()
    return len(client.search_runs([experiment_id], max_results=50_000))


def runs_counted() -> int | None:
    """As `runs_kept`, read from the file of a SQLite store without loading MLflow.

    Raises
    ------
    InputError
        If it is no database.
    LookupError
        If the store is not such a file.
    """
    file = _file()
    if file is None:
        raise LookupError(shown_store())
    if not file.exists():
        return None
    query = (
        "SELECT count(*) FROM runs JOIN experiments USING (experiment_id)"
        " WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'"
    )
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if not {"runs", "experiments"} <= tables:  # MLflow makes them
                return 0
            return database.execute(query, (EXPERIMENT,)).fetchone()[0]
    except sqlite3.Error as fault:
        raise _unusable(fault) from fault


def evaluation_table(run: str, file: str = "cases.csv") -> Path:
    """Path of a table that `evaluate` added to a run.

    Parameters
    ----------
    run : str
        Id or name; of several runs of one name, the newest that holds the table.
    file : str
        Path of the table within the evaluation, such as ``tables/lesionwise.csv``.

    Returns
    -------
    Path
        In the store if that is a folder, else of a temporary copy.

    Raises
    ------
    InputError
        If there is no store, no such run, or no such table in it.
    """
    if runs_kept() is None:
        raise InputError(f"store {shown_store()} does not exist yet. Run dvc repro.")
    client, experiment_id = _open_store()
    kept = client.search_runs(
        [experiment_id], order_by=["attributes.start_time DESC"], max_results=50_000
    )
    named = [each.info.run_id for each in kept if run in (each.info.run_id, each.info.run_name)]
    path = f"evaluation/{file}"
    for run_id in named:
        if path in {item.path for item in client.list_artifacts(run_id, str(Path(path).parent))}:
            return Path(client.download_artifacts(run_id, path))
    raise InputError(
        f"run {run} holds no {path}" if named else f"no run of this name or id in {shown_store()}"
    )


def _open_store() -> tuple[Any, str]:
    """A client and the experiment's id; one process at a time, for all would create the tables."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    from filelock import FileLock
    from mlflow import MlflowClient

    with FileLock(workspace.root() / "mlflow.db.lock"):
        try:
            client = MlflowClient(store())
            return client, _experiment(client)
        except Exception as fault:  # of SQLAlchemy, Alembic, requests or MLflow
            raise _unusable(fault) from fault


def _unusable(fault: Exception) -> InputError:
    return InputError(
        f"MLflow store {shown_store()}: cannot be opened: {fault}\n"
        "Repair it or move it away, move the clone if its path has quotes or colons, or set"
        " the environment variable MLFLOW_TRACKING_URI to another store."
    )


def _experiment(client: Any) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        # a server has an artifact folder of its own
        remote = store().startswith(("http:", "https:", "databricks"))
        return client.create_experiment(
            EXPERIMENT, None if remote else (workspace.root() / "mlartifacts").as_uri()
        )
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


if __name__ == "__main__":
    print(store())
