"""Files from the network: resumed after a cut, checked, and put in place whole or not at all.

While NAME is fetched, its bytes stand in .NAME.partial and what the server said of them in
.NAME.partial.json; both outlive a cut, Ctrl-C and SIGKILL, and the next start goes on from there.
The bytes of a finished file are hashed again at each start: seconds for gigabytes, and no note of
an earlier check can be out of date.
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
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead, responses
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from tqdm import tqdm

from ...core.errors import InputError
from ...core.records import read_json, write_json
from ...core.strict import Strict
from .locks import alone

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 300
"""A server that asks by Retry-After for a longer pause ends the download for now."""
_CHUNK_BYTES = 1 << 18
_REDIRECTS = 10
_FAULTS_OF_THE_WIRE = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.SSLError,
    HTTPException,
)


@dataclass(frozen=True)
class Remote:
    """A public file.

    Attributes
    ----------
    url : str
        HTTPS.
    name : str
        What the file is called here.
    size : int or None
        Bytes, None where the publisher does not say.
    checksum : str or None
        ``md5:...`` or ``sha256:...`` as published.
    """

    url: str
    name: str
    size: int | None
    checksum: str | None


class _Again(Exception):
    """A fault that another trial may mend; `after` is the pause in seconds that the server asks
    for.
    """

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class _Stopped(Exception):
    """Another thread was interrupted, and nobody waits for this file any more."""


def fetch(
    remotes: Sequence[Remote],
    folder: Path,
    waits: Sequence[float] = (1, 2, 4, 8, 16),
    stall_seconds: float = 60,
    parallel: int = 4,
) -> list[Path]:
    """Fetch files into a folder, several at once, each with a progress bar; those that are there
    already stay.

    Parameters
    ----------
    remotes : sequence of Remote
        What to fetch. Plain http is taken from loopback hosts alone.
    folder : Path
        Made if need be. A second download into it, from any process, waits until the first has
        ended.
    waits : sequence of float
        Seconds before each further trial after a cut, a stall or an answer 408, 429 or 5xx. They
        start anew whenever a trial brought the file further than ever before.
    stall_seconds : float
        A connection that takes longer to open, or is silent for longer, is given up.
    parallel : int
        How many files at once.

    Returns
    -------
    list of Path
        One per remote, in their order, with the published size and checksum. The sha256 of a file
        without a published checksum is logged: nothing else tells whether it is what was published.

    Raises
    ------
    InputError
        If the disk has no room, a server cannot be reached, refuses, or gives another file than was
        published; with the messages of all files that failed. The others are in place, and what
        came of a file whose connection failed is kept for the next start.
    """
    for remote in remotes:
        _refuse_malformed(remote)
    _refuse_shared_names(remotes)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / ".fetch.lock"):
        room = _Room(folder)
        room.expect({remote.name: _missing_bytes(remote, folder) for remote in remotes})
        stop = threading.Event()
        transfers = [
            _Transfer(remote, folder, tuple(waits), stall_seconds, room, stop) for remote in remotes
        ]
        with ThreadPoolExecutor(parallel) as pool:
            futures = [pool.submit(transfer.run) for transfer in transfers]
            try:
                results = [future.result() for future in futures]
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    faults = [str(result) for result in results if isinstance(result, InputError)]
    if faults:
        raise InputError("\n".join(faults))
    return results


def _refuse_malformed(remote: Remote) -> None:
    if remote.name != Path(remote.name).name or not re.fullmatch(r"\w[\w.+ -]*", remote.name):
        raise InputError(
            f"{remote.url}: cannot be kept as {remote.name!r}. Give the file a plain name: letters,"
            " digits, dots, dashes."
        )
    if not _is_safe(remote.url, loopback=True):
        raise InputError(
            f"{remote.url}: is not an https address. Name one, or fetch the file by hand."
        )
    if remote.size is not None and remote.size < 0:
        raise InputError(
            f"{remote.url}: its size is given as {remote.size} bytes. Give the published size."
        )
    if remote.checksum is not None and not re.fullmatch(
        "md5:[0-9a-fA-F]{32}|sha256:[0-9a-fA-F]{64}", remote.checksum
    ):
        raise InputError(
            f"{remote.url}: its checksum is given as {remote.checksum!r}. Write md5: or sha256: and"
            " all hexadecimal digits."
        )


def _is_safe(url: str, loopback: bool) -> bool:
    """Whether the address is https, or plain http of this machine where that is allowed."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and loopback and _is_loopback(host))
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_shared_names(remotes: Sequence[Remote]) -> None:
    first: dict[str, Remote] = {}
    for remote in remotes:
        other = first.setdefault(remote.name.casefold(), remote)
        if other is not remote:
            raise InputError(
                f"{remote.url}: would be kept as {remote.name}, like {other.url}. Give each file a"
                " name of its own."
            )


