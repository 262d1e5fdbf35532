"""HTTP to one DICOMweb server: answers are bounded, stalls and faults that may pass are repeated
where that is safe, and redirects are rejected, since data of patients would follow them.
"""

import io
import logging
import os
import re
import ssl
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPException, responses
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth

from ..cohorts.fetching.fetch import LONGEST_WAIT_SECONDS, is_loopback
from ..core.errors import InputError

log = logging.getLogger(__name__)

USER, PASSWORD, TOKEN = (f"TUMORFLOW_DICOMWEB_{word}" for word in ("USER", "PASSWORD", "TOKEN"))
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses before a request is sent again."""
STALL_S = 60.0
LARGEST_BYTES = 2**30
LARGEST_TEXT_BYTES = 2**26
"""Of an answer that is parsed, such as a list of instances."""
_CONNECT_S = 20.0
_SLOWEST_BYTES_PER_S = 1000
_CHUNK_BYTES = 2**18
_MAY_PASS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError)


class PassingFault(Exception):
    """A fault that may pass, such as a cut; what was sent may have arrived. `after_s` is the pause
    that the server asks for.
    """

    def __init__(self, finding: str, after_s: float = 0.0) -> None:
        super().__init__(finding)
        self.after_s = after_s


def checked_address(url: str) -> str:
    """The address of a server without a slash at its end; plain http to another machine is warned
    of.

    Raises
    ------
    InputError
        If it is no http or https address, or holds more than host, port and path. The message does
        not quote it, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or re.search(r"[\s\x00-\x1f]", url):
        raise InputError(
            "the address of the server is not valid. Name it as https://HOST/PATH, such as"
            " https://pacs.example.org/dicom-web."
        )
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "the address of the server holds a user or password, which other users of this machine"
            f" can read. Set {USER} and {PASSWORD}, or {TOKEN}, in the environment."
        )
    if parts.query or parts.fragment:
        raise InputError(
            f"{parts.scheme}://{parts.netloc}: the address of the server has a query or fragment."
            " Name host and path alone."
        )
    if parts.scheme == "http" and not is_loopback(host):
        log.warning(
            "warning: http://%s: is not encrypted: studies and credentials can be read on the way."
            " Use https",
            parts.netloc,
        )
    return url.rstrip("/")


