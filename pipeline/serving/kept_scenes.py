"""Scenes made on demand: by the hash of what they show, until they expire as cases do."""

import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from ..core.errors import InputError
from ..core.records import write_json
from .jobs import Answer, Task, Worker, message_of
from .refusals import DISK_FULL, Refusal, is_full_disk
from .scenes import SCENE

log = logging.getLogger(__name__)

ABOUT = "about.json"
"""What a task says of its scene, for the page."""
_ENDED = "The process that worked on this ended. Try it again."
_KEY = re.compile(r"[0-9a-f]{32}")
_MOST_FAILURES = 200


@dataclass
class Making:
    """How far a scene is."""

    status: Literal["absent", "waiting", "running", "done", "failed"]
    owner: str = ""
    step: str = ""
    share: float = 0.0
    message: str = ""


class KeptScenes:
    """Scenes in a folder, each made once.

    Parameters
    ----------
    folder : Path
        Made if it is not there, readable by its owner alone.
    keep : timedelta
        How long a scene is kept after it was made.
    is_kept : callable
        Whether a case, by its id, is still in the store.
    """

    def __init__(self, folder: Path, keep: timedelta, is_kept: Callable[[str], bool]) -> None:
        self.folder, self._keep, self._is_kept = folder, keep, is_kept
        self._making: dict[str, Making] = {}
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def folder_of(self, key: str) -> Path:
        """The folder of a scene; `Refusal` if there is none."""
        if self._about(key) is None:
            said = "This scene does not exist, or has expired. Load the page again."
            raise Refusal(said, HTTPStatus.NOT_FOUND)
        return self.folder / key

    def look(self, key: str) -> dict[str, Any]:
        """How far a scene is, and what is known of it once it is there."""
        if (about := self._about(key)) is not None:
            return asdict(Making("done", share=1.0)) | {"about": about}
        return asdict(self._making.get(key, Making("absent")))

    def make(self, key: str, worker: Worker, task: Task) -> None:
        """Let a worker make a scene, unless it is there or being made.

        The task also gets ``made``, a folder that becomes that of the scene; what it returns is
        kept as `ABOUT`. The scene goes with the case of the task, if it has one.
        """
        with self._lock:
            if self.look(key)["status"] in ("waiting", "running", "done"):
                return
            making = self._making[key] = Making("waiting", task.case_id)
            for old in [*self._making][:-_MOST_FAILURES]:
                if self._making[old].status == "failed":
                    del self._making[old]
        made = self.folder / f".{key}"

        def started() -> None:
            shutil.rmtree(made, ignore_errors=True)
            making.status = "running"

        def reported(step: str, share: float) -> None:
            making.step, making.share = step, share

        def ended(answer: Answer) -> None:
            try:
                if "done" not in answer:
                    raise InputError(message_of(answer, _ENDED))
                write_json(made / ABOUT, answer["done"] | {"owner": task.case_id})
                shutil.rmtree(self.folder / key, ignore_errors=True)
                made.rename(self.folder / key)
                self._making.pop(key, None)
            except (InputError, OSError) as error:
                making.status, making.message = "failed", _said(error)
                shutil.rmtree(made, ignore_errors=True)

        values = {**task.values, "made": str(made)}
        worker.submit(replace(task, values=values, started=started, reported=reported, ended=ended))

    def sweep(self) -> None:
        """Delete the scenes that have expired or whose case is gone, and what an ended process
        left.
        """
        with self._lock:  # a task of a case that was deleted never ends
            gone = [key for key, one in self._making.items() if not self._is_owned(one.owner)]
            for key in gone:
                del self._making[key]
        end = time.time() - self._keep.total_seconds()
        for folder in self.folder.iterdir():
            scene = folder / SCENE
            key = folder.name.removeprefix(".")
            if key in self._making or not _KEY.fullmatch(key):
                continue
            if self._about(folder.name) is None or scene.stat().st_mtime <= end:
                shutil.rmtree(folder, ignore_errors=True)

    def _about(self, key: str) -> dict[str, Any] | None:
        """What is kept of a scene; None if it is not there, or its case is gone."""
        if not _KEY.fullmatch(key):
            return None
        try:
            about = json.loads((self.folder / key / ABOUT).read_bytes())
        except (OSError, ValueError):
            return None
        return about if self._is_owned(about["owner"]) else None

    def _is_owned(self, owner: str) -> bool:
        return not owner or self._is_kept(owner)


def _said(error: Exception) -> str:
    """An error without the path in its words."""
    if isinstance(error, OSError):
        return DISK_FULL if is_full_disk(error) else f"It cannot be written ({error.strerror})."
    return str(error)
