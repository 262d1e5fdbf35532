"""Download public files: resume after a cut, check, and put in place complete or not at all.

While NAME is downloaded, its bytes are in .NAME.partial. They survive a lost connection, Ctrl-C and
SIGKILL; the next start continues there, because the published checksum shows whether the parts fit
together. A file without a published checksum starts again from its first byte. Finished files are
hashed at every start, which takes seconds for gigabytes.
"""

import errno
import hashlib
import ipaddress
import logging
import os
import re
import shutil
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead, responses
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from filelock import FileLock, Timeout

from ...core.errors import InputError
from ...core.progress import Bar

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 300
"""A server that asks by Retry-After for a longer pause ends the download for now."""
_CHUNK_BYTES = 1 << 18
_CONNECTION_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.SSLError,
    HTTPException,
)
_CHECKSUM = re.compile("md5:[0-9a-fA-F]{32}|sha256:[0-9a-fA-F]{64}")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Remote:
    """A public file: its HTTPS address, the name of the local file, and size in bytes and checksum
    (``md5:...`` or ``sha256:...``) where they are published. Only a download with a checksum can be
    resumed.
    """

    url: str
    name: str
    size: int | None
    checksum: str | None


class _Retry(Exception):
    """A fault that may pass; `after` is the pause in seconds that the server asks for."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class _Stopped(Exception):
    """Another thread was interrupted, so this download ends too."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes and threads; it is released when its process ends.

    The lock file stays. Where the file system has no locks, `filelock` uses its existence instead.
    """
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("%s: another process is working in this folder; waiting for it", path.parent)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def full_disk_reported(what: str) -> Iterator[None]:
    """Turn the system's error about a full disk into an `InputError` that begins with `what`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise InputError(
            f"{what}: the disk is full ({error.strerror}). Make room and start again."
        ) from None


def fetch(
    remotes: Sequence[Remote],
    folder: Path,
    waits: Sequence[float] = (1, 2, 4, 8, 16),
    stall_seconds: float = 60,
    parallel: int = 4,
) -> list[Path]:
    """Download files into a folder, several at once, each with a progress bar; their paths are
    returned.

    Files that are already there, with the published size and checksum, are kept; the sha256 of a
    file without a published checksum is logged. Plain http is accepted from loopback hosts only. A
    second download into the folder waits until the first has ended.

    Parameters
    ----------
    waits : sequence of float
        Seconds before each new attempt after a cut, a stall or a status 408, 429 or 5xx. The
        sequence restarts whenever an attempt received more than any before it.
    stall_seconds : float
        Timeout for opening a connection and for each read.

    Raises
    ------
    InputError
        If the disk has no room, or a server cannot be reached, rejects the request or sends another
        file than the published one; with the messages of all files that failed. The others are in
        place.
    """
    names: dict[str, Remote] = {}
    for remote in remotes:
        _check_remote(remote, names.setdefault(remote.name.casefold(), remote))
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".fetch.lock"):
        stop = threading.Event()
        transfers = [
            _Transfer(remote, folder, tuple(waits), stall_seconds, stop) for remote in remotes
        ]
        _check_room(folder, {task.remote.name: task.missing_bytes for task in transfers})
        with ThreadPoolExecutor(parallel) as pool:
            futures = [pool.submit(transfer.run) for transfer in transfers]
            faults = []
            try:
                for future in futures:
                    error = future.exception()
                    if isinstance(error, InputError):
                        faults.append(str(error))  # the other downloads continue
                    elif error:
                        raise error
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    if faults:
        raise InputError("\n".join(faults))
    return [transfer.target for transfer in transfers]


def _check_remote(remote: Remote, other: Remote) -> None:
    """Raise InputError about a remote, or an earlier one that would be stored under its name."""
    fault = None
    if not re.fullmatch(r"\w[\w.+ -]*", remote.name):
        fault = f"cannot be stored as {remote.name!r}. Use a plain name: letters, digits, dots"
    elif not _is_safe(remote.url, loopback=True):
        fault = "is not an https address. Use one, or download the file by hand"
    elif remote.size is not None and remote.size < 0:
        fault = f"its size is given as {remote.size} bytes. Write the published size"
    elif not (remote.checksum is None or _CHECKSUM.fullmatch(remote.checksum)):
        fault = (
            f"its checksum is given as {remote.checksum!r}. Write md5: or sha256: and all"
            " hexadecimal digits"
        )
    elif other is not remote:
        fault = f"would be stored as {remote.name}, like {other.url}. Use another name for one"
    if fault:
        raise InputError(f"{remote.url}: {fault}.")


