"""Results on their way to a DICOMweb server: kept on disk until the server has them.

``<UID>.json`` says for which server an instance is and why it is still here, ``<UID>.dcm`` is the
instance. The server is asked before an instance is sent, and again before it is sent once more, so
that none is stored twice.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydicom

from ..cohorts.fetching.fetch import LONGEST_WAIT_SECONDS, locked
from ..core.errors import InputError
from ..core.records import read_json, write_bytes, write_json
from ..core.strict import Strict
from ..formats.dicom.header import errors_reported
from .server import Rejected, Server, is_uid
from .session import PassingFault

log = logging.getLogger(__name__)

_FIRST = "SEG"  # other results refer to it


class _Entry(Strict):
    """An instance in the outbox."""

    server: str
    study: str
    modality: str
    state: Literal["waiting", "unclear", "rejected"]
    reason: str


@dataclass(frozen=True)
class Sent:
    """What became of an instance: ``stored`` now, ``there`` before, or still in the outbox, where
    `reason` says why.
    """

    uid: str
    state: Literal["stored", "there", "waiting", "unclear", "rejected"]
    reason: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the server has it."""
        return self.state in ("stored", "there")


@dataclass(frozen=True)
class Outbox:
    """A folder of instances that are to be stored."""

    folder: Path

    def add(self, files: Iterable[Path], server: str) -> None:
        """Copy DICOM files, which are for the server at this address.

        Raises
        ------
        InputError
            If a file is no DICOM file with valid UIDs.
        """
        for path in files:
            with errors_reported(path):
                stored = path.read_bytes()
                dataset = pydicom.dcmread(path, stop_before_pixels=True)
                uid, study = str(dataset.SOPInstanceUID), str(dataset.StudyInstanceUID)
                modality = str(dataset.get("Modality", ""))
            if not (is_uid(uid) and is_uid(study)):
                raise InputError(f"{path}: has no valid SOPInstanceUID and StudyInstanceUID.")
            with locked(self._lock()):
                entry = {"server": server, "study": study, "modality": modality}
                self._note(uid, _Entry(**entry, state="waiting", reason=""))
                write_bytes(self._file(uid), stored)

    def send(self, server: Server) -> list[Sent]:
        """Store on a server what is for it; what it does not have then stays, with the reason.

        Raises
        ------
        InputError
            If the server accepts nothing from this user, or the state of an instance is damaged.
        """
        sent = []
        with locked(self._lock()):
            for uid, entry in self._entries(server.url):
                one = self._send(server, uid, entry)
                sent.append(one)
                if one.state == "unclear":  # the next would wait as long
                    break
        return sent

    def waiting(self) -> dict[str, int]:
        """Number of instances for each server."""
        with locked(self._lock()):
            servers = [self._read(path.stem).server for path in self.folder.glob("[!.]*.dcm")]
        return dict(Counter(servers))

    def _send(self, server: Server, uid: str, entry: _Entry) -> Sent:
        try:
            with errors_reported(self._file(uid)):
                dataset = pydicom.dcmread(self._file(uid))
            state: Literal["stored", "there"] = _stored(server, entry.study, dataset)
        except Rejected as error:
            return self._keep(uid, entry, Sent(uid, "rejected", str(error)))
        except PassingFault as fault:
            return self._keep(uid, entry, Sent(uid, "unclear", f"{server.url}: {fault}"))
        except InputError as error:
            self._keep(uid, entry, Sent(uid, "waiting", str(error)))
            raise
        self._file(uid).unlink()
        self._note_file(uid).unlink()
        return Sent(uid, state)

    def _keep(self, uid: str, entry: _Entry, sent: Sent) -> Sent:
        self._note(uid, entry.model_copy(update={"state": sent.state, "reason": sent.reason}))
        return sent

    def _entries(self, server: str) -> list[tuple[str, _Entry]]:
        """Instances for a server, those first to which others refer."""
        every = [(path.stem, self._read(path.stem)) for path in self.folder.glob("[!.]*.dcm")]
        wanted = [(uid, entry) for uid, entry in every if entry.server == server]
        return sorted(wanted, key=lambda each: (each[1].modality != _FIRST, each[0]))

    def _read(self, uid: str) -> _Entry:
        try:
            return read_json(self._note_file(uid), _Entry)
        except InputError:
            raise InputError(
                f"{self._note_file(uid)}: is damaged. Remove it and {self._file(uid).name}, then"
                " store the result again."
            ) from None

    def _note(self, uid: str, entry: _Entry) -> None:
        write_json(self._note_file(uid), entry)

    def _file(self, uid: str) -> Path:
        return self.folder / f"{uid}.dcm"

    def _note_file(self, uid: str) -> Path:
        return self.folder / f"{uid}.json"

    def _lock(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / ".lock"


def _stored(server: Server, study: str, dataset: pydicom.Dataset) -> Literal["stored", "there"]:
    """Store an instance that the server may have already.

    After a fault that leaves open whether it arrived, it is sent again only if the server says that
    it is not there.
    """
    uid, waits = str(dataset.SOPInstanceUID), iter(server.waits_s)
    if server.has(study, uid):
        return "there"
    while True:
        try:
            server.store(dataset)
            return "stored"
        except (Rejected, PassingFault) as fault:
            pause = _pause_s(fault, next(waits, None))
            if pause is not None:
                log.info("%s: %s; asking in %g s whether it arrived", server.url, fault, pause)
                time.sleep(pause)
            if server.has(study, uid):
                return "stored"
            if pause is None:
                raise


def _pause_s(fault: Exception, wait_s: float | None) -> float | None:
    """Seconds before another attempt; None if there is none for now."""
    if wait_s is None or not isinstance(fault, PassingFault):
        return None
    return max(wait_s, fault.after_s) if fault.after_s <= LONGEST_WAIT_SECONDS else None
