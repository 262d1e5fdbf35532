"""A web server on loopback that misbehaves on request, one reply at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """How one request is answered; without values, as it should be.

    `cut` closes and `stall` silences the connection when it has sent the file up to that byte;
    `length` is what Content-Length says instead of the truth, None that it is left out; `padding`
    follows the file; `raw` is all that is sent.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: int | None = None
    length: int | None = -1
    padding: bytes = b""
    ranges: bool = True
    chunked: bool = False
    instead: bytes | None = None
    raw: bytes | None = None


class Site:
    """Files by path, replies still to be given (then ordinary ones), and the requests that came."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.replies: list[Reply] = []
        self.requests: list[tuple[str, str | None]] = []
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.root = ""

    def url(self, name: str) -> str:
        return f"{self.root}/{name}"

    @property
    def ranges(self) -> list[str | None]:
        """The Range headers that came, in order."""
        return [wanted for _, wanted in self.requests]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site = self.site
        with site.lock:
            site.requests.append((self.path, self.headers["Range"]))
            reply = site.replies.pop(0) if site.replies else Reply()
        if reply.raw is not None:
            self.wfile.write(reply.raw)
            self.close_connection = True
            return
        data = site.files.get(self.path.lstrip("/")) if reply.instead is None else reply.instead
        if reply.status or data is None:
            self._send(reply.status or 404, {"Content-Length": "0"} | reply.headers)
            return
        own: dict[str, str] = {}
        start, wanted = 0, self.headers["Range"]
        if wanted and reply.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self._send(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(data)}"})
                return
            own["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        length = len(data) - start if reply.length == -1 else reply.length
        if reply.chunked:
            own["Transfer-Encoding"] = "chunked"
        elif length is not None:
            own["Content-Length"] = str(length)
        self._send(206 if "Content-Range" in own else 200, own | reply.headers)
        self._body(reply, data + reply.padding, start)

    def _send(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, reply: Reply, data: bytes, start: int) -> None:
        ends = [end for end in (reply.cut, reply.stall) if end is not None]
        piece = data[start : min([len(data), *ends])]
        self.wfile.write(
            b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked and piece else piece
        )
        if reply.chunked and not ends:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if reply.stall is not None:
            self.site.over.wait(60)
        self.close_connection = bool(ends) or reply.length != -1

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the client went away, as some tests make it
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Site]:
    """A site while the block lasts."""
    site = Site()
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("_AnswerOfSite", (_Answer,), {"site": site})
    )
    site.root = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