def _is_safe(url: str, loopback: bool) -> bool:
    """Whether the address is https, or plain http of this machine where that is allowed."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_local = parts.scheme == "http" and loopback and is_loopback(host)
    return bool(host) and (parts.scheme == "https" or is_local)


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, by its name or address."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def _check_room(folder: Path, missing: dict[str, int]) -> None:
    """Raise InputError if the disk has no room for the missing bytes of some files."""
    needed, free = sum(missing.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: {needed:,} bytes are still to be downloaded ({', '.join(missing)}), the"
            f" disk has {free:,} free. Make room, or choose a folder on another disk."
        )


class _Session(requests.Session):
    """Follows redirects to safe addresses only."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """The address of a redirect; see `requests.Session.get_redirect_target`."""
        target = super().get_redirect_target(resp)
        loopback = is_loopback(urlsplit(resp.url).hostname)
        if target is not None and not _is_safe(urljoin(resp.url, target), loopback):
            resp.close()
            raise requests.exceptions.InvalidURL(
                f"it redirects to {target.partition('?')[0]!r}, which is not https"
            )
        return target


@dataclass(frozen=True)
class _Transfer:
    """The download of one file."""

    remote: Remote
    folder: Path
    waits: tuple[float, ...]
    stall_seconds: float
    stop: threading.Event

    @property
    def target(self) -> Path:
        return self.folder / self.remote.name

    @property
    def partial(self) -> Path:
        return self.folder / f".{self.remote.name}.partial"

    @property
    def received(self) -> int:
        """Bytes of the partial file."""
        return self.partial.stat().st_size if self.partial.is_file() else 0

    @property
    def missing_bytes(self) -> int:
        """Bytes still to be downloaded; 0 where the size is not published."""
        there = self.target.stat().st_size if self.target.is_file() else self.received
        return max((self.remote.size or 0) - there, 0)

    def run(self) -> None:
        """Download the file unless it is there."""
        is_there = self.target.is_file()
        fault = self._difference(self.target) if is_there else None
        if fault:
            log.info("%s: exists, but %s; downloading it again", self.target, fault)
        if fault or not is_there:
            shown = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
            bar = Bar(total=self.remote.size, desc=self.remote.name, **shown)
            with bar, _Session() as session:
                self._attempts(session, bar)
            os.replace(self.partial, self.target)
        self.partial.unlink(missing_ok=True)
        if self.remote.checksum is None:
            digest = _digest(self.target, "sha256")
            log.info("%s: no checksum is published; the file has sha256:%s", self.target, digest)

    def _difference(self, path: Path) -> str | None:
        """How a file differs from the published one; None if it does not."""
        size, published = path.stat().st_size, self.remote.checksum
        if self.remote.size not in (None, size):
            return f"it has {size:,} bytes, {self.remote.size:,} are published"
        if published is None:
            return None
        kind = published.partition(":")[0]
        found = f"{kind}:{_digest(path, kind)}"
        agrees = found == published.lower()
        return None if agrees else f"its checksum is {found}, {published} is published"

    def _attempts(self, session: requests.Session, bar: Bar) -> None:
        """Repeat `_attempt` until the file is complete or no wait is left."""
        waits, furthest = iter(self.waits), self.received
        while True:
            try:
                return self._attempt(session, bar)
            except _Retry as fault:
                if self.received > furthest:
                    waits, furthest = iter(self.waits), self.received
                pause = next(waits, None)
                if pause is None or fault.after > LONGEST_WAIT_SECONDS:
                    raise self._given_up(fault) from None
                pause = max(pause, fault.after)
                log.info("%s: %s; trying again in %g s", self.remote.name, fault, pause)
                if self.stop.wait(pause):
                    raise _Stopped from None

    def _given_up(self, fault: _Retry) -> InputError:
        is_kept = self.received and self.remote.checksum
        kept = f"The {self.received:,} bytes received are kept. " if is_kept else ""
        is_long = fault.after > LONGEST_WAIT_SECONDS
        later = f"in {fault.after:.0f} s" if is_long else "when the network or the server works"
        return InputError(
            f"{self.remote.url}: {fault}. {kept}Start again {later}, or download"
            f" {self.remote.name} by hand."
        )

    def _attempt(self, session: requests.Session, bar: Bar) -> None:
        """Request the missing bytes once, then check the complete file."""
        start = self.received if self.remote.checksum else 0
        length = self.remote.size
        if not start or start != length:
            with self._request(session, start) as response:
                start, length = self._accept(response, start)
                bar.total, bar.n, bar.initial = length, start, start
                bar.refresh()
                self._receive(response, start, length, bar)
        bar.set_postfix_str("checking")
        fault = self._difference(self.partial)
        if fault:
            self.partial.unlink()
            if start or length is None:  # a part of another file, or a cut without a length
                raise _Retry(f"the parts received do not fit together: {fault}")
            self._reject(
                f"the download is complete, but {fault}",
                "The publisher may have replaced the file, or a login page was sent instead",
            )

    def _reject(self, finding: str, reason: str) -> NoReturn:
        raise InputError(
            f"{self.remote.url}: {finding}. {reason}: fetch {self.remote.name} by hand from its"
            f" publisher and put it into {self.folder}."
        )

    def _request(self, session: requests.Session, start: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            return session.get(
                self.remote.url, headers=headers, stream=True, timeout=self.stall_seconds
            )
        except _CONNECTION_ERRORS as error:
            cause = _cause(error)
            if isinstance(cause, ssl.SSLCertVerificationError):
                self._reject(
                    f"has a certificate that is not trusted ({cause.verify_message})",
                    "If your network has a proxy, let REQUESTS_CA_BUNDLE name its certificate."
                    " Otherwise",
                )
            raise _Retry(f"cannot be reached ({cause})") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            self._reject(
                f"cannot be requested ({_cause(error)})", "The address or the response is not valid"
            )

    def _accept(self, response: requests.Response, start: int) -> tuple[int, int | None]:
        """Where the bytes of a response belong, and the length of the file, None if unknown."""
        code, announced = response.status_code, response.raw.length_remaining
        if code == HTTPStatus.PARTIAL_CONTENT and start:
            part = response.headers.get("Content-Range", "")
            if not part.strip().startswith(f"bytes {start}-"):
                self.partial.unlink()
                raise _Retry(f"sends {part!r} instead of the bytes from {start:,} on")
        elif code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            self.partial.unlink()
            raise _Retry(f"has no bytes from {start:,} on")
        elif code == HTTPStatus.OK:
            start = 0
        else:
            finding = f"answers {code} {responses.get(code, response.reason)}"
            if code >= 500 or code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS):
                raise _Retry(finding, _retry_after(response))
            self._reject(finding, "The file was moved, or is not public")
        published = self.remote.size
        if not start and None not in (announced, published) and announced != published:
            self._reject(
                f"announces {announced:,} bytes, {published:,} are published",
                "The publisher may have replaced the file, or a login page is sent instead",
            )
        length = published if announced is None or published is not None else start + announced
        if length is None and self.remote.checksum is None and not response.raw.chunked:
            self._reject(
                "sends no length, and neither size nor checksum is published",
                "A cut would not be noticed",
            )
        if published is None:
            _check_room(self.folder, {self.remote.name: (length or start) - start})
        return start, length

    def _receive(
        self, response: requests.Response, start: int, length: int | None, bar: Bar
    ) -> None:
        what = f"{self.folder}: {self.remote.name}"
        with full_disk_reported(what), self.partial.open("ab" if start else "wb") as file:
            position = start
            while chunk := self._read(response, length):
                position += len(chunk)
                if length is not None and position > length:
                    self.partial.unlink()
                    self._reject(
                        f"sends more than {length:,} bytes", "The publisher may have replaced it"
                    )
                file.write(chunk)
                file.flush()
                bar.update(len(chunk))
                if self.stop.is_set():
                    raise _Stopped
            os.fsync(file.fileno())
        if length is not None and position < length:
            raise self._cut(length)

    def _read(self, response: requests.Response, length: int | None) -> bytes:
        """The next bytes as sent: never decoded, and available before a chunk is full, so that a
        cut loses nothing.
        """
        try:
            return response.raw.read1(_CHUNK_BYTES, decode_content=False) or b""
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            raise self._cut(length, _cause(error)) from None

    def _cut(self, length: int | None, cause: Any = None) -> _Retry:
        of_length = "" if length is None else f" of {length:,}"
        why = "" if cause is None or isinstance(cause, IncompleteRead) else f" ({cause})"
        return _Retry(f"was cut at byte {self.received:,}{of_length}{why}")


def _retry_after(response: requests.Response) -> float:
    """Seconds from now (RFC 9110, 10.2.3); 0 where the header is missing or not valid."""
    try:
        return urllib3.Retry().parse_retry_after(response.headers.get("Retry-After", ""))
    except (urllib3.exceptions.InvalidHeader, ValueError, TypeError, OverflowError):
        return 0.0


def _cause(error: BaseException) -> BaseException:
    """The innermost of nested errors, whose message is the shortest and most specific."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _digest(path: Path, kind: str) -> str:
    hasher = partial(hashlib.new, kind, usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, hasher).hexdigest()
