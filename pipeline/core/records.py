"""JSON and CSV files of the pipeline: deterministic bytes, written whole or not at all."""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import InputError
from .params import explain

if TYPE_CHECKING:
    import pandas

Record = TypeVar("Record", bound=BaseModel)

TEXTS = frozenset(
    {"case", "patient", "kind", "name", "filled", "reference", "prediction", "predicted"}
)
"""Columns of our tables that hold text; a case may be called 00012."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden sibling with the same suffixes to write to; it takes the place of `path` only
    when all went well, and is removed if the block raises. The folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sibling = path.with_name(f".partial-{path.name}")
    try:
        yield sibling
        with sibling.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(sibling, path)
    finally:
        sibling.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a file, whole or not at all."""
    with replacing(path) as sibling:
        sibling.write_bytes(data)


def read_small(path: Path, largest: int) -> bytes:
    """Read a file whole; InputError if it cannot be read, or has more than `largest` bytes, as none
    of its kind has.
    """
    try:
        length = path.stat().st_size
        stored = path.read_bytes() if length <= largest else b""
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Check that it exists and may be read."
        ) from None
    if length > largest:
        raise InputError(
            f"{path}: has {length} bytes, expected at most {largest}. Fetch the file again from its"
            " source."
        )
    return stored


def write_json(path: Path, value: Any) -> None:
    """Write plain values or a pydantic record as JSON, keys sorted where no record gives their
    order; NaN is written as null.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(
        _without_nan(plain), indent=1, sort_keys=not isinstance(value, BaseModel), allow_nan=False
    )
    write_bytes(path, f"{text}\n".encode())


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def read_json(
    path: Path, kind: type[Record], upgrade: Callable[[Any], Any] | None = None
) -> Record:
    """Read a JSON file as a record.

    Parameters
    ----------
    upgrade : callable, optional
        From the plain values of a file of any format to those of the present one.

    Raises
    ------
    InputError
        If the file is missing, is not JSON, or does not fit the record; names the file and each
        finding.
    """
    try:
        stored = path.read_bytes()
        with suppress(ValueError):  # what is no JSON is named by the validation
            stored = json.dumps(upgrade(json.loads(stored))).encode() if upgrade else stored
        return kind.model_validate_json(stored)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Run the stage that makes it: dvc repro."
        ) from None
    except ValidationError as error:
        raise InputError(
            f"{explain(error, str(path))}\nRun the stage that makes this file again: dvc repro."
        ) from None


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the keys of the first as columns.

    Floats are written as `repr` gives them, so that they are read back to the last bit; NaN and
    None are empty fields.
    """
    import pandas  # here, since most stages and commands start without it

    # dtype object keeps integers beside NaN as they are
    table = pandas.DataFrame(list(rows), columns=list(rows[0]) if rows else [], dtype=object)
    write_bytes(path, table.to_csv(index=False, lineterminator="\n").encode())


def write_tables(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write each table as NAME.csv. A table without rows leaves no file, not even an older one."""
    for name, rows in tables.items():
        path = folder / f"{name}.csv"
        if rows:
            write_csv(path, rows)
        else:
            path.unlink(missing_ok=True)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file as text, keyed by the header; InputError if it cannot be read, is
    not UTF-8, or a row has more or fewer fields than the header.
    """
    return parse_csv(_text_of(path), str(path))


def parse_csv(text: str, where: str) -> list[dict[str, str]]:
    """Rows of a CSV file that was read already; `where` names it in messages."""
    import pandas

    try:
        with warnings.catch_warnings(category=pandas.errors.ParserWarning, action="error"):
            # the engine in Python marks the missing fields of a short row, that in C fills them
            as_text = {"dtype": str, "keep_default_na": False, "index_col": False}
            table = pandas.read_csv(io.StringIO(text), engine="python", **as_text)
    except pandas.errors.EmptyDataError:
        return []
    except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
        raise InputError(
            f"{where}: a row has more or fewer fields than the header ({error}). Save it as CSV"
            " again."
        ) from None
    short = table.isna().any(axis=1)
    if short.any():
        raise InputError(
            f"{where}: row {int(short.argmax()) + 1} has more or fewer fields than the header. Save"
            " it as CSV again."
        )
    return table.to_dict("records")


def read_table(path: Path) -> "pandas.DataFrame":
    """Read a table of ours: columns of `TEXTS` as str, the others as float64, NaN where empty.

    InputError as of `read_csv`, and if a field is not a number.
    """
    return parse_table(_text_of(path), str(path))


def parse_table(text: str, where: str) -> "pandas.DataFrame":
    """`read_table` of a CSV file that was read already; `where` names it in messages."""
    import pandas

    rows: list[dict[str, Any]] = [*parse_csv(text, where)]
    for number, row in enumerate(rows, 1):
        for column, field in row.items():
            if column not in TEXTS:
                try:
                    row[column] = float(field) if field else nan
                except ValueError:
                    whose = ", ".join(str(row[key]) for key in ("case", "name") if key in row)
                    raise InputError(
                        f"{where}: {column} of {whose or f'row {number}'} is {field!r}, expected a"
                        " number or an empty field. Save it as CSV again."
                    ) from None
    return pandas.DataFrame(rows)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Run the stage that makes it: dvc repro."
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not a table in UTF-8 ({error}). Save it as CSV again."
        ) from None
