"""TumorFlow beside its pipeline: python -m pipeline COMMAND ...

Each command is a file of pipeline/commands with a docstring, its help; ``add_arguments(parser)``;
and ``run(arguments)``, which may return an exit status. Only the file of the command that is called
is imported.
"""

import argparse
import importlib
import inspect
import sys
from collections.abc import Sequence

from .runtime.errors import reported_errors

COMMANDS = {
    "predict": "segment a case with a trained model",
    "doctor": "look at this machine and this clone, and say what to do about what is wrong",
    "preset": "set a group of values in params.yaml",
    "compare": "compare runs on the same cases: differences, intervals, tests, ranking",
    "score": "score segmentations of any tool against references",
    "sources": "list where cases can come from, and what each source declares",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, call the command, exit with its status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    listed = "\n".join(f"  {name:<10}{about}" for name, about in COMMANDS.items())
    chooser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="TumorFlow beside its pipeline, which `dvc repro` runs.",
        epilog=f"commands:\n{listed}\n\nhelp on one: python -m pipeline COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chooser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    name = chooser.parse_args(arguments[:1]).command
    command = importlib.import_module(f"pipeline.commands.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m pipeline {name}",
        description=inspect.getdoc(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    with reported_errors():
        sys.exit(command.run(parser.parse_intermixed_args(arguments[1:])))


if __name__ == "__main__":
    main()