class _Room:
    """Bytes that files still to come will take, checked against those the disk has free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._missing: dict[str, int] = {}
        self._lock = threading.Lock()

    def expect(self, missing: Mapping[str, int]) -> None:
        """Refuse if, with these bytes still missing of each file, the disk will not hold all files."""
        with self._lock:
            self._missing |= missing
            needed, free = sum(self._missing.values()), shutil.disk_usage(self._folder).free
        if needed > free:
            raise InputError(
                f"{self._folder}: {needed:,} bytes are still to be fetched"
                f" ({', '.join(self._missing)}), the disk has {free:,} free. Make room, or choose a"
                " folder on another disk."
            )

    def arrived(self, name: str, count: int) -> None:
        """Count bytes that were written."""
        with self._lock:
            self._missing[name] = max(self._missing[name] - count, 0)


def _missing_bytes(remote: Remote, folder: Path) -> int:
    """What is still to be fetched if what is there is right; 0 where the size is not published."""
    whole, partial = folder / remote.name, _Partial.of(folder, remote).data
    there = next((path.stat().st_size for path in (whole, partial) if path.is_file()), 0)
    return max((remote.size or 0) - there, 0)


class _Begun(Strict):
    """What the server said of a file whose first bytes we have."""

    url: str
    validator: str | None
    length: int | None


@dataclass(frozen=True)
class _Partial:
    """The bytes fetched so far, and the record of what they belong to."""

    data: Path
    record: Path

    @classmethod
    def of(cls, folder: Path, remote: Remote) -> "_Partial":
        return cls(folder / f".{remote.name}.partial", folder / f".{remote.name}.partial.json")

    @property
    def size(self) -> int:
        return self.data.stat().st_size if self.data.is_file() else 0

    def begin(self, begun: _Begun) -> None:
        """Start with no bytes. The old ones go before the record changes, so a kill in between
        mixes nothing.
        """
        self.remove()
        write_json(self.record, begun)

    def begun(self, remote: Remote) -> _Begun | None:
        """What there is to go on with; None without bytes, or where nothing would tell that a
        resumed file is mixed of two.
        """
        try:
            begun = read_json(self.record, _Begun)
        except InputError:
            return None
        verifiable = begun.validator is not None or remote.checksum is not None
        return begun if begun.url == remote.url and verifiable and self.size else None

    def remove(self) -> None:
        self.data.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)


class _Session(requests.Session):
    """A session that leaves redirects alone: `_Transfer` follows them one by one, after a look at
    each address.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@dataclass(frozen=True)
