"""A watched folder: each study in it is segmented once, when it has stopped growing.

A study is a folder directly in the watched one. ``watch.json`` beside the results says what became
of each, under a pseudonym of its name; it is written after the results, so that a process that was
killed at any moment segments again what is not complete, and nothing else. The folder is looked at
again and again, since network drives report no changes.
"""

import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from ..core.errors import InputError
from ..core.records import read_json, write_json
from ..core.strict import Strict
from ..formats.dicom.header import pseudonym
from ..segmenting.finding import OneCase, Unusable, check_outside
from .outbox import Outbox
from .segmenter import Segmenter
from .server import Server

log = logging.getLogger(__name__)

STATE = "watch.json"
_STORE_EVERY_S = 300.0
_LEVELS = {"done": logging.INFO, "failed": logging.WARNING}
_LOCKS = ".watch.lock", ".tumorflow-watch.lock"


class Processed(Strict):
    """What became of a study, as it was with this `signature`."""

    signature: str
    state: Literal["done", "failed"]
    cases: tuple[str, ...]
    reasons: tuple[str, ...]


class _State(Strict):
    """The content of `STATE`: studies by the pseudonym of their folder."""

    format_version: Literal[1]
    studies: dict[str, Processed]


def folder_name(name: str) -> str:
    """The pseudonym of a study's folder, whose name may be that of the patient."""
    return f"folder-{pseudonym('folder', name)}"


def signature(folder: Path) -> str:
    """A hash of the names, sizes and times of change of all files below a folder, hidden ones
    included; empty if there is no file, or the folder changed meanwhile.
    """
    lines: list[str] = []
    seen: set[tuple[int, int]] = set()
    try:
        for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            for name in names:
                path = os.path.join(place, name)
                found = os.stat(path)
                if stat.S_ISREG(found.st_mode):
                    inside = os.path.relpath(path, folder)
                    lines.append(f"{inside}\0{found.st_size}\0{found.st_mtime_ns}\n")
    except OSError:
        return ""
    text = "".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest() if lines else ""


def _raise(error: OSError) -> None:
    raise error


