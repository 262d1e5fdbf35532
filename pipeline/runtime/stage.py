"""The command line of a stage: its flags and params are read from the signature of its function."""

import argparse
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_origin

from ..core import params
from . import logs
from .errors import reported_errors
from .parallel import computing_on_demand

log = logging.getLogger(__name__)

_PACKAGE = __package__.partition(".")[0]


@dataclass(frozen=True)
class Key:
    """Marks a parameter of a stage function as a key of params.yaml: ``Annotated[int,
    Key("cohort.seed")]``.
    """

    name: str


@dataclass(frozen=True)
class Option:
    """Marks a parameter of a stage function as a number that the command line may name, None
    without: ``Annotated[int | None, Option("what it does")]``.
    """

    help: str


def flags(function: Callable) -> list[str]:
    """Names of the path parameters of a stage function: its flags, e.g. ``raw`` for ``--raw``."""
    return [name for name, kind in _annotations(function) if kind is Path]


def keys(function: Callable) -> dict[str, tuple[str, Any]]:
    """Parameters that come from params.yaml: name -> (dotted key, type)."""
    return {
        name: (mark.name, kind.__origin__)
        for name, kind in _annotations(function)
        if isinstance(mark := _mark(kind), Key)
    }


def _mark(kind: Any) -> Any:
    return kind.__metadata__[0] if get_origin(kind) is Annotated else None


def _annotations(function: Callable) -> list[tuple[str, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.annotation) for parameter in parameters]


def main(
    function: Callable,
    arguments: Sequence[str] | None = None,
    recorded: Callable[[str], AbstractContextManager] = nullcontext,
) -> None:
    """Run a stage function from the command line.

    Its `Path` parameters are required flags and its `Option` parameters flags that may be left out;
    its ``Annotated[kind, Key(name)]`` parameters are read from params.yaml. Before anything is
    touched, the whole file is checked and what it points to. The function runs within
    ``recorded(name)``, which may measure it.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {_PACKAGE}.{function.__name__}",
        description=inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="default: params.yaml"
    )
    parser.add_argument(
        "--check", action="store_true", help="check params.yaml, touch nothing; needs no other flag"
    )
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in flags(function):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            type=Path,
            required="--check" not in arguments,
            metavar="PATH",
        )
    for name, kind in _annotations(function):
        if isinstance(mark := _mark(kind), Option):
            parser.add_argument(f"--{name}", type=int, help=mark.help)
    logs.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    logs.choose(parsed)
    chosen = vars(parsed)
    path, check = chosen.pop("params"), chosen.pop("check")
    del chosen["log"]
    with reported_errors():
        typed, compute = _read(function, path, chosen)
        for name, value in typed.items():
            log.debug("%s: %r", name, value)
        if not check:
            with recorded(function.__name__), computing_on_demand(compute):
                function(**chosen, **typed)


def _read(
    function: Callable, path: Path, given: dict[str, Any]
) -> tuple[dict[str, Any], params.Compute]:
    """The values of a stage function from params.yaml, and the section `compute`, after all that
    the file holds was checked.
    """
    # by name: what checks the sections of all stages is a dependency of none
    checking = importlib.import_module("..checking.params_file", __package__)
    values = checking.checked(path, function.__name__, given)
    typed = {
        name: params.value(values, key, kind, path) for name, (key, kind) in keys(function).items()
    }
    return typed, params.value(values, "compute", params.Compute, path)
