"""The commands beside the pipeline: ``tumorflow COMMAND`` or ``python -m pipeline COMMAND``.

Each command is a file of pipeline/commands with a docstring, which is its help;
``add_arguments(parser)``; and ``run(arguments)``, which may return an exit status. Only the file of
the command that is called is imported.
"""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence

from .runtime import logs
from .runtime.errors import as_called, called_as, reported_errors
from .runtime.version import version

COMMANDS = {
    "predict": "segment a case with a trained model",
    "serve": "serve a page in the browser: drop a study, see the tumour, correct it",
    "dicomweb": "query a DICOMweb server, fetch and segment studies, store results",
    "watch": "segment each study that arrives in a folder",
    "export": "write a trained network as ONNX or OpenVINO, with a runner that needs no Keras",
    "worklist": "list predictions, the most worth correcting first",
    "score": "score segmentations of any tool against references",
    "compare": "compare runs on the same cases: differences, intervals, tests, ranking",
    "register": "register a trained model in MLflow under a name and an alias",
    "sources": "list where cases can come from, and what each source declares",
    "preset": "set a group of values in params.yaml",
    "plan": "choose all values for a cohort, this machine and a time budget",
    "follow": "follow a patient over visits: lesions, diameters, RANO 2.0",
    "doctor": "check this machine and this clone, and say how to fix what is wrong",
    "schema": "print the JSON schema of params.yaml or of the run manifest",
    "completion": "print a script that completes this command line in bash or zsh",
}


class _Version(argparse.Action):
    """Looks the version up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"tumorflow {version()}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, call the command, exit with its status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    program = called_as()
    listed = "\n".join(f"  {name:<12}{about}" for name, about in COMMANDS.items())
    chooser = argparse.ArgumentParser(
        prog=program,
        description="Commands beside the pipeline, which `dvc repro` runs.",
        epilog=f"commands:\n{listed}\n\nhelp on one: {program} COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chooser.add_argument(
        "--version", action=_Version, nargs=0, help="print version and commit, and exit"
    )
    chooser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    name = chooser.parse_args(arguments[:1]).command
    command = importlib.import_module(f".commands.{name}", __package__)
    parser = argparse.ArgumentParser(
        prog=f"{program} {name}",
        description=as_called(inspect.getdoc(command) or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    logs.add_arguments(parser)
    parsed = parser.parse_intermixed_args(arguments[1:])
    logs.choose(parsed)
    with reported_errors():
        try:
            status = command.run(parsed)
            sys.stdout.flush()
        except BrokenPipeError:  # of `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = 1
        sys.exit(status)


if __name__ == "__main__":
    main()
