"""Why a request is refused: words for a person, and the status of the answer."""

import errno
import re
import shutil
from http import HTTPStatus
from pathlib import Path
from unicodedata import category

from ..core.advice import without_commands
from ..core.errors import InputError
from ..runtime.errors import explained

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_FULL = (
    "The disk of the server is full. Make room, for example by deleting cases, and try again."
)
_MOST_LETTERS = 1000
_CLASSES = re.compile(r" ?\(\w*(?:Error|Exception)\b[^()]*\)")
_FOLDERS = re.compile(r"(?<![\w.)])/(?:[^/\s:'\",]+/)+")


class Refusal(InputError):
    """An error of a request.

    Parameters
    ----------
    message : str
        What was found and what to do.
    status : int
        Of the answer.
    """

    def __init__(self, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


class ModelAbsent(Refusal):
    """The network is not there, or not whole, as while a training replaces it."""

    def __init__(self) -> None:
        said = (
            "The network is being replaced or is missing: nothing can be segmented now. The files"
            " are kept; start again when it is there."
        )
        super().__init__(said, HTTPStatus.SERVICE_UNAVAILABLE)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that no room is left on the disk."""
    return isinstance(error, OSError) and error.errno in _FULL


def require_room(folder: Path, size: int) -> None:
    """Raise `Refusal` unless a disk has room for so many bytes; a folder may be made later."""
    while not folder.exists():
        folder = folder.parent
    if shutil.disk_usage(folder).free < size:
        raise Refusal(DISK_FULL, HTTPStatus.INSUFFICIENT_STORAGE)


def for_page(error: BaseException, *places: Path) -> str:
    """The words of an error for a person at the page: without places of this machine, and without
    advice that only helps at a command line.

    Parameters
    ----------
    places : Path
        Folders whose names are left out.
    """
    if is_full_disk(error):
        return DISK_FULL
    if isinstance(error, OSError):
        text = explained(error) if error.filename else f"{error.strerror or 'reading failed'}"
    else:
        text = str(error)
    for place in places:
        text = text.replace(f"{place}/", "").replace(f"{place}: ", "").replace(str(place), "it")
    text = _CLASSES.sub("", _FOLDERS.sub("", plain(text, 4 * _MOST_LETTERS)))
    return shortened(without_commands(text), _MOST_LETTERS)


def plain(text: str, most: int) -> str:
    """A text from a file or a person on one line, without control letters and those that change the
    direction of reading, at most so long.
    """
    letters = "".join(" " if category(one)[0] in "CZ" else one for one in text[: 4 * most])
    return shortened(" ".join(letters.split()), most)


def shortened(text: str, most: int) -> str:
    """A text, its end left out if it is longer than `most` letters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