class _Transfer:
    """One file on its way."""

    remote: Remote
    folder: Path
    waits: tuple[float, ...]
    stall_seconds: float
    room: _Room
    stop: threading.Event

    @property
    def partial(self) -> _Partial:
        return _Partial.of(self.folder, self.remote)

    def run(self) -> Path | InputError:
        """Fetch the file unless it is there; what went wrong is returned, so that other files go
        on.
        """
        target = self.folder / self.remote.name
        try:
            if not self._is_there(target):
                bar = tqdm(
                    total=self.remote.size,
                    desc=self.remote.name,
                    unit="B",
                    unit_scale=True,
                    unit_divisor=1024,
                    mininterval=1,
                )
                with bar, _Session() as session:
                    self._until_whole(session, bar)
                os.replace(self.partial.data, target)
            self.partial.remove()
        except InputError as fault:
            return fault
        if self.remote.checksum is None:
            log.info(
                "%s: no checksum is published; of what came, sha256:%s",
                target,
                _digest(target, "sha256"),
            )
        return target

    def _is_there(self, target: Path) -> bool:
        fault = self._difference(target) if target.is_file() else None
        if fault:
            log.info("%s: is there, but %s; fetched anew", target, fault)
        return target.is_file() and not fault

    def _difference(self, path: Path) -> str | None:
        """What tells a file from the one published."""
        size, wanted = path.stat().st_size, self.remote.checksum
        if self.remote.size not in (None, size):
            return f"it has {size:,} bytes, {self.remote.size:,} are published"
        if wanted is None:
            return None
        kind = wanted.partition(":")[0]
        found = f"{kind}:{_digest(path, kind)}"
        return (
            None if found == wanted.lower() else f"its checksum is {found}, {wanted} is published"
        )

    def _until_whole(self, session: requests.Session, bar: tqdm) -> None:
        """Try until the file is whole, patiently as long as each trial brings it further."""
        waits, furthest = iter(self.waits), self.partial.size
        while True:
            try:
                return self._try(session, bar)
            except _Again as fault:
                if self.partial.size > furthest:
                    waits, furthest = iter(self.waits), self.partial.size
                pause = next(waits, None)
                if pause is None or fault.after > LONGEST_WAIT_SECONDS:
                    kept = (
                        f"The {self.partial.size:,} bytes that came are kept: start again"
                        if self.partial.size
                        else "Start again"
                    )
                    later = (
                        f"in {fault.after:.0f} s"
                        if fault.after > LONGEST_WAIT_SECONDS
                        else "when the network or the server is well"
                    )
                    raise InputError(
                        f"{self.remote.url}: {fault}. {kept} {later}, or fetch {self.remote.name}"
                        " by hand."
                    ) from None
                pause = max(pause, fault.after)
                log.info("%s: %s; trying again in %g s", self.remote.name, fault, pause)
                if self.stop.wait(pause):
                    raise _Stopped from None

    def _try(self, session: requests.Session, bar: tqdm) -> None:
        """One trial: the bytes that are missing, then the look at the whole."""
        begun = self.partial.begun(self.remote)
        start = self.partial.size if begun else 0
        length = self.remote.size if self.remote.size is not None else begun and begun.length
        if not start or start != length:
            with self._ask(session, start, begun) as response:
                start, length = self._agree(response, start, begun, length)
                self._show(bar, start, length)
                self._receive(response, length, bar)
        bar.set_postfix_str("checking")
        fault = self._difference(self.partial.data)
        if fault:
            self.partial.remove()
            if (
                start or length is None
            ):  # one of several pieces may be to blame, or a cut that nothing showed
                raise _Again(f"came in pieces or without a length, and {fault}")
            raise self._refusal(
                f"came whole, but {fault}",
                "Another file may stand there by now, or a portal answers in its place",
            )

    def _show(self, bar: tqdm, start: int, length: int | None) -> None:
        bar.total, bar.n, bar.initial = length, start, start
        bar.refresh()

    def _refusal(self, finding: str, reason: str) -> InputError:
        return InputError(
            f"{self.remote.url}: {finding}. {reason}: fetch {self.remote.name} by hand from its"
            f" publisher and put it into {self.folder}."
        )

    def _ask(
        self, session: requests.Session, start: int, begun: _Begun | None
    ) -> requests.Response:
        """Send the request, and follow redirects to safe addresses."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if begun.validator:
                headers["If-Range"] = begun.validator
        url = self.remote.url
        for _ in range(_REDIRECTS + 1):
            response = self._get(session, url, headers)
            location = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or location is None:
                return response
            response.close()
            url = _joined(url, location)
            if not _is_safe(url, loopback=_is_loopback(urlsplit(self.remote.url).hostname)):
                raise self._refusal(
                    f"leads to {url.partition('?')[0]!r}, which is not https", "It is not followed"
                )
        raise self._refusal(
            f"leads on and on, after {_REDIRECTS} redirects to {url.partition('?')[0]!r}",
            "The server is set up wrongly",
        )

    def _get(
        self, session: requests.Session, url: str, headers: dict[str, str]
    ) -> requests.Response:
        try:
            return session.get(
                url, headers=headers, stream=True, timeout=self.stall_seconds, allow_redirects=False
            )
        except _FAULTS_OF_THE_WIRE as fault:
            cause = _cause(fault)
            if isinstance(cause, ssl.SSLCertVerificationError):
                finding = f"has a certificate that is not trusted ({cause.verify_message})"
                raise self._refusal(
                    finding,
                    "If your network has a proxy, let REQUESTS_CA_BUNDLE name its certificate."
                    " Otherwise",
                ) from None
            raise _Again(f"cannot be reached ({cause})") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as fault:
            raise self._refusal(
                f"cannot be asked for ({_cause(fault)})", "The address or the answer is malformed"
            ) from None

    def _agree(
        self, response: requests.Response, start: int, begun: _Begun | None, length: int | None
    ) -> tuple[int, int | None]:
        """Where the bytes of an answer belong, and how many the file will have; refuses what is not
        the file.
        """
        code = response.status_code
        if code == HTTPStatus.PARTIAL_CONTENT and start:
            fault = _misfit(response, start, begun, length)
        elif code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            fault = f"has nothing from byte {start:,} on"
        elif code == HTTPStatus.OK:
            return 0, self._begin(response)
        else:
            raise self._answered(response)
        if fault:
            self.partial.remove()
            raise _Again(f"{fault}, so it starts anew")
        length = length if length is not None else _total(response)
        self.room.expect({self.remote.name: max((length or 0) - start, 0)})
        return start, length

    def _begin(self, response: requests.Response) -> int | None:
        """Make way for the file from its first byte."""
        announced, published = _content_length(response), self.remote.size
        if None not in (announced, published) and announced != published:
            finding = f"announces {announced:,} bytes, {published:,} are published"
            raise self._refusal(
                finding, "Another file may stand there by now, or a portal answers in its place"
            )
        length = announced if published is None else published
        if (
            length is None
            and self.remote.checksum is None
            and response.headers.get("Transfer-Encoding") != "chunked"
        ):
            raise self._refusal(
                "tells no length, and neither size nor checksum is published",
                "A cut would go unnoticed",
            )
        self.partial.begin(
            _Begun(url=self.remote.url, validator=_validator(response), length=length)
        )
        self.room.expect({self.remote.name: length or 0})
        return length

    def _answered(self, response: requests.Response) -> Exception:
        code = response.status_code
        said = f"answers {code} {responses.get(code, response.reason)}"
        if code >= 500 or code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS):
            return _Again(said, _retry_after(response))
        return self._refusal(said, "The file has moved, or is not for everyone")

    def _receive(self, response: requests.Response, length: int | None, bar: tqdm) -> None:
        position = self.partial.size
        with self.partial.data.open("ab") as file:
            while chunk := self._read(response, length):
                position += len(chunk)
                if length is not None and position > length:
                    self.partial.remove()
                    raise self._refusal(
                        f"sends more than {length:,} bytes", "Another file may stand there by now"
                    )
                self._write(file, chunk)
                bar.update(len(chunk))
                if self.stop.is_set():
                    raise _Stopped
            file.flush()
            os.fsync(file.fileno())
        if length is not None and position < length:
            raise _Again(self._cut(length))

    def _cut(self, length: int | None, cause: str = "") -> str:
        return (
            "was cut at byte"
            f" {self.partial.size:,}{'' if length is None else f' of {length:,}'}{cause}"
        )

    def _read(self, response: requests.Response, length: int | None) -> bytes:
        """What has come, as sent: never decoded, and not held back until a chunk is full, so that a
        cut loses nothing.
        """
        try:
            return response.raw.read1(_CHUNK_BYTES, decode_content=False) or b""
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as fault:
            cause = _cause(fault)
            raise _Again(
                self._cut(length, "" if isinstance(cause, IncompleteRead) else f" ({cause})")
            ) from None

    def _write(self, file: BinaryIO, chunk: bytes) -> None:
        try:
            file.write(chunk)
            file.flush()
        except OSError as fault:
            if fault.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise InputError(
                f"{self.folder}: the disk is full at byte {self.partial.size:,} of"
                f" {self.remote.name} ({fault.strerror}). Make room and start again: what came is"
                " kept."
            ) from None
        self.room.arrived(self.remote.name, len(chunk))


def _joined(url: str, location: str) -> str:
    """The address a redirect names, as it stands where it is malformed."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _misfit(
    response: requests.Response, start: int, begun: _Begun, length: int | None
) -> str | None:
    """Why a partial answer is not the rest of the file we have begun."""
    said = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", said.strip())
    if not match:
        return f"answers with a part and does not say which (Content-Range {said!r})"
    first, last, total = int(match[1]), int(match[2]), match[3]
    if (
        first != start
        or last < first
        or (total != "*" and (last >= int(total) or (length is not None and int(total) != length)))
    ):
        return f"answers bytes from {start:,} on by {said!r}"
    if _content_length(response) not in (None, last - first + 1):
        return f"announces {_content_length(response):,} bytes for {said!r}"
    tags = {begun.validator, response.headers.get("ETag")}
    if all(tag and tag.startswith('"') for tag in tags) and len(tags) > 1:
        return "has another file by now"
    return None


def _total(response: requests.Response) -> int | None:
    digits = response.headers["Content-Range"].rpartition("/")[2].strip()
    return int(digits) if digits.isdigit() else None


def _content_length(response: requests.Response) -> int | None:
    digits = response.headers.get("Content-Length", "")
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _validator(response: requests.Response) -> str | None:
    """What If-Range takes (RFC 9110, 13.1.5): a strong ETag, or else the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _retry_after(response: requests.Response) -> float:
    """Seconds from now, given as such or as a date (RFC 9110, 10.2.3); 0 if absent or unreadable."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        return max(parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _cause(fault: BaseException) -> BaseException:
    """The innermost of nested errors, which says most in the fewest words."""
    while inner := fault.__cause__ or fault.__context__:
        fault = inner
    return fault


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()
