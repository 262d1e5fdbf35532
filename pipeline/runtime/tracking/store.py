"""The store of the runs: mlflow.db and mlartifacts/ of the clone, or MLFLOW_TRACKING_URI."""

import os
import re
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from .. import workspace
from . import view

EXPERIMENT = "tumorflow"


def url_of(file: Path) -> str:
    """The URL of a SQLite file, with ``?``, ``%`` and the like in its path quoted for SQLAlchemy.

    It names the driver because MLflow creates the folder of a plain ``sqlite:///`` URL without
    unquoting it.
    """
    from sqlalchemy import URL

    return URL.create("sqlite+pysqlite", database=str(file)).render_as_string()


def address() -> str:
    """The URL of the store: MLFLOW_TRACKING_URI, or that of mlflow.db in `workspace.root`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or url_of(workspace.root() / "mlflow.db")


def shown() -> str:
    """The store for messages: its file, or its URL without a password."""
    return str(file() or re.sub(r"//[^/@]*@", "//***@", address()))


def file() -> Path | None:
    """The file of a SQLite store; None for another store."""
    from sqlalchemy import make_url

    if not re.match(r"sqlite(\+\w+)?:///.", address()):
        return None
    return Path(make_url(address()).database or "")


def exists() -> bool:
    """Whether there is a store; True for one on a server."""
    path = file()
    return not path or path.exists()


def opened() -> tuple[Any, str]:
    """A client and the experiment's id; one process at a time, for all would create the tables.

    Raises
    ------
    InputError
        If the store cannot be opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from filelock import FileLock
    from mlflow import MlflowClient

    with FileLock(workspace.root() / "mlflow.db.lock"):
        try:
            client = MlflowClient(address())
            return client, _experiment(client)
        except Exception as fault:  # of SQLAlchemy, Alembic, requests or MLflow
            raise unusable(fault) from fault


def unusable(fault: Exception) -> InputError:
    """The error of a store that cannot be opened."""
    return InputError(
        f"MLflow store {shown()}: cannot be opened: {fault}\n"
        "Repair it or move it away, move the clone if its path has quotes or colons, or set the"
        " environment variable MLFLOW_TRACKING_URI to another store."
    )


def _experiment(client: Any) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        # a server has an artifact folder of its own
        remote = address().startswith(("http:", "https:", "databricks"))
        folder = None if remote else (workspace.root() / "mlartifacts").as_uri()
        return client.create_experiment(EXPERIMENT, folder, tags=view.TAGS)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for name, value in view.TAGS.items():
        if found.tags.get(name) != value:
            client.set_experiment_tag(found.experiment_id, name, value)
    return found.experiment_id
