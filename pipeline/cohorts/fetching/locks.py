"""Locks between processes and threads that write into one folder."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import InputError

log = logging.getLogger(__name__)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that only one process and thread at a time can have; it ends with the process,
    however that ends.

    Parameters
    ----------
    path : Path
        The lock file; it stays, empty, for the next.

    Raises
    ------
    InputError
        If the file system knows no locks.
    """
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process is at work here; waiting for it", path.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as fault:
            raise InputError(
                f"{path}: cannot be locked ({fault.strerror}). Choose a folder on a local disk."
            ) from None
        yield
