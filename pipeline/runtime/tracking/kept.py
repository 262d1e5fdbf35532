"""What earlier runs hold, found by the id or name of a run or by its DVC experiment."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.records import write_json
from . import logged_model, store
from .parts import MODEL


def runs_kept() -> int | None:
    """Number of runs in the store; None if there is no store yet. InputError if it cannot be
    opened.
    """
    if not store.exists():
        return None
    client, experiment_id = store.opened()
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
    file = store.file()
    if file is None:
        raise LookupError(store.shown())
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
            return database.execute(query, (store.EXPERIMENT,)).fetchone()[0]
    except sqlite3.Error as fault:
        raise store.unusable(fault) from fault


def evaluation_table(run: str, file: str = "cases.csv") -> Path:
    """Path of a table that `evaluate` added to a run.

    Parameters
    ----------
    run : str
        Id, name, or DVC experiment; of several runs of one name, the newest that holds the table.
    file : str
        Path of the table within the evaluation, such as ``tables/lesionwise.csv``.

    Returns
    -------
    Path
        Of a temporary copy.

    Raises
    ------
    InputError
        If there is no store, no such run, or no such table in it.
    """
    client, named = _runs_named(run)
    path = f"evaluation/{file}"
    for run_id in named:
        listed = client.list_artifacts(run_id, str(Path(path).parent))
        if path in {item.path for item in listed}:
            return Path(client.download_artifacts(run_id, path))
    raise InputError(f"run {run} holds no {path}")


def model_files(run: str, folder: Path) -> Path:
    """Copy the model of a run.

    Parameters
    ----------
    run : str
        As for `evaluation_table`; of several, the newest whose model is whole.
    folder : Path
        Where to write it, an existing folder.

    Returns
    -------
    Path
        The folder of network.keras, card.json and inference.json.

    Raises
    ------
    InputError
        If there is no store, no such run, or its model is not whole: a run has inference.json only
        once it was evaluated. Of one of an earlier version it is made of the run's params, unless
        the settings were chosen on validation cases.
    """
    client, named = _runs_named(run)
    trained = None
    for run_id in named:
        held = logged_model.files_of(client, run_id)
        if "inference.json" in held:
            return logged_model.download(client, run_id, folder)
        if held and (settings := _settings_scored(client, run_id)):
            model = logged_model.download(client, run_id, folder)
            write_json(model / "inference.json", settings)
            return model
        if any(name.endswith(".keras") for name in held):
            trained = trained or run_id
    if not trained:
        raise InputError(f"run {run} holds no trained network")
    raise InputError(
        f"run {run} holds a network, but no model/inference.json: it was not evaluated yet (dvc"
        " repro evaluate), or is of an earlier version with evaluate.choose (copy the"
        f" inference.json of its models/ beside the files of runs:/{trained}/{MODEL} and name that"
        " folder)"
    )


def _settings_scored(client: Any, run_id: str) -> dict[str, Any] | None:
    """Content of models/inference.json of an evaluated run, by its params; None if it was not
    evaluated, or if `evaluate` chose them.
    """
    data = client.get_run(run_id).data
    values = {name: _parsed(value) for name, value in data.params.items()}
    if "evaluation_sha256" not in data.tags or values.get("evaluate.choose"):
        return None
    settings: dict[str, Any] = {"postprocess": {}}
    for name, value in values.items():
        match name.split("."):
            case ["evaluate", "overlap" | "mirror" | "batch_size" | "engine" as key]:
                settings[key] = value
            case ["evaluate", "postprocess", key]:
                settings["postprocess"][key] = value
            case ["evaluate", "postprocess", "thresholds", region]:
                settings["postprocess"].setdefault("thresholds", {})[region] = value
    return settings


def _parsed(value: str) -> Any:
    """A logged param: JSON, or a text as it is."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _runs_named(name: str) -> tuple[Any, list[str]]:
    """A client, and ids of the runs of that id, name or DVC experiment, the newest first."""
    if not store.exists():
        raise InputError(f"store {store.shown()} does not exist yet. Run dvc repro.")
    client, experiment_id = store.opened()
    kept = client.search_runs(
        [experiment_id], order_by=["attributes.start_time DESC"], max_results=50_000
    )
    named = [
        each.info.run_id
        for each in kept
        if name in (each.info.run_id, each.info.run_name, each.data.tags.get("dvc_exp_name"))
    ]
    if not named:
        raise InputError(f"no run of this name or id in {store.shown()}")
    return client, named
