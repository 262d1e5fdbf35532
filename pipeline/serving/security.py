"""Who may ask the server what: before any route sees a request."""

import secrets
from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-tumorflow-token"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SAFE = ("GET", "HEAD")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "connect-src 'self' blob: data:",
        "worker-src blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class Guard:
    """Refuses requests for other hosts and changes without the token of the page; says in every
    answer what browsers may do with it.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        Names by which the server may be asked, without port.
    token : str
        What the page sends with every change.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str) -> None:
        self._app, self._hosts, self._token = app, {*hosts}, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        app = JSONResponse({"message": refusal}, 403) if refusal else self._app
        await app(scope, receive, _marked(send))

    def _refusal(self, method: str, headers: Headers) -> str:
        host = headers.get("host", "")
        if host.rsplit(":", 1)[0] not in self._hosts and host not in self._hosts:
            return "This server is not asked by this name. Use the address that it printed."
        origin = headers.get("origin")
        if origin and origin.partition("://")[2] != host:
            return "This request comes from another page."
        given = headers.get(TOKEN_HEADER, "")
        if method not in _SAFE and not secrets.compare_digest(given.encode(), self._token.encode()):
            return "This request does not come from the page. Reload the page and try again."
        return ""


def _marked(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            added = [item for item in _HEADERS.items() if item[0] not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return marked
