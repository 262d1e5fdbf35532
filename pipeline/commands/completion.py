"""Print a script that completes this command line in bash or zsh: commands, options, names, files.

    python -m pipeline completion bash > ~/.local/share/bash-completion/completions/tumorflow
    python -m pipeline completion zsh > ~/.zfunc/_tumorflow

Make the folder if it is missing. bash needs the package bash-completion; zsh needs
``fpath+=~/.zfunc`` before ``compinit`` in ~/.zshrc. New shells then complete the word `tumorflow`.
In a clone it is no command; a function in ~/.bashrc or ~/.zshrc makes it one:
``tumorflow() { python -m pipeline "$@"; }``
"""

import argparse
import importlib
from collections.abc import Iterable
from pathlib import Path

import shtab

from ..__main__ import COMMANDS
from ..cohorts.registry import SOURCES
from ..runtime import logs
from ..runtime.params_file import PRESETS

_PRESETS = sorted(path.stem for path in PRESETS.glob("*.yaml"))
_NAMES: dict[tuple[str, str], Iterable[str]] = {
    ("preset", "name"): _PRESETS,
    ("sources", "name"): SOURCES,
    ("predict", "source"): SOURCES,
}
"""What stands for an argument of a command, where the command itself looks it up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("shell", choices=("bash", "zsh"), help="that the script is for")


def run(arguments: argparse.Namespace) -> None:
    """Print the script."""
    print(shtab.complete(whole_parser(), arguments.shell))


def whole_parser() -> argparse.ArgumentParser:
    """A parser of all commands, whose arguments know how they are completed."""
    parser = argparse.ArgumentParser("tumorflow")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers()
    for name, about in COMMANDS.items():
        one = commands.add_parser(name, help=about)
        importlib.import_module(f".{name}", __package__).add_arguments(one)
        logs.add_arguments(one)
        for action in one._actions:
            if names := action.choices or _NAMES.get((name, action.dest)):
                action.choices = [*names]  # shtab takes a dict for subcommands
            if action.type is Path or "FOLDER" in str(action.metavar):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser
