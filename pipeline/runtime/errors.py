"""How a command ends when its input is wrong: a message instead of a traceback, and the log of all
commands.
"""

import logging
import sys

from ..core.errors import InputError


class reported_errors:
    """Print an `InputError`, or what the system says of a file, without a traceback and exit with
    1; set up the log.
    """

    def __enter__(self) -> None:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        for noisy in ("absl", "alembic", "matplotlib", "mlflow", "nibabel.global"):
            logging.getLogger(noisy).setLevel(logging.ERROR)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            sys.exit(f"\nerror: {error}")
        if isinstance(error, OSError) and error.filename:
            sys.exit(f"\nerror: {explained(error)}")


def explained(fault: OSError) -> str:
    return (
        f"{fault.filename}: {fault.strerror}. Check that it exists, that it may be read or written,"
        " and that the disk has room."
    )
