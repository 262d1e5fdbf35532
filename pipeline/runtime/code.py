"""A hash that identifies code."""

import hashlib
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def code_hash(*places: str) -> str:
    """Hash the Python files of some rooms, such as ``core``, or files, such as ``train.py``; for
    checkpoints and tags, never part of an out. The sha256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for place in sorted(places):
        path = _PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(
                f"{file.relative_to(_PACKAGE).as_posix()}\0".encode() + file.read_bytes() + b"\0"
            )
    return digest.hexdigest()