@dataclass(eq=False)
class Watch:
    """Segments what arrives in a folder.

    Attributes
    ----------
    folder : Path
    segmenter : Segmenter
        Its `out` must not lie in the watched folder.
    quiet_s, poll_s : float
        How long a study must not have changed; pause between two looks.
    server : Server, optional
        Where the DICOM files of the results are stored.
    """

    folder: Path
    segmenter: Segmenter
    quiet_s: float
    poll_s: float
    server: Server | None = None
    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    _store_after: float = 0.0

    def run(self, stop: threading.Event, once: bool = False, retry_failed: bool = False) -> bool:
        """Watch until `stop` is set; with `once` process what is there and quiet, and return.

        Returns
        -------
        bool
            Whether no study failed and nothing is left to be stored.

        Raises
        ------
        InputError
            If the folder is not there, is watched already or holds the results, the state is
            damaged, or results cannot be written.
        """
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: is not a folder. Name the folder to watch.")
        check_outside(self.out, [self.folder])
        with self._alone():
            if retry_failed:
                self._forget_failed()
            well = self._pass(stop)
            if once and self._seen:
                stop.wait(self.quiet_s)
                well &= self._pass(stop)
            while not once and not stop.wait(self.poll_s):
                self._pass(stop)
        return well

    @property
    def out(self) -> Path:
        """The folder of the results."""
        return self.segmenter.out

    def status(self) -> dict[str, Processed | None]:
        """What became of each study that is in the folder, by the name of its folder; None of one
        that is not processed, or has changed since.
        """
        known = self._state().studies
        found = {}
        for name in self._names():
            one = known.get(folder_name(name))
            is_same = one is not None and one.signature == signature(self.folder / name)
            found[name] = one if is_same else None
        return found

    def _pass(self, stop: threading.Event) -> bool:
        """Look once, process what is quiet, and store; whether all went well."""
        well = True
        for name, mark in self._quiet():
            if stop.is_set():
                return well
            well &= self._process(name, mark, stop)
        return self._store() and well

    def _names(self) -> list[str]:
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
            return [each.name for each in entries if each.is_dir() and each.name[0] != "."]
        except OSError as error:  # a network drive that is away for now
            log.warning("warning: the watched folder cannot be listed (%s)", error.strerror)
            return []

    def _quiet(self) -> list[tuple[str, str]]:
        """Names and signatures of studies that have not changed for long enough and are not
        processed as they are; the others are noted in `_seen`.
        """
        known, now, quiet = self._state().studies, time.monotonic(), []
        before = dict(self._seen)
        self._seen.clear()
        for name in self._names():
            mark = signature(self.folder / name)
            one = known.get(folder_name(name))
            if not mark or (one and one.signature == mark):
                continue
            then, since = before.get(name, ("", now))
            since = since if then == mark else now
            if then == mark and now - since >= self.quiet_s:
                quiet.append((name, mark))
            else:
                self._seen[name] = (mark, since)
        return quiet

    def _process(self, name: str, mark: str, stop: threading.Event) -> bool:
        """Segment a study and note what became of it; whether it went well. It is not noted if it
        changed meanwhile: it is then not quiet.
        """
        folder, key = self.folder / name, folder_name(name)
        with _named(folder, key) as renamed:
            done, reasons, is_whole = self._segmented(folder, key, stop)
            if not is_whole:
                return True
            if signature(folder) != mark:
                log.info("%s: changed while it was segmented", key)
                return True
            if self.server:
                self._outbox.add(self._files(done), self.server.url)
                self._store_after = 0.0
        said = tuple(renamed(reason) for reason in reasons)
        state: Literal["done", "failed"] = "failed" if said else "done"
        one = Processed(signature=mark, state=state, cases=tuple(done), reasons=said)
        self._write(self._state().studies | {key: one})
        log.log(_LEVELS[state], "%s", ": ".join((key, state, *said)))
        return not said

    def _segmented(
        self, folder: Path, key: str, stop: threading.Event
    ) -> tuple[list[str], list[str], bool]:
        """Cases of a study that are done, the reasons of those that failed, and whether these are
        all: the process may be ended in between.
        """
        done: list[str] = []
        reasons: list[str] = []
        try:
            cases = [self._unless_elsewhere(case, key) for case in self.segmenter.find([folder])]
            outcomes = self.segmenter.segment(cases)
        except InputError as error:
            return [], [str(error)], True
        for outcome in outcomes:
            if outcome.state == "failed":
                reasons.append(outcome.failure)
            else:
                done.append(outcome.case)
                log.info("%s: %s", key, outcome.summary)
            if stop.is_set():
                break
        return done, reasons, len(done) + len(reasons) == len(cases)

    def _unless_elsewhere(self, case: OneCase | Unusable, key: str) -> OneCase | Unusable:
        """A case, unusable if its result is that of another folder which is still there."""
        here = {folder_name(name) for name in self._names()} - {key}
        for other, one in self._state().studies.items():
            if isinstance(case, OneCase) and case.name in one.cases and other in here:
                return Unusable(case.name, f"is also in {other}. Remove one of the two folders.")
        return case

    def _files(self, cases: list[str]) -> list[Path]:
        return [path for case in cases for path in self.segmenter.dicom_files(case)]

    @property
    def _outbox(self) -> Outbox:
        return Outbox(self.out / "outbox")

    def _store(self) -> bool:
        """Send what is in the outbox, what was left before after a while; whether nothing is left
        of what was sent.
        """
        if not self.server or time.monotonic() < self._store_after:
            return True
        self._store_after = time.monotonic() + _STORE_EVERY_S
        try:
            sent = self._outbox.send(self.server)
        except InputError as error:
            log.warning("warning: %s Results stay in the outbox", error)
            return False
        for one in sent:
            if one.arrived:
                log.info("%s: %s has it", one.uid, self.server.url)
            else:
                log.warning("warning: %s stays in the outbox: %s", one.uid, one.reason)
        return all(one.arrived for one in sent)

    def _state(self) -> _State:
        path = self.out / STATE
        if not path.exists():
            return _State(format_version=1, studies={})
        try:
            return read_json(path, _State)
        except InputError:
            raise InputError(
                f"{path}: is damaged. Remove it: studies whose results are complete are not"
                " segmented again."
            ) from None

    def _write(self, studies: dict[str, Processed]) -> None:
        write_json(self.out / STATE, _State(format_version=1, studies=studies))

    def _forget_failed(self) -> None:
        known = self._state().studies
        self._write({key: one for key, one in known.items() if one.state != "failed"})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the locks of both folders; that of a watched folder which cannot be written to is
        left out.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            for place, name in zip((self.out, self.folder), _LOCKS, strict=True):
                try:
                    held.enter_context(FileLock(place / name, timeout=0))
                except Timeout:
                    raise InputError(
                        f"{place}: another `watch` works in this folder. End it first."
                    ) from None
                except OSError:
                    if place == self.out:
                        raise
            yield


@contextmanager
def _named(folder: Path, key: str) -> Iterator["_Renamed"]:
    """Within this context, log messages have the pseudonym of a study instead of paths in it."""
    renamed = _Renamed(folder, key)
    handlers = logging.getLogger().handlers
    for handler in handlers:
        handler.addFilter(renamed.filter)
    try:
        yield renamed
    finally:
        for handler in handlers:
            handler.removeFilter(renamed.filter)


class _Renamed:
    """Replaces paths in a study, whose names may be those of the patient, by its pseudonym."""

    def __init__(self, folder: Path, key: str) -> None:
        places = {folder, folder.resolve()}
        below = [
            os.path.join(above, name)
            for place in places
            for above, folders, names in os.walk(place)
            for name in (*folders, *names)
        ]
        self._paths = sorted((*map(str, places), *below), key=len, reverse=True)
        self._key = key

    def __call__(self, text: str) -> str:
        for path in self._paths:
            text = text.replace(path, self._key)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Rename in a record."""
        record.msg, record.args = self(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = self(logging.Formatter().formatException(record.exc_info))
        return True
