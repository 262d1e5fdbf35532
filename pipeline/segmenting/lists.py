"""Lists of cases: a text file with a folder a line, or a CSV file with a case a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cohorts.source import read_table, require_plain_name
from ..core.errors import InputError
from ..formats.walking import expanded

_ENDINGS = (".csv", ".txt")
_CASE, _FOLDER = "case", "folder"
_REMEDY = "Save it as a table in UTF-8, its fields separated by commas."


@dataclass(frozen=True)
class Entry:
    """A case of a list: its place in the list, its name if it has one, its folder, its files by
    modality.
    """

    where: str
    case: str
    folder: Path | None
    files: Mapping[str, Path]


def is_list(place: Path) -> bool:
    """Whether a path is a list of cases by its name."""
    return place.is_file() and place.suffix.lower() in _ENDINGS


def read_list(path: Path, modalities: Sequence[str]) -> list[Entry]:
    """Read a list of cases. Paths in it are relative to its folder.

    Parameters
    ----------
    path : Path
        Ends in ``.txt``: a folder a line; empty lines and those that begin with ``#`` do not count.
        Or in ``.csv``: columns ``case`` (a name), ``folder`` and modalities (files), all optional
        and in any order; an empty field is as if it were not there.
    modalities : sequence of str
        Which may be columns.

    Raises
    ------
    InputError
        If it cannot be read, has another column or no row, or a row names neither folder nor file,
        or a case by a name that cannot be that of a file.
    """
    is_table = path.suffix.lower() == ".csv"
    entries = _rows(path, modalities) if is_table else _lines(path)
    if not entries:
        raise InputError(f"{path}: lists no case. Write one into each line.")
    return entries


def _lines(path: Path) -> list[Entry]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read ({error}). Save it in UTF-8.") from None
    return [
        Entry(f"{path}, line {number}", "", path.parent / expanded(line.strip()), {})
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]


def _rows(path: Path, modalities: Sequence[str]) -> list[Entry]:
    columns, rows = read_table(path, _REMEDY)
    known = (_CASE, _FOLDER, *modalities)
    if foreign := [name for name in columns if name not in known]:
        raise InputError(
            f"{path}: has a column {foreign[0]!r}. Name columns {', '.join(known)}; leave out"
            " what is not needed."
        )
    return [_entry(path, f"{path}, row {number}", row) for number, row in enumerate(rows, 1)]


def _entry(path: Path, where: str, row: Mapping[str, str]) -> Entry:
    fields = {name: field.strip() for name, field in row.items() if field and field.strip()}
    case, folder = fields.pop(_CASE, ""), fields.pop(_FOLDER, "")
    if not folder and not fields:
        raise InputError(f"{where}: names neither a folder nor a file. Add one, or remove the row.")
    if case:
        require_plain_name(case, Path(where))
    files = {name: path.parent / expanded(file) for name, file in fields.items()}
    return Entry(where, case, path.parent / expanded(folder) if folder else None, files)
