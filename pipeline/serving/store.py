"""Cases of the page on disk: a folder each, deleted when it expires."""

import json
import logging
import re
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from pydantic import Field

from ..core.errors import InputError
from ..core.records import read_json, write_json
from ..core.strict import Strict

log = logging.getLogger(__name__)

Status = Literal[
    "received", "unclear", "waiting", "running", "done", "failed", "interrupted", "rejected"
]
"""received: being read; unclear: the user must choose series; waiting, running: for and by the
network; interrupted: its process ended; rejected: holds nothing that can be segmented."""
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_STATE = "state.json"
RESULT, UPLOAD = "result", "upload"


class Series(Strict):
    """A volume of the upload that may be a modality."""

    key: str
    """Names it in requests: a path below the upload, or what modalities.yaml takes."""
    title: str
    facts: str
    thumbnail: str
    """File in the folder of the case; empty if it cannot be drawn."""


class State(Strict):
    """What is known of a case; see `Status`."""

    format_version: Literal[1] = 1
    id: str
    label: str
    """What the page calls it. It may name a patient, so it is not logged."""
    created: str
    expires: str
    """ISO 8601 in UTC."""
    status: Status
    message: str = ""
    """What went wrong and what to do, for a person."""
    kind: Literal["dicom", "images"] = "images"
    patient: str = ""
    """Pseudonym, of a DICOM study."""
    series: tuple[Series, ...] = ()
    chosen: dict[str, str] = Field(default_factory=dict)
    """Key of the series of each modality."""
    native: bool = False
    attempts: int = 0
    """How often the network was started on it."""

    @property
    def case(self) -> str:
        """Its name in results: says nothing of the patient."""
        return f"case-{re.sub('[^a-z0-9]', '0', self.id.lower())[:8]}"


class Store:
    """The cases in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there, readable by its owner alone.
    keep : timedelta
        How long a case is kept.
    """

    def __init__(self, folder: Path, keep: timedelta) -> None:
        self.folder, self.keep = folder, keep
        self._cases = folder / "cases"
        self._lock = RLock()
        self._cases.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)

    def folder_of(self, case_id: str) -> Path:
        """The folder of a case; InputError if there is none of this id."""
        folder = self._cases / case_id
        if not _ID.fullmatch(case_id) or not (folder / _STATE).is_file():
            raise InputError("This case does not exist, or has expired. Drop its files again.")
        return folder

    def new(self, label: str) -> State:
        """A new case with an empty folder."""
        now = datetime.now(UTC).replace(microsecond=0)
        state = State(
            id=secrets.token_urlsafe(16),
            label=label,
            created=now.isoformat(),
            expires=(now + self.keep).isoformat(),
            status="received",
        )
        (self._cases / state.id / UPLOAD).mkdir(parents=True)
        self._write(state)
        return state

    def get(self, case_id: str) -> State:
        """The state of a case; InputError if there is none."""
        return read_json(self.folder_of(case_id) / _STATE, State)

    def update(self, case_id: str, **changes: Any) -> State:
        """Change some fields of a state, given as plain values."""
        with self._lock:
            fields = self.get(case_id).model_dump(mode="json") | changes
            state = State.model_validate_json(json.dumps(fields))
            self._write(state)
            return state

    def all(self) -> list[State]:
        """Every case, the newest first."""
        ids = [path.parent.name for path in self._cases.glob(f"*/{_STATE}")]
        return sorted(map(self.get, ids), key=lambda state: state.created, reverse=True)

    def remove(self, case_id: str) -> None:
        """Delete a case: its state first, so that it is gone at once."""
        folder = self.folder_of(case_id)
        with self._lock:
            (folder / _STATE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Delete the cases that have expired, and folders without a state."""
        now = datetime.now(UTC)
        for state in self.all():
            if datetime.fromisoformat(state.expires) <= now:
                self.remove(state.id)
                log.info("%s: expired, deleted", state.id)

    def _write(self, state: State) -> None:
        write_json(self._cases / state.id / _STATE, state)
