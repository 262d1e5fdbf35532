"""Serve a page in the browser: drop a study, see the tumour, correct it.

    python -m pipeline serve
    python -m pipeline serve --model models --port 8765 --keep 24
    python -m pipeline serve --also large=runs:/0123456789abcdef --project ../glioma

The page works offline: nothing is fetched from, or sent to, any other machine. Cases are kept in
--store for --keep hours. Research use only, not for diagnosis.
"""

import argparse
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from ..core.errors import InputError
from ..network.card import read_card
from ..runtime.model_folder import add_model, model_folder

_NAME = re.compile(r"[\w.-]{1,40}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_model(parser)
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=MODEL",
        help="another network to compare with, named as by --model; may be repeated",
    )
    parser.add_argument(
        "--project",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="whose held-out cases, report and runs are shown (default: the current folder)",
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        default=Path("data/corrected"),
        metavar="FOLDER",
        help="corrected cases (default: data/corrected)",
    )
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
        "--keep", type=float, default=24, metavar="HOURS", help="how long (default: 24)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    import uvicorn

    from ..serving import app, cases, project, review, security, store

    model = model_folder(arguments.model)
    read_card(model)
    models = {review.SERVED: model} | _others(arguments.also, review.SERVED)
    served = cases.Cases(store.Store(arguments.store, timedelta(hours=arguments.keep)), model)
    results = project.Project(arguments.project, arguments.corrections)
    reviewed = review.Review(served, results, models)
    print(f"http://{arguments.host}:{arguments.port}/  Ctrl-C ends it. Research use only.")
    uvicorn.run(
        app.create(served, security.LOOPBACK, reviewed),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )


def _others(pairs: Sequence[str], taken: str) -> dict[str, Path]:
    """Folders of the networks of --also by their names; InputError for one that is no model."""
    found: dict[str, Path] = {}
    for pair in pairs:
        name, equals, model = pair.partition("=")
        if not equals or not _NAME.fullmatch(name) or name in (taken, *found):
            raise InputError(
                f"--also {pair}: is not of the form NAME=MODEL with a name of its own of letters,"
                f" digits, '_', '.' and '-' ({taken} is the model of --model)."
            )
        found[name] = model_folder(model)
        read_card(found[name])
    return found
