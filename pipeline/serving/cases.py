"""What happens to a case: received, recognised, segmented; and what becomes of it after a crash."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.records import write_bytes
from . import downloads
from .jobs import Task, Worker
from .store import RESULT, State, Store

log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 2
_BROKEN = "TumorFlow failed at this case ({}). The log of the server says where."
_ENDED = "The process that worked on this case ended. Start it again."


class Cases:
    """The cases of a store and the two processes that work on them.

    Parameters
    ----------
    store : Store
    model : Path
        Folder of the network.
    corrections : Path
        Folder of the cohort of corrected cases.
    """

    def __init__(
        self, store: Store, model: Path, corrections: Path = Path("data/corrected")
    ) -> None:
        self.store, self.model, self.corrections = store, model, corrections
        self.reader, self.segmenter = Worker("reader"), Worker("segmenter")
        self._progress: dict[str, tuple[str, float]] = {}
        self._queue: list[str] = []  # for the network, with the one that it works on

    def start(self) -> None:
        """Load the network, and go on with what an earlier server has left."""
        self.segmenter.submit(Task("load", {"model": str(self.model)}, ended=_log_failure))
        self.store.sweep()
        for state in reversed(self.store.all()):
            if state.status == "received":
                self.store.remove(state.id)  # the upload was cut
            elif state.status in ("waiting", "running", "interrupted"):
                self._go_on(state)
            elif state.status == "done" and not downloads.is_complete(
                self.store.folder_of(state.id) / RESULT
            ):
                self._finish(state.id)

    def stop(self) -> None:
        """End both processes."""
        self.reader.stop()
        self.segmenter.stop()

    def progress(self, case_id: str) -> tuple[str, float]:
        """What is being done for a case, and the share of it that is done."""
        return self._progress.get(case_id, ("", 0.0))

    def ahead(self, case_id: str) -> int:
        """How many cases the network takes before this one."""
        return self._queue.index(case_id) if case_id in self._queue else 0

    def received(self, case_id: str) -> None:
        """Recognise the series of a case whose upload is complete."""

        def ended(answer: Mapping[str, Any]) -> None:
            if "done" not in answer:
                self.store.update(case_id, status="rejected", message=message_of(answer))
                return
            self.store.update(case_id, **answer["done"])
            if answer["done"]["status"] == "waiting":
                self.segment(case_id)

        values = {"folder": str(self.store.folder_of(case_id)), "model": str(self.model)}
        self.reader.submit(
            Task("recognise", values, reported=self._reporting(case_id), ended=ended)
        )

    def choose(self, case_id: str, chosen: Mapping[str, str], native: bool) -> None:
        """Segment a case by the series that a person chose; InputError if it has no such series, or
        is being worked on.
        """
        state = self.store.get(case_id)
        if state.status in ("received", "waiting", "running"):
            raise InputError("This case is being worked on. Wait until it is done.")
        foreign = {*chosen.values()} - {series.key for series in state.series}
        if foreign or not chosen:
            raise InputError("Choose a series of this case for each modality.")
        self.store.update(case_id, chosen=dict(chosen), native=native, attempts=0)
        self.segment(case_id)

    def segment(self, case_id: str) -> None:
        """Put a case in the queue of the network."""
        state = self.store.update(case_id, status="waiting", message="")
        self._queue.append(case_id)

        def started() -> None:
            del self._queue[: self._queue.index(case_id)]  # those before have ended, or are deleted
            attempts = self.store.get(case_id).attempts + 1
            self.store.update(case_id, status="running", attempts=attempts)

        def ended(answer: Mapping[str, Any]) -> None:
            self._progress.pop(case_id, None)
            self._queue.remove(case_id)
            if "done" in answer:
                self.store.update(case_id, status="done", message="")
                self._finish(case_id)
            else:
                status = "failed" if answer else "interrupted"
                self.store.update(case_id, status=status, message=message_of(answer))

        task = Task("segment", self.values(state), started, self._reporting(case_id), ended)
        self.segmenter.submit(task)

    def values(self, state: State) -> dict[str, Any]:
        """What a task of the network needs to know of a case."""
        return {
            "folder": str(self.store.folder_of(state.id)),
            "model": str(self.model),
            **{name: getattr(state, name) for name in ("case", "kind", "chosen", "native")},
        }

    def _finish(self, case_id: str) -> None:
        """Prepare what is offered beside the labels; see `downloads`."""

        def ended(answer: Mapping[str, Any]) -> None:
            if "done" not in answer:
                log.error("%s: no extras: %s", case_id, message_of(answer))
                note = self.store.folder_of(case_id) / RESULT / downloads.UNFINISHED
                write_bytes(note, message_of(answer).encode())

        self.segmenter.submit(Task("finish", self.values(self.store.get(case_id)), ended=ended))

    def _go_on(self, state: State) -> None:
        if state.attempts < _MOST_ATTEMPTS:
            self.segment(state.id)
        else:
            self.store.update(state.id, status="interrupted", message=_ENDED)

    def _reporting(self, case_id: str) -> Any:
        def reported(step: str, share: float) -> None:
            self._progress[case_id] = (step, share)

        return reported


def message_of(answer: Mapping[str, Any]) -> str:
    """Why a task gave nothing, for a person."""
    if not answer:
        return _ENDED
    return answer.get("failed") or _BROKEN.format(answer.get("broken"))


def _log_failure(answer: Mapping[str, Any]) -> None:
    if "done" not in answer:
        log.error("the network cannot be loaded: %s", message_of(answer))
