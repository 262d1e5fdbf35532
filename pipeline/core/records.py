"""Small files of ours, JSON and CSV: deterministic bytes, written whole or not at all."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import InputError
from .params import explain

Record = TypeVar("Record", bound=BaseModel)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a sibling to write to; it takes the place of `path` only when all went well.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made.

    Yields
    ------
    Path
        A hidden file beside it with the same suffixes, removed if the block raises.
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
    """Read a file whole, unless it is larger than any of its kind.

    Raises
    ------
    InputError
        If it cannot be read, or has more than `largest` bytes.
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
            f"{path}: has {length} bytes, where at most {largest} are due. Fetch the file again"
            " from its source."
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
    path : Path
        The file.
    kind : type
        A pydantic model.
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


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with the keys of the first as columns; numbers by `repr`, NaN as an empty field."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if item != item else item for key, item in row.items()} for row in rows
    )
    write_bytes(path, buffer.getvalue().encode())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read rows as text, keyed by the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return list(csv.DictReader(lines))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Run the stage that makes it: dvc repro."
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: is not a table in UTF-8 ({error}). Save it as CSV again."
        ) from None
