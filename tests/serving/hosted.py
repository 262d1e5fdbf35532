"""A server in a thread of the tests, whose limits and cases can be reached."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import requests
import uvicorn

from pipeline.serving import app, connections, security
from pipeline.serving.access import Access
from pipeline.serving.cases import Cases
from pipeline.serving.limits import Limits
from pipeline.serving.store import Store
from tests.serving.served import Served, free_port

MODEL = Path(__file__).parents[1] / "network/format_1"


@dataclass(frozen=True)
class Hosted(Served):
    """A running server and its cases."""

    cases: Cases
    token: str


@contextmanager
def hosting(
    store: Path, limits: Limits | None = None, access: Access | None = None, model: Path = MODEL
) -> Iterator[Hosted]:
    """Serve until the context ends."""
    cases, port = Cases(Store(store, timedelta(hours=1)), model, limits), free_port()
    application = app.create(cases, security.LOOPBACK, access)
    config = uvicorn.Config(
        application,
        port=port,
        http=connections.Punctual,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    address = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        session.trust_env = False
        if access is None:
            page = session.get(address, timeout=30).text
            token = re.search(r'<meta name="token" content="([^"]+)"', page)[1]
            session.headers["X-TumorFlow-Token"] = token
        yield Hosted(address, 0, session, cases, "" if access else token)
    server.should_exit = True
    thread.join(20)