class _Bearer(AuthBase):
    """Adds a token to each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _authentication() -> AuthBase | None:
    """What the environment says; InputError unless it is whole."""
    user, password, token = (os.environ.get(name) for name in (USER, PASSWORD, TOKEN))
    if token and (user or password):
        raise InputError(f"{TOKEN} and {USER} or {PASSWORD} are set. Unset the one or the others.")
    if bool(user) != bool(password):
        raise InputError(f"only one of {USER} and {PASSWORD} is set. Set both, or none.")
    for name, value in ((TOKEN, token), (USER, user), (PASSWORD, password)):
        if value and not (value.isprintable() and (name != TOKEN or value.isascii())):
            raise InputError(f"{name} holds a line break or another sign that cannot be sent.")
    if token:
        return _Bearer(token)
    return HTTPBasicAuth(user.encode(), (password or "").encode()) if user else None


class Session(requests.Session):
    """Requests to one server, with the credentials that the environment names.

    Parameters
    ----------
    url : str
        The address of the server, which messages begin with.
    waits_s : sequence of float
        Seconds before each new attempt of a request that only reads.
    stall_s : float
        Timeout of each read. An answer that is slower than 1 kB/s over this time has stalled, too.
    largest_bytes : int
        Of an answer.
    """

    def __init__(
        self,
        url: str,
        waits_s: Sequence[float] = WAITS_S,
        stall_s: float = STALL_S,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        super().__init__()
        self.url, self.waits_s, self.stall_s = url, tuple(waits_s), stall_s
        self.largest_bytes = largest_bytes
        self.auth = _authentication()
        self.headers.update({"Accept": "application/dicom+json", "Accept-Encoding": "identity"})

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: redirects are not followed."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; a GET again after each of the waits.

        Returns
        -------
        requests.Response
            Whole, with a status below 500.

        Raises
        ------
        PassingFault
            If the last attempt met a status 408, 429 or 5xx, a cut or a stall.
        InputError
            If the answer is a redirect, needs credentials, or is too large, or the certificate is
            not trusted.
        """
        request.headers.pop("Host", None)  # of dicomweb-client, without the port
        if isinstance(request.body, bytes):  # sent in pieces, each within the timeout
            request.body = io.BytesIO(request.body)  # type: ignore[assignment]
        waits = iter(self.waits_s if request.method == "GET" else ())
        while True:
            try:
                return self._once(request, options)
            except PassingFault as fault:
                pause = next(waits, None)
                if pause is None or fault.after_s > LONGEST_WAIT_SECONDS:
                    raise
                pause = max(pause, fault.after_s)
                log.info("%s: %s; trying again in %g s", self.url, fault, pause)
                time.sleep(pause)

    def _once(self, request: requests.PreparedRequest, options: dict[str, Any]) -> Any:
        options |= {"stream": True, "allow_redirects": False}
        options["timeout"] = (min(_CONNECT_S, self.stall_s), self.stall_s)
        try:
            with super().send(request, **options) as response:
                self._check_status(response)
                body = self._body(response, request.headers["Accept"])
        except _FAULTS as error:
            raise self._fault(error) from None
        response.raw = io.BytesIO(body)
        return response

    def _fault(self, error: BaseException) -> Exception:
        """The fault of an exception of requests, whose own text may quote a query."""
        while inner := error.__cause__ or error.__context__:
            error = inner
        if isinstance(error, ssl.SSLCertVerificationError):
            return InputError(
                f"{self.url}: has a certificate that is not trusted ({error.verify_message}). Let"
                " REQUESTS_CA_BUNDLE name the certificate of your hospital's authority."
            )
        if isinstance(error, TimeoutError):
            return PassingFault(f"no answer for {self.stall_s:g} s")
        said = error.strerror if isinstance(error, OSError) else None
        return PassingFault(f"the connection failed ({said or type(error).__name__})")

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        said = f"answers {status} {responses.get(status, '')}".rstrip()
        if 300 <= status < 400:
            raise InputError(f"{self.url}: {said}, a redirect. Name the address that it leads to.")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise InputError(
                f"{self.url}: {said}. Set {USER} and {PASSWORD}, or {TOKEN}, to credentials that"
                " may do this."
            )
        if status >= 500 or status in _MAY_PASS:
            raise PassingFault(said, _retry_after_s(response))

    def _body(self, response: requests.Response, accepted: str) -> bytes:
        """All bytes of an answer, decoded."""
        body, start = bytearray(), time.monotonic()
        is_text = not accepted.startswith("multipart/")
        largest = min(self.largest_bytes, LARGEST_TEXT_BYTES) if is_text else self.largest_bytes
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > largest:
                raise InputError(
                    f"{self.url}: sends an answer of more than {largest:,} bytes. Check that it is"
                    " the address of a DICOMweb server."
                )
            seconds = time.monotonic() - start
            if seconds > self.stall_s and len(body) < seconds * _SLOWEST_BYTES_PER_S:
                raise PassingFault(f"sends less than {_SLOWEST_BYTES_PER_S} bytes a second")
        if response.raw.length_remaining or not _is_ended(response, body):
            raise PassingFault(f"cut its answer after {len(body):,} bytes")
        return bytes(body)


def _retry_after_s(response: requests.Response) -> float:
    """Seconds from now (RFC 9110, 10.2.3); 0 where the header is missing or not valid."""
    try:
        return urllib3.Retry().parse_retry_after(response.headers.get("Retry-After", ""))
    except (urllib3.exceptions.InvalidHeader, ValueError, TypeError, OverflowError):
        return 0.0


def boundary(response: requests.Response) -> bytes | None:
    """What separates the parts of a multipart answer; None if it is another one."""
    kind = response.headers.get("Content-Type", "")
    found = re.search(r';\s*boundary="?([^";]{1,200})', kind, re.IGNORECASE)
    is_multipart = kind.lower().startswith("multipart/related")
    return found[1].strip().encode("latin-1", "replace") if found and is_multipart else None


def _is_ended(response: requests.Response, body: bytearray) -> bool:
    """Whether a multipart answer has its closing delimiter (RFC 2046, 5.1.1)."""
    mark = boundary(response) if response.ok else None
    return mark is None or b"--" + mark + b"--" in body[-len(mark) - 100 :]
