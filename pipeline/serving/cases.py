"""What happens to a case: received, recognised, segmented; and what becomes of it after a crash."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

from ..core.errors import InputError
from ..core.records import write_bytes
from ..network.card import Card, read_card
from . import downloads
from .jobs import Answer, Task, Worker, message_of
from .limits import READER, Limits
from .refusals import ModelAbsent, Refusal
from .store import BODY, RESULT, UPLOAD, State, Store

log = logging.getLogger(__name__)

NOT_DONE = "This case is not done, so there is nothing to correct."
_MOST_ATTEMPTS = 2
_ACTIVE = ("received", "waiting", "running")
_ENDED = "The process that worked on this case ended. Start it again."
_UNFINISHED = "The process that prepared these ended. Segment the case again."
_UNREADABLE = "The process that read these files ended. They may be damaged: export them again."


class Cases:
    """The cases of a store and the processes that work on them.

    Parameters
    ----------
    store : Store
    model : Path
        Folder of the network.
    limits : Limits
    corrections : Path
        Folder of the cohort of corrected cases.
    """

    def __init__(
        self,
        store: Store,
        model: Path,
        limits: Limits | None = None,
        corrections: Path = Path("data/corrected"),
    ) -> None:
        self.store, self.model, self.limits = store, model, limits or Limits()
        self.corrections = corrections
        self.reader, self.segmenter = Worker(READER), Worker("segmenter")
        self.corrector = Worker("corrector", ends_when_idle=True)  # it has no queue before it
        self._progress: dict[str, tuple[str, float]] = {}
        self._uploads: set[str] = set()
        self._entering: set[str] = set()  # being put into a queue
        self._correcting: list[str] = []  # whose corrections are being saved
        self._lock = Lock()
        self._card: Card | None = None

    def card(self) -> Card:
        """The card of the network; the last one while it is being replaced, `ModelAbsent` if there
        was none.
        """
        try:
            self._card = read_card(self.model)
        except (InputError, OSError):
            if self._card is None:
                raise ModelAbsent from None
        return self._card

    def start(self) -> None:
        """Load the network, and go on with what an earlier server has left."""
        with suppress(ModelAbsent):
            self.card()  # the pages need one when it is gone
        self.reader.warm_up()
        self._load()
        self.store.remove_rest(older_than_s=0)
        self.sweep()
        for state in sorted(self.store.all(), key=lambda one: (one.queued or one.created, one.id)):
            if state.status == "received":
                self._read_again(state)
            elif state.status in ("waiting", "running", "interrupted"):
                self._go_on(state)
            elif state.status == "done" and not downloads.is_complete(
                self.store.folder_of(state.id) / RESULT
            ):
                self._finish(state.id)

    def stop(self) -> None:
        """End the processes. The case that is worked on goes on with the next start."""
        self.reader.stop()
        self.corrector.stop()
        task = self.segmenter.stop()
        if task and task.name == "segment":
            with suppress(InputError, OSError):
                attempts = max(self.store.get(task.case_id).attempts - 1, 0)
                self.store.update(task.case_id, status="waiting", attempts=attempts)

    def get(self, case_id: str) -> State:
        """The state of a case, as `current`; `Refusal` if there is none."""
        return self.current(self.store.get(case_id))

    def all(self) -> list[State]:
        """Every case, the newest first."""
        return [self.current(state) for state in self.store.all()]

    def current(self, state: State) -> State:
        """A state as it is: interrupted, if it should be worked on but is not, since its end could
        not be noted.
        """
        if state.status not in _ACTIVE or self._is_active(state.id):
            return state
        state = self.store.get(state.id)  # it may have ended meanwhile
        if state.status not in _ACTIVE or self._is_active(state.id):
            return state
        return state.model_copy(update={"status": "interrupted", "message": _ENDED})

    def _is_active(self, case_id: str) -> bool:
        held = self.reader.holds(case_id) or self.segmenter.holds(case_id)
        return held or case_id in self._uploads or case_id in self._entering

    def remove(self, case_id: str) -> None:
        """Delete a case and end what is done for it; `Refusal` while its correction is saved."""
        self.reader.cancel(case_id)
        with self._lock:
            self._require_no_correction(case_id)
            self.segmenter.cancel(case_id)
            self.store.remove(case_id)
        self._progress.pop(case_id, None)

    def sweep(self) -> None:
        """Delete the cases that have expired."""
        for case_id in self.store.expired():
            with suppress(InputError):
                self.remove(case_id)
                log.info("%s: expired, deleted", case_id)
        self.store.remove_rest()

    def progress(self, case_id: str) -> tuple[str, float]:
        """What is being done for a case, and the share of it that is done."""
        uploading = ("Uploading", 0.0) if case_id in self._uploads else ("", 0.0)
        return self._progress.get(case_id, uploading)

    def ahead(self, case_id: str) -> int:
        """How many cases the network takes before this one."""
        return self.segmenter.ahead(case_id, "segment")

    @contextmanager
    def receiving(self, label: str) -> Iterator[tuple[State, Path]]:
        """A new case, and the file for what is sent; it is recognised when the block ends, and
        nothing is left of it if the block raises.

        Raises
        ------
        Refusal
            If too much is being received, waiting or kept.
        """
        busy, limits = HTTPStatus.SERVICE_UNAVAILABLE, self.limits
        with self._lock:
            states = self.store.all()
            active = sum(state.status in _ACTIVE for state in states)
            if len(self._uploads) >= limits.most_uploads:
                raise Refusal("Others are sending files. Wait a moment and send again.", busy)
            if active >= limits.most_waiting:
                raise Refusal(f"{active} cases are waiting. Send again when some are done.", busy)
            if len(states) >= limits.most_cases:
                raise Refusal(f"{len(states)} cases are kept. Delete some and send again.", busy)
            state = self.store.new(label)
            self._uploads.add(state.id)
        folder = self.store.folder_of(state.id) / UPLOAD
        try:
            yield state, folder / f".{BODY}"
            (folder / f".{BODY}").rename(folder / BODY)
            self.received(state.id)
        except BaseException:
            with suppress(InputError):
                self.remove(state.id)
            raise
        finally:
            self._uploads.discard(state.id)

    def received(self, case_id: str) -> None:
        """Recognise the series of a case whose upload is complete."""

        def started() -> None:
            self.store.update(case_id, attempts=self.store.get(case_id).attempts + 1)

        def ended(answer: Answer) -> None:
            self._progress.pop(case_id, None)
            state = self.store.get(case_id)
            if "done" in answer:
                self.store.update(case_id, **answer["done"], attempts=0)
                if answer["done"]["status"] == "waiting":
                    self.segment(case_id)
            elif not answer and state.attempts < _MOST_ATTEMPTS:
                self.received(case_id)
            else:
                self.store.update(
                    case_id, status="rejected", message=message_of(answer, _UNREADABLE)
                )

        values = {
            "folder": str(self.store.folder_of(case_id)),
            "modalities": self.card().cohort.modalities,
            "label": self.store.get(case_id).label,
            "most_unpacked": self.limits.most_unpacked,
            "reserve_bytes": self.limits.reserve_bytes,
        }
        reported, most_s = self._reporting(case_id), self.limits.read_s
        self.reader.submit(Task("recognise", values, case_id, most_s, started, reported, ended))

    def choose(self, case_id: str, chosen: Mapping[str, str], native: bool) -> None:
        """Segment a case by the series that a person chose; InputError if it has no such series, or
        is being worked on. One that is not recognised yet, for want of a network, is recognised.
        """
        with self._lock:
            state = self.get(case_id)
            if state.status in _ACTIVE:
                raise Refusal("This case is being worked on. Wait until it is done.", 409)
            self._require_no_correction(case_id)
            readable = {series.key for series in state.series if not series.fault}
            if not chosen or {*chosen.values()} - readable:
                raise InputError("Choose a series of this case that can be read for each modality.")
            card = self.card()
            modalities = card.cohort.modalities
            if not {*chosen} <= {*modalities}:
                raise InputError(f"The network takes {', '.join(modalities)}. Choose among those.")
            for name, key in chosen.items():
                if twins := [other for other in chosen if chosen[other] == key and other != name]:
                    raise InputError(
                        f"One series is chosen for {' and '.join([name, *twins])}. Choose the"
                        " series of each."
                    )
            missing = [name for name in modalities if name not in chosen]
            if missing and not card.accepts_missing_modalities:
                raise InputError(
                    f"The network needs {', '.join(modalities)}. Choose a series for"
                    f" {' and '.join(missing)} too, or drop the files that are missing."
                )
            self.store.update(case_id, chosen=dict(chosen), native=native, attempts=0)
            self.segment(case_id)

    def correct(
        self, case_id: str, drawn: Mapping[str, Any], ended: Callable[[Answer], None]
    ) -> None:
        """Save a correction of a case, which is neither deleted nor segmented again meanwhile;
        `Refusal` unless it is done.

        Parameters
        ----------
        drawn : mapping
            What `correction_task.correct` needs beside `values`.
        ended : callable
            Called with the answer.
        """
        with self._lock:
            state = self.get(case_id)
            if state.status != "done":
                raise Refusal(NOT_DONE, HTTPStatus.CONFLICT)
            self._correcting.append(case_id)

        def answered(answer: Answer) -> None:
            self._correcting.remove(case_id)
            ended(answer)

        values, most_s = {**self.values(state), **drawn}, self.limits.segment_s
        self.corrector.submit(Task("correct", values, case_id, most_s, ended=answered))

    def _require_no_correction(self, case_id: str) -> None:
        if case_id in self._correcting:
            raise Refusal(
                "A correction of this case is being saved. Wait until it is.", HTTPStatus.CONFLICT
            )

    def segment(self, case_id: str) -> None:
        """Put a case in the queue of the network."""
        queued = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._entering.add(case_id)
        try:
            self._enqueue(self.store.update(case_id, status="waiting", message="", queued=queued))
        finally:
            self._entering.discard(case_id)

    def _enqueue(self, state: State) -> None:
        case_id = state.id

        def started() -> None:
            attempts = self.store.get(case_id).attempts + 1
            self.store.update(case_id, status="running", attempts=attempts)

        def ended(answer: Answer) -> None:
            self._progress.pop(case_id, None)
            if self.segmenter.pid is None:
                self._load()
            if "done" in answer:
                self.store.update(case_id, status="done", message="")
                self._finish(case_id)
            else:
                is_interrupted = not answer or answer.get("absent")
                status = "interrupted" if is_interrupted else "failed"
                self.store.update(case_id, status=status, message=message_of(answer, _ENDED))

        values, most_s = self.values(state), self.limits.segment_s
        reported = self._reporting(case_id)
        self.segmenter.submit(Task("segment", values, case_id, most_s, started, reported, ended))

    def values(self, state: State) -> dict[str, Any]:
        """What a task of the network needs to know of a case."""
        return {
            "folder": str(self.store.folder_of(state.id)),
            "model": str(self.model),
            **{name: getattr(state, name) for name in ("case", "kind", "chosen", "native")},
        }

    def _finish(self, case_id: str) -> None:
        """Prepare what is offered beside the labels; see `downloads`."""

        def ended(answer: Answer) -> None:
            if "done" not in answer:
                note = self.store.folder_of(case_id) / RESULT / downloads.UNFINISHED
                write_bytes(note, message_of(answer, _UNFINISHED).encode())

        values, most_s = self.values(self.store.get(case_id)), self.limits.segment_s
        self.segmenter.submit(Task("finish", values, case_id, most_s, ended=ended))

    def _load(self) -> None:
        self.segmenter.submit(Task("load", {"model": str(self.model)}, ended=_log_failure))

    def _read_again(self, state: State) -> None:
        """Recognise a case again whose server ended, or remove it if its upload was cut."""
        upload = self.store.folder_of(state.id) / UPLOAD
        if not any((upload / name).exists() for name in (BODY, "files")):
            self.remove(state.id)
        elif state.attempts < _MOST_ATTEMPTS:
            self.received(state.id)
        else:
            self.store.update(state.id, status="rejected", message=_UNREADABLE)

    def _go_on(self, state: State) -> None:
        if state.attempts < _MOST_ATTEMPTS:
            self._enqueue(self.store.update(state.id, status="waiting", message=""))
        else:
            self.store.update(state.id, status="interrupted", message=_ENDED)

    def _reporting(self, case_id: str) -> Any:
        def reported(step: str, share: float) -> None:
            self._progress[case_id] = (step, share)

        return reported


def _log_failure(answer: Answer) -> None:
    if "done" not in answer:
        log.error("the network cannot be loaded: %s", message_of(answer, _ENDED))
