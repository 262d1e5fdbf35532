"""Who may ask the server what: before any route sees a request."""

import asyncio
import logging
import re
import secrets
import time
import traceback
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access
from .limits import Limits
from .refusals import Refusal

log = logging.getLogger(__name__)

TOKEN_HEADER = "x-tumorflow-token"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANY_ADDRESS = "*"
"""Among host names: every IP address. Another page cannot make a browser send one as the name of
its own server, as it can any name (DNS rebinding)."""
ASSETS = "/assets/"
UPLOADS = "/api/cases"
CORRECTIONS = "/corrections"
_MOST_BODY_BYTES = 2**20
_MOST_CORRECTION_BYTES = 2**27
_GRACE_S, _DRAIN_S = 10.0, 10.0
_SAFE = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]|\d{1,3}(\.\d{1,3}){3}")
_OTHER_PAGE = "This request comes from another page."
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self' blob: data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class Guard:
    """Refuses requests for other hosts, those of other pages, changes without the token of the
    page, and bodies that are too large or too slow; says in every answer what browsers may do with
    it; and lets no error of a route out.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        Names by which the server may be asked, without port; see `ANY_ADDRESS`.
    token : str
        What the page sends with every change.
    access : Access, optional
        Who has logged in. Without it everybody may ask.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str],
        token: str,
        access: Access | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._app, self._hosts, self._token = app, {host.lower() for host in hosts}, token
        self._access, self._limits = access, limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limits)
        try:
            self._check(scope["method"], scope["path"], Headers(scope=scope))
            if self._access and not self._access.may(scope):
                answer = await self._access.answer(scope, exchange.receive)
                await answer(scope, exchange.receive, exchange.send)
                return
            if scope["method"] == "HEAD":  # the server leaves out the body
                scope = {**scope, "method": "GET"}
            await self._app(scope, exchange.receive, exchange.send)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except Exception as error:
            await exchange.fail(error)

    def _check(self, method: str, path: str, headers: Headers) -> None:
        """Raise `Refusal` unless a request comes from a page of this server, or opens one."""
        host = headers.get("host", "").lower()
        named = _HOST.fullmatch(host)
        if not named or len(headers.getlist("host")) > 1 or not self._is_ours(named[1]):
            raise Refusal(
                "This server is not asked by this name. Use the address that it printed.", 403
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise Refusal(_OTHER_PAGE, 403)
        opens = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
        if opens:
            opens = headers.get("sec-fetch-dest") == "document" and not path.startswith("/api/")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not opens:
            raise Refusal(_OTHER_PAGE, 403)
        if method in _SAFE or (self._access and self._access.is_login(path)):
            return
        given = headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            raise Refusal(
                "The server was started again, or this request does not come from its page. Reload"
                " the page and try again.",
                403,
            )

    def _is_ours(self, name: str) -> bool:
        by_address = ANY_ADDRESS in self._hosts and _ADDRESS.fullmatch(name)
        return name in self._hosts or bool(by_address)


class _Exchange:
    """A request and its answer: the body within limits, the headers of every answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._scope, self._receive, self._send, self._limits = scope, receive, send, limits
        self._most = _most_bytes(scope["path"], limits)
        self._begun, self._size = time.monotonic(), 0
        self._refusal: Refusal | None = None
        self._is_read = self._is_cut = self._is_started = self._is_over = False

    async def receive(self) -> Message:
        """The next part of the body; "disconnect" if it is too large or comes too slowly."""
        if self._is_read:  # what comes is the end of the connection
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.stall_s):
                message = await self._receive()
        except TimeoutError:
            return self._cut(Refusal("The files stopped coming. Send them again.", 408))
        self._is_read = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            return self._cut(too_large(self._most))
        seconds = time.monotonic() - self._begun - _GRACE_S
        if seconds * self._limits.slowest_bytes_s > self._size and not self._is_read:
            return self._cut(Refusal("The files come too slowly. Send them again.", 408))
        return message

    def _cut(self, refusal: Refusal) -> Message:
        self._refusal, self._is_read, self._is_cut = refusal, True, True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the answer of a route, or of the refusal in its place."""
        if self._is_over:
            return
        if self._refusal and not self._is_started:
            await self.refuse(self._refusal)
            return
        if message["type"] == "http.response.start":
            message = {**message, "headers": self._headers(message["headers"])}
            self._is_started = True
        await self._send(message)

    def _headers(self, given: Any) -> list[tuple[bytes, bytes]]:
        named = {name for name, _ in given}
        is_asset = self._scope["path"].startswith(ASSETS)
        added = _HEADERS | {b"cache-control": b"no-cache" if is_asset else b"no-store"}
        if (self._is_cut or not self._is_read) and self._scope["method"] not in _SAFE:
            added = added | {b"connection": b"close"}  # the rest of the body is not wanted
        return [*given, *(item for item in added.items() if item[0] not in named)]

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal, unless an answer has begun."""
        if self._is_started or self._is_over:
            return
        self._refusal = None
        await self._drain()
        await JSONResponse({"message": str(refusal)}, refusal.status)(
            self._scope, self._receive, self.send
        )
        self._is_over = True

    async def _drain(self) -> None:
        """Read the rest of a body for a while: browsers that are sending read no answer."""
        is_sending = self._scope["method"] not in _SAFE and not self._is_read
        if not is_sending or Headers(scope=self._scope).get("expect"):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while not self._is_read:
                    message = await self._receive()
                    self._is_read = not message.get("more_body", False)

    async def fail(self, error: Exception) -> None:
        """Log an error of a route without its message, which may name a patient."""
        if not self._is_cut and not isinstance(error, ClientDisconnect):
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("a request failed with %s:\n%s", type(error).__name__, where)
        await self.refuse(self._refusal or Refusal("The server failed at this request.", 500))


def too_large(most: int) -> Refusal:
    """The refusal of a body of more than so many bytes."""
    return Refusal(f"More was sent than the server takes at once, {most / 2**30:.3g} GiB.", 413)


def _most_bytes(path: str, limits: Limits) -> int:
    if path == UPLOADS:
        return limits.most_bytes
    return _MOST_CORRECTION_BYTES if path.endswith(CORRECTIONS) else _MOST_BODY_BYTES
