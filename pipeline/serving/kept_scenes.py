"""Scenes made on demand: by the hash of what they show, until they expire as cases do."""

import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from .jobs import Task, Worker
from .scenes import SCENE

log = logging.getLogger(__name__)

ABOUT = "about.json"
"""What a task says of its scene, for the page."""
_KEY = re.compile(r"[0-9a-f]{32}")
_MOST_FAILURES = 200


@dataclass
class Making:
    """How far a scene is."""

    status: Literal["absent", "waiting", "running", "done", "failed"]
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
    """

    def __init__(self, folder: Path, keep: timedelta) -> None:
        self.folder, self._keep = folder, keep
        self._making: dict[str, Making] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def folder_of(self, key: str) -> Path:
        """The folder of a scene; InputError if there is none."""
        folder = self.folder / key
        if not _KEY.fullmatch(key) or not (folder / SCENE).is_file():
            raise InputError("This scene does not exist, or has expired. Load the page again.")
        return folder

    def look(self, key: str) -> dict[str, Any]:
        """How far a scene is, and what is known of it once it is there."""
        if _KEY.fullmatch(key) and (self.folder / key / SCENE).is_file():
            about = json.loads((self.folder / key / ABOUT).read_bytes())
            return asdict(Making("done", share=1.0)) | {"about": about}
        return asdict(self._making.get(key, Making("absent")))

    def make(self, key: str, worker: Worker, task: str, values: Mapping[str, Any]) -> None:
        """Let a worker make a scene, unless it is there or being made.

        The task gets `values` and ``made``, a folder that becomes that of the scene; what it
        returns is kept as `ABOUT`.
        """
        with self._lock:
            if self.look(key)["status"] in ("waiting", "running", "done"):
                return
            making = self._making[key] = Making("waiting")
            for old in [*self._making][:-_MOST_FAILURES]:
                if self._making[old].status == "failed":
                    del self._making[old]
        made = self.folder / f".{key}"

        def started() -> None:
            shutil.rmtree(made, ignore_errors=True)
            making.status = "running"

        def reported(step: str, share: float) -> None:
            making.step, making.share = step, share

        def ended(answer: Mapping[str, Any]) -> None:
            try:
                if "done" not in answer:
                    raise InputError(_message(answer))
                (made / ABOUT).write_text(json.dumps(answer["done"]), encoding="utf-8")
                shutil.rmtree(self.folder / key, ignore_errors=True)
                made.rename(self.folder / key)
                del self._making[key]
            except (InputError, OSError) as error:
                making.status, making.message = "failed", str(error)
                shutil.rmtree(made, ignore_errors=True)

        values = {**values, "made": str(made)}
        worker.submit(Task(task, values, started=started, reported=reported, ended=ended))

    def sweep(self) -> None:
        """Delete the scenes that have expired, and what an ended process left."""
        end = time.time() - self._keep.total_seconds()
        for folder in self.folder.iterdir():
            scene = folder / SCENE
            if not scene.is_file() and folder.name.removeprefix(".") in self._making:
                continue
            if not scene.is_file() or scene.stat().st_mtime <= end:
                shutil.rmtree(folder, ignore_errors=True)


def _message(answer: Mapping[str, Any]) -> str:
    if not answer:
        return "The process that worked on this ended. Try it again."
    broken = f"TumorFlow failed at this ({answer.get('broken')}). The log of the server says where."
    return answer.get("failed") or broken
