"""How a command ends when its input is wrong: with a message instead of a traceback."""

import sys
import traceback
from pathlib import Path

from ..core.errors import InputError
from . import logs

_PACKAGE = __package__.partition(".")[0]


def called_as() -> str:
    """How the user called the command line: ``tumorflow`` or ``python -m pipeline``."""
    return "tumorflow" if Path(sys.argv[0]).stem == "tumorflow" else f"python -m {_PACKAGE}"


def as_called(text: str) -> str:
    """A text with its commands written as the user calls them."""
    return text.replace("python -m pipeline ", f"{called_as()} ")


class reported_errors:
    """Print an `InputError` or `OSError` without a traceback and exit with 1; set up the log."""

    def __enter__(self) -> None:
        logs.set_up()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError | OSError) and logs.verbosity() == "verbose":
            traceback.print_exception(error)
        if isinstance(error, InputError):
            sys.exit(f"\nerror: {as_called(str(error))}")
        if isinstance(error, OSError) and error.filename:
            sys.exit(f"\nerror: {explained(error)}")


def explained(fault: OSError) -> str:
    """The message for a file that the system cannot open."""
    return (
        f"{fault.filename}: {fault.strerror}. Check that it exists, that it may be read or written,"
        " and that the disk has room."
    )
