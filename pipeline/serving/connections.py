"""Connections that must ask in time: uvicorn waits for ever for the end of a request's headers."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 20.0
"""From the opening of a connection, or the first byte of a further request, to the end of its
headers."""


class Punctual(H11Protocol):
    """HTTP/1.1 over a connection, which is closed if the headers of a request take too long."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._due is None and self.timeout_keep_alive_task is None:
            self._due = self.loop.call_later(HEADERS_S, self.transport.close)

    def _forget(self) -> None:
        if self._due:
            self._due.cancel()
            self._due = None
