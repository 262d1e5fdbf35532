"""Follow-ups of cases in the store: a folder each, deleted with the first of its cases."""

import json
import logging
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from ..core.errors import InputError
from ..core.records import read_json, write_json
from ..core.strict import Strict
from .cases import Cases
from .jobs import Answer, Task, Worker, message_of
from .refusals import Refusal, require_room
from .store import ID, RESULT, State
from .visit_labels import fingerprint

log = logging.getLogger(__name__)

_STATE = "state.json"
_MOST_VISITS, _MOST_KEPT = 20, 100
_ENDED = "The process that followed the visits ended. Choose the visits again."
_GONE = "This follow-up does not exist, or one of its cases was deleted. Choose the visits again."


class Visit(Strict):
    """A case of a follow-up."""

    case: str
    """Its id."""
    day: float | None = None
    """Since any first day, if somebody knows it and the headers do not."""


class FollowUpState(Strict):
    """What is known of a follow-up."""

    format_version: Literal[1] = 1
    id: str
    created: str
    """ISO 8601 in UTC."""
    status: Literal["waiting", "running", "done", "failed"]
    message: str = ""
    visits: tuple[Visit, ...]
    """As they were chosen; in order of time once it is done."""
    baseline: str = ""
    """Id of the case that is the baseline; empty for the first visit."""
    labels: tuple[str, ...] = ()
    """Of every visit, the `visit_labels.fingerprint` of the labels that were measured; none of a
    follow-up by an earlier version."""


