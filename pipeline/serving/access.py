"""Logging in, where the server is bound elsewhere than to loopback: a form that takes the token of
the server and sets a cookie.
"""

import asyncio
import os
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope

from ..core.errors import InputError
from . import pages

LOGIN = "/login"
_COOKIE = "tumorflow"
_OPEN = "/assets/"
_SESSION_S = 12 * 3600.0
_MOST_SESSIONS = 1000
_SHORTEST_TOKEN = 16
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 8.0
_MOST_AT_ONCE, _CROWDED_WAIT_S = 8, 1.0


class Access:
    """Who has logged in.

    Parameters
    ----------
    token : str
        What a person types.
    is_encrypted : bool
        Whether the server speaks TLS, so that browsers must not send the cookie without.
    """

    def __init__(self, token: str, is_encrypted: bool) -> None:
        self._token, self._is_encrypted = token, is_encrypted
        self._sessions: dict[str, float] = {}  # session -> when it ends
        self._failures = self._trying = 0

    def may(self, scope: Scope) -> bool:
        """Whether a request may go on: for files of the page itself, or with a session."""
        path = scope["path"]
        if path.startswith(_OPEN):
            return True
        if self.is_login(path):
            return False
        ends = self._sessions.get(_session(Headers(scope=scope)), 0.0)
        return time.monotonic() < ends

    def is_login(self, path: str) -> bool:
        """Whether a path is that of the form."""
        return path == LOGIN

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """What is answered to a request that may not go on, and to the form."""
        if not self.is_login(scope["path"]):
            if scope["path"].startswith("/api/") or scope["method"] != "GET":
                return JSONResponse({"message": "Log in first: reload the page."}, 401)
            return RedirectResponse(LOGIN, 303)
        if scope["method"] != "POST":
            return _form("", 200)
        given = parse_qs((await Request(scope, receive).body()).decode("utf-8", "replace"))
        return await self._log_in(given.get("token", [""])[0].strip())

    async def _log_in(self, given: str) -> Response:
        self._trying += 1
        try:
            if not secrets.compare_digest(given.encode(), self._token.encode()):
                if self._trying > _MOST_AT_ONCE:  # the right token is never kept waiting
                    await asyncio.sleep(_CROWDED_WAIT_S)
                    return _form("Too many attempts. Wait a moment.", 429)
                self._failures += 1
                waits_s = min(_FIRST_WAIT_S * 2 ** min(self._failures, 10), _LONGEST_WAIT_S)
                await asyncio.sleep(waits_s)
                return _form("This is not the token of the server. It printed it once.", 403)
        finally:
            self._trying -= 1
        self._failures = 0
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            _COOKIE,
            self._new_session(),
            max_age=int(_SESSION_S),
            httponly=True,
            samesite="lax",  # the links of the report come from an origin of their own
            secure=self._is_encrypted,
        )
        return answer

    def _new_session(self) -> str:
        now = time.monotonic()
        kept = [(one, ends) for one, ends in self._sessions.items() if ends > now]
        session = secrets.token_urlsafe(32)
        self._sessions = dict(kept[1 - _MOST_SESSIONS :]) | {session: now + _SESSION_S}
        return session


def _session(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _form(message: str, status: int) -> Response:
    return HTMLResponse(pages.render("login.html.j2", message=message, token=""), status)


def read_token(file: Path) -> str:
    """The token in a file; InputError if others may read it, or it can be guessed."""
    try:
        token = file.read_text(encoding="utf-8").strip()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{file}: cannot be read. Name a text file that holds a token.") from None
    if mode & 0o077:
        raise InputError(f"{file}: others may read it. Forbid that: chmod 600 {file}")
    if len(token) < _SHORTEST_TOKEN:
        raise InputError(
            f"{file}: holds {len(token)} letters, expected at least {_SHORTEST_TOKEN}. Make one,"
            " for example by openssl rand -hex 24."
        )
    return token


def kept_token(file: Path) -> tuple[str, bool]:
    """The token in a file, which is made if it is not there; and whether it was made."""
    if file.exists():
        return read_token(file), False
    token = secrets.token_urlsafe(24)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
        made.write(f"{token}\n")
    return token, True
