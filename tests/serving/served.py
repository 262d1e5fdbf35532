"""A server of its own for tests and benchmarks, and a client that asks it as the page does."""

import io
import re
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[2]
WORKED_ON = ("received", "waiting", "running")
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes
    ----------
    address : str
        Without a slash at its end.
    pid : int
    """

    address: str
    pid: int
    session: requests.Session

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """The answer to a request, which the server did not refuse."""
        answer = self.session.request(method, f"{self.address}{path}", timeout=60, **options)
        answer.raise_for_status()
        return answer

    def upload(self, body: bytes, name: str = "") -> str:
        """Send an archive or a file; the id of its case."""
        return self.ask("POST", "/api/cases", params={"name": name}, data=body).json()["id"]

    def state(self, case: str) -> dict[str, Any]:
        """What the page gets to know of a case."""
        return self.ask("GET", f"/api/cases/{case}").json()

    def wait(self, case: str, every_s: float = 0.1) -> dict[str, Any]:
        """The state of a case that is no longer worked on."""
        end = time.monotonic() + _PATIENCE_S
        while (state := self.state(case))["status"] in WORKED_ON:
            if time.monotonic() > end:
                raise TimeoutError(f"still {state['status']} after {_PATIENCE_S:g} s")
            time.sleep(every_s)
        return state


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def serving(model: Path, store: Path, *options: str, **process: Any) -> Iterator[Served]:
    """Serve with a network and a store of its own until the context ends."""
    port = free_port()
    flags = ["--model", str(model), "--store", str(store), "--port", str(port), *options]
    command = [sys.executable, "-m", "pipeline", "serve", *flags]
    session, address = requests.Session(), f"http://127.0.0.1:{port}"
    session.trust_env = False  # no proxy
    running = subprocess.Popen(command, **{"cwd": ROOT} | process)
    try:
        session.headers["X-TumorFlow-Token"] = _token(session, address, running)
        yield Served(address, running.pid, session)
    finally:
        running.terminate()
        running.wait(_PATIENCE_S)
        session.close()


def _token(session: requests.Session, address: str, running: subprocess.Popen) -> str:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            page = session.get(address, timeout=60).text
        except requests.ConnectionError:
            if running.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return re.search(r'<meta name="token" content="([^"]+)"', page)[1]


def packed(files: Iterable[Path], root: Path) -> bytes:
    """Files as the page sends them: one tar archive without compression."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        for file in files:
            archive.add(file, file.relative_to(root))
    return body.getvalue()
