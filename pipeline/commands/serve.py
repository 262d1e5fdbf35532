"""Serve a page in the browser: drop a study, see the tumour, correct it.

    python -m pipeline serve
    python -m pipeline serve --model models --port 8765 --keep 24
    python -m pipeline serve --also large=runs:/0123456789abcdef --project ../glioma
    python -m pipeline serve --host 0.0.0.0 --allowed-host ward7.example.org

The page works offline: nothing is fetched from, or sent to, any other machine. Cases are kept in
--store for --keep hours; corrected ones stay in --corrections, for training. Bound to another
address than loopback, the server asks for a token, which it makes and prints once. docs/security.md
says what listens, what is stored, and who can see it. Research use only, not for diagnosis.
"""

import argparse
import logging
import math
import re
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..network.card import read_card
from ..runtime.model_folder import add_model, model_folder

if TYPE_CHECKING:
    from ..serving.access import Access

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 200
_GRACE_S = 5
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
        "--host",
        default="127.0.0.1",
        help="address to bind (default: 127.0.0.1, this machine alone); any other asks for a token",
    )
    parser.add_argument(
        "--port", type=int, default=8765, help="port (default: 8765; 0 for any that is free)"
    )
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
    parser.add_argument(
        "--most-gb",
        type=float,
        default=4,
        metavar="GB",
        help="largest upload, in 2^30 bytes (default: 4)",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name by which browsers may ask, such as ward7.example.org; may be repeated",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="text file with the token to log in; asked for on loopback too then (default: made in"
        " --store if bound elsewhere)",
    )
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="certificate (PEM), for https"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    import uvicorn

    from ..serving import app, cases, connections, limits, project, review, security, store

    _check(arguments)
    model = model_folder(arguments.model)
    read_card(model)
    models = {review.SERVED: model} | _others(arguments.also, review.SERVED)
    kept = store.Store(arguments.store, timedelta(hours=arguments.keep))
    is_local = arguments.host in (*security.LOOPBACK, "::1")
    hosts = [*security.LOOPBACK, *arguments.allowed_host]
    if not is_local:
        hosts.append(security.ANY_ADDRESS)
    bounds = limits.Limits(most_bytes=int(arguments.most_gb * limits.GIBI))
    with kept.locked(), _bound(arguments.host, arguments.port) as listening:
        access = None if is_local and not arguments.token_file else _access(arguments)
        if not (is_local or arguments.tls_certificate):
            log.warning(
                "warning: without TLS everybody on the network can read what is sent. Give"
                " --tls-certificate and --tls-key, or put a proxy with TLS before the server."
            )
        served = cases.Cases(kept, model, bounds, arguments.corrections)
        results = project.Project(arguments.project, arguments.corrections)
        config = uvicorn.Config(
            app.create(served, hosts, access, review.Review(served, results, models)),
            http=connections.Punctual,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=arguments.tls_certificate,
            ssl_keyfile=arguments.tls_key,
        )
        name = next(iter(arguments.allowed_host), arguments.host)
        name = f"[{name}]" if ":" in name else name
        address = f"{'https' if arguments.tls_certificate else 'http'}://{name}:{listening.getsockname()[1]}/"
        print(f"{address}  Ctrl-C ends it. Research use only.", flush=True)
        uvicorn.Server(config).run(sockets=[listening])


def _check(arguments: argparse.Namespace) -> None:
    """Raise InputError if an argument is out of range, or one of a pair is missing."""
    for name, value in (("--keep", arguments.keep), ("--most-gb", arguments.most_gb)):
        if not (math.isfinite(value) and 0 < value < 1e6):
            raise InputError(f"{name}: must be a number above 0, got {value}.")
    if not 0 <= arguments.port < 2**16:
        raise InputError(f"--port: must be 0 to 65535, got {arguments.port}.")
    store, corrections = arguments.store.resolve(), arguments.corrections.resolve()
    if store.is_relative_to(corrections) or corrections.is_relative_to(store):
        raise InputError(
            f"--store {arguments.store} and --corrections {arguments.corrections}: one holds the"
            " other, but what is in the store expires. Name folders apart."
        )
    if bool(arguments.tls_certificate) != bool(arguments.tls_key):
        raise InputError("--tls-certificate and --tls-key belong together. Give both.")
    for file in filter(None, (arguments.tls_certificate, arguments.tls_key)):
        if not file.is_file():
            raise InputError(f"{file}: is not a file. Name a PEM file.")
    if arguments.tls_certificate:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
        except ssl.SSLError:
            raise InputError(
                f"{arguments.tls_certificate}: is no certificate (PEM) of the key"
                f" {arguments.tls_key}. Name both files of one pair."
            ) from None


def _access(arguments: argparse.Namespace) -> "Access":
    """Who may log in; a token that was made is printed, this once."""
    from ..serving.access import Access, kept_token, read_token

    if arguments.token_file:
        token = read_token(arguments.token_file)
    else:
        file = arguments.store / "token"
        token, is_new = kept_token(file)
        print(f"token: {token}  (kept in {file})" if is_new else f"The token is in {file}.")
    return Access(token, bool(arguments.tls_certificate))


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens; InputError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", error)).partition(" (")[0]
        raise InputError(
            f"{host}:{port}: cannot be bound ({reason}). Is another"
            " server running there? Choose another by --port or --host."
        ) from None


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
