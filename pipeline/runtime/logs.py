"""How much a command says: -q, -v, or TUMORFLOW_LOG for all commands and stages."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from ..core.progress import VERBOSITY

LEVELS = {"quiet": logging.WARNING, "normal": logging.INFO, "verbose": logging.DEBUG}
_PACKAGE = __package__.partition(".")[0]
_NOISY = ("absl", "alembic", "fontTools", "matplotlib", "mlflow", "nibabel.global")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare -q and -v."""
    either = parser.add_mutually_exclusive_group()
    said = {
        ("-q", "--quiet"): "say only results, warnings and errors",
        ("-v", "--verbose"): "say more, with time and module, and show where an error arose",
    }
    for flags, text in said.items():
        value = flags[1].removeprefix("--")
        either.add_argument(*flags, dest="log", action="store_const", const=value, help=text)


def choose(arguments: argparse.Namespace) -> None:
    """Take what -q or -v says, for this process and those that it starts."""
    if arguments.log:
        os.environ[VERBOSITY] = arguments.log


def verbosity() -> str:
    """One of `LEVELS`; normal where TUMORFLOW_LOG is not set, or to another word."""
    wanted = os.environ.get(VERBOSITY, "")
    return wanted if wanted in LEVELS else "normal"


class _Stderr(logging.StreamHandler):
    """Writes to what is sys.stderr at the time, which DVC replaces: tqdm takes no other for the
    terminal's, and would add its own.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def set_up() -> None:
    """Log to stderr, as `verbosity` says."""
    verbose = verbosity() == "verbose"
    form = "%(asctime)s %(name)s: %(message)s" if verbose else "%(message)s"
    level = max(LEVELS[verbosity()], logging.INFO)
    logging.basicConfig(level=level, format=form, handlers=[_Stderr()], force=True)
    logging.getLogger(_PACKAGE).setLevel(LEVELS[verbosity()])
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.INFO if verbose else logging.ERROR)


def shown(path: Path) -> str:
    """A file in a message: on a terminal as a URL, which can be clicked."""
    return path.resolve().as_uri() if sys.stderr.isatty() else str(path)
