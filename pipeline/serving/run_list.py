"""The runs of the project, listed by a process that loads MLflow and ends."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .jobs import Task, Worker

LIMIT_S = 60.0
_FRESH_S = 30.0
_TOO_LONG = (
    f"The MLflow store did not answer within {LIMIT_S:.0f} s. Load the page again, or ask it by"
    " `make ui`."
)
_BROKEN = "The list of runs failed. The log of the server says where."


class RunList:
    """Asks for the runs when somebody looks, at most once in `_FRESH_S` seconds.

    Parameters
    ----------
    folder, model : Path
        Of the project, and of the network that is served.
    """

    def __init__(self, folder: Path, model: Path) -> None:
        self._values = {"folder": str(folder), "model": str(model)}
        self._worker = Worker("runs", ends_when_idle=True)  # MLflow takes 300 MB
        self._lock = threading.Lock()
        self._asked_at, self._asking = float("-inf"), False
        self._found: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        """``status`` ``running``, ``failed`` with a ``message``, or ``done`` with what
        `runs.list_runs` returns.
        """
        with self._lock:
            if not self._asking and time.monotonic() - self._asked_at > _FRESH_S:
                self._asking = True
                self._ask()
            return {"status": "running"} if self._asking else self._found

    def stop(self) -> None:
        """End the process."""
        self._worker.stop()

    def _ask(self) -> None:
        def ended(answer: Mapping[str, Any]) -> None:
            with self._lock:
                self._found = _found(answer)
                self._asked_at, self._asking = time.monotonic(), False

        self._worker.submit(Task("list_runs", self._values, most_s=LIMIT_S, ended=ended))


def _found(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "done" in answer:
        return {"status": "done", **answer["done"]}
    said = _TOO_LONG if "late" in answer else _BROKEN
    return {"status": "failed", "message": answer.get("failed", said)}
