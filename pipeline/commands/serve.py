"""Serve a page in the browser: drop a study, see the tumour, correct it.

    python -m pipeline serve
    python -m pipeline serve --model models --port 8765 --keep 24

The page works offline: nothing is fetched from, or sent to, any other machine. Cases are kept in
--store for --keep hours; a corrected one is kept in --corrections, for training. Research use only, not for diagnosis.
"""

import argparse
from datetime import timedelta
from pathlib import Path

from ..network.card import read_card
from ..runtime.model_folder import add_model, model_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, help="port (default: 8765)")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("data/serve"),
        metavar="FOLDER",
        help="where cases are kept until they expire (default: data/serve)",
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        default=Path("data/corrected"),
        metavar="FOLDER",
        help="where corrected cases are kept for good (default: data/corrected)",
    )
    parser.add_argument(
        "--keep", type=float, default=24, metavar="HOURS", help="how long (default: 24)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    import uvicorn

    from ..serving import app, cases, security, store

    model = model_folder(arguments.model)
    read_card(model)
    kept = store.Store(arguments.store, timedelta(hours=arguments.keep))
    print(f"http://{arguments.host}:{arguments.port}/  Ctrl-C ends it. Research use only.")
    uvicorn.run(
        app.create(cases.Cases(kept, model, arguments.corrections), security.LOOPBACK),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