class FollowUps:
    """The follow-ups of cases, worked on by a process of its own, since registration takes long; it
    ends when nothing is left to do.

    Parameters
    ----------
    cases : Cases
    """

    def __init__(self, cases: Cases) -> None:
        self._cases, self._lock = cases, RLock()
        self.worker = Worker("follower", ends_when_idle=True)
        self.folder = cases.store.folder / "follow"
        self.folder.mkdir(exist_ok=True, mode=0o700)

    def start(self) -> None:
        """Go on with what an earlier server has left."""
        self.sweep()
        for state in self.all():
            if state.status in ("waiting", "running"):
                self._submit(state)

    def stop(self) -> None:
        """End the process."""
        self.worker.stop()

    def folder_of(self, follow_id: str) -> Path:
        """The folder of a follow-up all of whose cases are there; InputError if there is none."""
        folder = self.folder / follow_id
        if not ID.fullmatch(follow_id) or not (folder / _STATE).is_file():
            raise Refusal(_GONE, 404)
        for visit in read_json(folder / _STATE, FollowUpState).visits:
            try:
                self._cases.store.folder_of(visit.case)
            except InputError:
                raise Refusal(_GONE, 404) from None
        return folder

    def get(self, follow_id: str) -> FollowUpState:
        """The state of a follow-up; InputError as of `folder_of`."""
        return read_json(self.folder_of(follow_id) / _STATE, FollowUpState)

    def all(self) -> list[FollowUpState]:
        """Every follow-up, the newest first."""
        found = []
        for path in self.folder.glob(f"*/{_STATE}"):
            try:
                found.append(self.get(path.parent.name))
            except InputError:
                continue  # deleted by the next sweep
        return sorted(found, key=lambda state: state.created, reverse=True)

    def new(
        self, visits: Sequence[Visit], baseline: str = "", one_patient: bool = False
    ) -> FollowUpState:
        """Follow a patient.

        Parameters
        ----------
        visits : sequence of Visit
            In order of time, as far as neither days nor headers tell it.
        baseline : str
            Id of one of the cases; empty for the first visit.
        one_patient : bool
            Whether differing identifiers in DICOM headers are of the same patient.

        Raises
        ------
        InputError
            If there are fewer than two visits, a case twice, one that is not done, cases of several
            patients, or days of some visits alone; or too many follow-ups are kept, or the disk is
            full.
        """
        ids = [visit.case for visit in visits]
        states = [self._cases.store.get(case_id) for case_id in ids]
        _require_fitting(states, one_patient)
        _require_days(visits, states)
        if baseline and baseline not in ids:
            raise InputError("The baseline is no visit of this follow-up. Choose one of them.")
        if (kept := len(self.all())) >= _MOST_KEPT:
            said = f"{kept} follow-ups are kept. They go with their cases: delete some of those."
            raise Refusal(said, HTTPStatus.SERVICE_UNAVAILABLE)
        require_room(self.folder, self._cases.limits.reserve_bytes)
        state = FollowUpState(
            id=secrets.token_urlsafe(16),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="waiting",
            visits=tuple(visits),
            baseline=baseline,
        )
        self._write(state)
        self._submit(state)
        return state

    def remove(self, follow_id: str) -> None:
        """Delete a follow-up, and end its work; its cases stay."""
        folder = self.folder_of(follow_id)
        self.worker.cancel(follow_id)
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Delete the follow-ups that have lost a case, and those whose state cannot be read once
        they are as old as a case may be.
        """
        for folder in filter(lambda path: ID.fullmatch(path.name), self.folder.iterdir()):
            try:
                self.folder_of(folder.name)
            except InputError as error:
                if not isinstance(error, Refusal) and not self._is_old(folder / _STATE):
                    continue
                self.worker.cancel(folder.name)
                shutil.rmtree(folder, ignore_errors=True)
                log.info("follow-up %s: a case of it is gone, deleted", folder.name)

    def _is_old(self, file: Path) -> bool:
        return time.time() - file.stat().st_mtime > self._cases.store.keep.total_seconds()

    def described(self, state: FollowUpState) -> dict[str, Any]:
        """A follow-up for the page: its state, the label of the case of each visit, and which visit
        is the baseline.
        """
        labels = [self._cases.store.get(visit.case) for visit in state.visits]
        described = state.model_dump(mode="json")
        for visit, case in zip(described["visits"], labels, strict=True):
            visit["label"] = case.title
        described["baseline_words"] = _baseline_of(described)
        return described

    def changed(self, state: FollowUpState) -> list[int] | None:
        """Numbers of the visits whose labels are others than those that were measured; None if
        nobody knows, of a follow-up by an earlier version.
        """
        if not state.labels:
            return None
        folders = [self._cases.store.folder_of(visit.case) for visit in state.visits]
        known = zip(folders, state.labels, strict=True)
        return [
            number
            for number, (folder, labels) in enumerate(known, 1)
            if fingerprint(folder / RESULT) != labels
        ]

    def listed(self) -> list[dict[str, Any]]:
        """Every follow-up as `described`; one whose case is deleted meanwhile is left out."""
        found = []
        for state in self.all():
            with suppress(InputError):
                found.append(self.described(state))
        return found

    def _submit(self, state: FollowUpState) -> None:
        def ended(answer: Answer) -> None:
            if "done" not in answer:
                self._update(state.id, status="failed", message=message_of(answer, _ENDED))
                return
            known = [visit.model_dump() for visit in state.visits]
            visits = [known[one["place"]] | {"day": one["day"]} for one in answer["done"]["visits"]]
            labels = [one["labels"] for one in answer["done"]["visits"]]
            self._update(state.id, status="done", message="", visits=visits, labels=labels)

        store, cases = self._cases.store, self._cases
        visits = [
            cases.values(store.get(visit.case))
            | {"day": visit.day, "is_baseline": visit.case == state.baseline}
            for visit in state.visits
        ]
        values = {
            "folder": str(self.folder / state.id),
            "model": str(cases.model),
            "visits": visits,
        }

        def started() -> None:
            self._update(state.id, status="running")

        most_s = cases.limits.segment_s
        task = Task("follow", values, state.id, most_s, started, ended=ended)
        self.worker.submit(task)

    def _update(self, follow_id: str, **changes: Any) -> None:
        with self._lock:
            fields = self.get(follow_id).model_dump(mode="json") | changes
            self._write(FollowUpState.model_validate_json(json.dumps(fields)))

    def _write(self, state: FollowUpState) -> None:
        write_json(self.folder / state.id / _STATE, state)


def _baseline_of(described: Mapping[str, Any]) -> str:
    """The baseline in words; visits have numbers once they are in order of time."""
    visits, chosen = described["visits"], described["baseline"]
    if described["status"] != "done" and not chosen:
        return "the first visit"
    ids = [visit["case"] for visit in visits]
    number = ids.index(chosen) if chosen else 0
    label = visits[number]["label"]
    return f"visit {number + 1}, {label}" if described["status"] == "done" else label


def _require_fitting(states: Sequence[State], one_patient: bool) -> None:
    """Raise InputError unless these cases can be the visits of one patient."""
    if not 2 <= len(states) <= _MOST_VISITS:
        raise InputError(f"Choose at least two visits, and at most {_MOST_VISITS}.")
    if len({state.id for state in states}) < len(states):
        raise InputError("A case was chosen twice. Choose each visit once.")
    for state in states:
        if state.status != "done":
            raise InputError(
                f"{state.title}: is not segmented yet. Wait until it is done, or leave it out."
            )
    patients = {state.patient for state in states} - {""}
    if len(patients) > 1 and not one_patient:
        raise InputError(
            f"The visits are of {len(patients)} patients by their DICOM headers. Choose visits of"
            ' one patient, or tick "It is one patient, although the DICOM headers name several".'
        )


def _require_days(visits: Sequence[Visit], states: Sequence[State]) -> None:
    """Raise InputError if days are entered for some visits and nothing can give those of all."""
    unknown = [
        state.title for visit, state in zip(visits, states, strict=True) if visit.day is None
    ]
    if not unknown or len(unknown) == len(visits):
        return
    if any(state.kind != "dicom" for state in states):
        raise InputError(
            f"Days are entered for some visits, not for {', '.join(unknown)}. Enter the day of"
            " every visit, from any first day, or of none."
        )
