"""Cases that the network was trained on, whose labels say nothing about new cases."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..formats.raw_cases import Found
from ..network.card import Card, data_hash

_BETTER = "look better than on new cases"


def trained_on(card: Card, found: Found) -> bool:
    """Whether a case is certainly one that the network was trained on: it has the name of one and
    lies in data/raw of a clone whose catalogue and split have the hash in the card.
    """
    if not any(found.case in member.trained_on for member in card.members):
        return False
    folder = found.folder.resolve()
    for raw in (folder, *folder.parents):
        files = raw / "catalogue.json", raw.parent / "split.json"
        if all(file.is_file() for file in files):
            changed = tuple(file.stat().st_mtime_ns for file in files)
            return _data_hash(files, changed) == card.data_hash
    return False


def warning(case: str) -> str:
    """The warning about such a case."""
    return f"{case}: was a training case of this network: its labels {_BETTER}"


def summary(seen: Sequence[str], count: int) -> str:
    """The warning about such cases, at least one, of so many."""
    if len(seen) == 1:
        return warning(seen[0])
    return (
        f"{len(seen)} of {count} cases were training cases of this network: their labels {_BETTER}"
    )


@lru_cache
def _data_hash(files: tuple[Path, Path], changed: tuple[int, ...]) -> str:
    """`Card.data_hash` of catalogue and split, which were last changed at these times."""
    return data_hash(*files)
