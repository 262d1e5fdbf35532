"""Cases of the page on disk: a folder each, deleted when it expires."""

import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import Field

from ..core.errors import InputError
from ..core.records import read_json, write_json
from ..core.strict import Strict
from .limits import MOST_TEXT
from .refusals import Refusal, plain

log = logging.getLogger(__name__)

Status = Literal[
    "received", "unclear", "waiting", "running", "done", "failed", "interrupted", "rejected"
]
"""received: being read; unclear: the user must choose series; waiting, running: for and by the
network; interrupted: its process ended; rejected: holds nothing that can be segmented."""
ID = re.compile(r"[A-Za-z0-9_-]{22}")
"""Of a case, and of a follow-up; what has another name was not made by the server."""
_STATE = "state.json"
RESULT, UPLOAD = "result", "upload"
NAMED = "named"
"""In an upload: a folder for each choice of series, with the files by their modalities."""
BODY = "body"
"""File of an upload that is complete and not unpacked."""
LABELS, SCENE = "labels.nii.gz", "scene"
"""In the result of a case."""
_ORPHAN_S = 3600.0
_MARKER = "tumorflow-store.json"
_OF_EARLIER = {"cases", "follow", "scenes", "token", ".lock"}
"""In a store of an earlier version, which had no marker."""


class Marker(Strict):
    """Says that a folder is a store, so that what has expired in it may be deleted."""

    format_version: Literal[1] = 1


class Series(Strict):
    """A volume of the upload that may be a modality."""

    key: str
    """Names it in requests: a path below the upload, or what modalities.yaml takes."""
    title: str
    facts: str
    thumbnail: str
    """File in the folder of the case; empty if it cannot be drawn."""
    fault: str = ""
    """Why it cannot be read; empty if it can."""


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
    """How often the present step, reading or segmenting, was started."""
    queued: str = ""
    """When it was given to the network, as `created`; gives the order after a restart."""

    @property
    def case(self) -> str:
        """Its name in results: says nothing of the patient."""
        return f"case-{re.sub('[^a-z0-9]', '0', self.id.lower())[:8]}"

    @property
    def title(self) -> str:
        """What the page calls it, which may name a patient; its name in results if it has none."""
        return self.label or self.case


class Store:
    """The cases in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there, readable by its owner alone; its folder ``cases`` always is.
    keep : timedelta
        How long a case is kept.

    Raises
    ------
    InputError
        If the folder holds anything, but is no store; or is one of a newer version.
    """

    def __init__(self, folder: Path, keep: timedelta) -> None:
        self.folder, self.keep = folder, keep
        self._cases = folder / "cases"
        self._lock = RLock()
        self._unreadable: set[str] = set()  # logged once
        _require_store(folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / _MARKER).exists():
            write_json(folder / _MARKER, Marker())
        self._cases.mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other servers out; InputError if there is one."""
        lock = FileLock(self.folder / ".lock", mode=0o600)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(
                f"{self.folder}: another server uses this folder. End it, or choose another by"
                " --store."
            ) from None
        with lock:
            lock.release()  # `acquire` and `with` count
            yield

    def folder_of(self, case_id: str) -> Path:
        """The folder of a case; `Refusal` if there is none of this id."""
        folder = self._cases / case_id
        if not ID.fullmatch(case_id) or not (folder / _STATE).is_file():
            raise Refusal("This case does not exist, or has expired. Drop its files again.", 404)
        return folder

    def new(self, label: str) -> State:
        """A new case with an empty folder."""
        now = datetime.now(UTC)
        state = State(
            id=secrets.token_urlsafe(16),
            label=plain(label, MOST_TEXT),
            created=now.isoformat(timespec="milliseconds"),
            expires=(now + self.keep).isoformat(timespec="milliseconds"),
            status="received",
        )
        folder = self._cases / state.id
        try:
            (folder / UPLOAD).mkdir(parents=True)
            self._write(state)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return state

    def get(self, case_id: str) -> State:
        """The state of a case; `Refusal` if there is none."""
        file = self.folder_of(case_id) / _STATE
        try:
            return read_json(file, State)
        except InputError:
            raise Refusal("This case is damaged. Drop its files again.", 404) from None

    def update(self, case_id: str, **changes: Any) -> State:
        """Change some fields of a state, given as plain values."""
        with self._lock:
            fields = self.get(case_id).model_dump(mode="json") | changes
            state = State.model_validate_json(json.dumps(fields))
            self._write(state)
            return state

    def all(self) -> list[State]:
        """Every case, the newest first; damaged ones are left out."""
        states = []
        for folder in self._cases.iterdir():
            with suppress(InputError):
                states.append(self.get(folder.name))
        return sorted(states, key=lambda state: (state.created, state.id), reverse=True)

    def remove(self, case_id: str) -> None:
        """Delete a case: its state first, so that it is gone at once."""
        folder = self.folder_of(case_id)
        with self._lock:
            (folder / _STATE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def expired(self) -> list[str]:
        """The cases that are kept no longer."""
        now = datetime.now(UTC)
        return [one.id for one in self.all() if datetime.fromisoformat(one.expires) <= now]

    def remove_rest(self, older_than_s: float = _ORPHAN_S) -> None:
        """Delete the folders of cases without a state that are so old, and those whose state cannot
        be read, of a newer version perhaps, once they are as old as a case may be.
        """
        whole = {state.id for state in self.all()}
        for folder in self._cases.iterdir():
            if folder.name in whole or not ID.fullmatch(folder.name):
                continue
            with suppress(OSError):
                file = folder / _STATE
                is_damaged = file.exists()
                most_s = self.keep.total_seconds() if is_damaged else older_than_s
                if time.time() - (file if is_damaged else folder).stat().st_mtime > most_s:
                    shutil.rmtree(folder, ignore_errors=True)
                elif is_damaged and folder.name not in self._unreadable:
                    self._unreadable.add(folder.name)
                    log.warning("%s: its state cannot be read, kept until it expires", folder.name)

    def _write(self, state: State) -> None:
        write_json(self._cases / state.id / _STATE, state)


def _require_store(folder: Path) -> None:
    """Raise InputError if a folder holds anything that no store holds."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}). Name another folder by --store."
        ) from None
    if _MARKER in names:
        read_json(folder / _MARKER, Marker)
    elif names and not (names <= _OF_EARLIER and _are_cases(folder / "cases")):
        raise InputError(
            f"{folder}: holds files, but is no store of this server, which deletes what expires in"
            " its store. Name a new or empty folder by --store."
        )


def _are_cases(folder: Path) -> bool:
    """Whether all that a folder holds are cases."""
    return folder.is_dir() and all(
        ID.fullmatch(case.name) and any((case / name).exists() for name in (_STATE, UPLOAD))
        for case in folder.iterdir()
    )
