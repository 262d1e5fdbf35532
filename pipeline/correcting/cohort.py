"""The cohort of corrected cases: a folder that `cohort.source: folder` reads."""

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..cohorts import folder
from ..core.errors import InputError
from ..core.params import explain
from ..core.records import read_csv, write_bytes, write_csv
from ..core.schema import Schema
from . import record
from .record import Correction

TABLE = "corrections.csv"
_COLUMNS = ("case", "patient", "corrected_by", "corrected_at", "corrected_from", "correction")
_KEPT = 1000  # records in memory
_HEAD = "# Cases whose labels a reader corrected; docs/how-to/retrain.md trains on them.\n"


def image_name(case: str, modality: str) -> str:
    """Name of the file of a modality."""
    return f"{case}-{modality}.nii.gz"


def labels_name(case: str) -> str:
    """Name of the file of the labels."""
    return image_name(case, "seg")


def prepare(place: Path, schema: Schema) -> None:
    """Write the description of the cohort, unless there is one of the same schema.

    Raises
    ------
    InputError
        If the cohort there has other modalities, labels or regions, or a ``cohort.yaml`` cannot
        describe the schema.
    """
    path = place / folder.NAME
    if not path.exists():
        write_bytes(path, _described(schema, path).encode())
        return
    own = folder.read(place)[1].cohort_schema
    differing = [
        name for name in Schema.model_fields if getattr(own, name) != getattr(schema, name)
    ]
    if differing:
        found = "; ".join(f"{name} {_shown(getattr(own, name))}" for name in differing)
        wanted = "; ".join(f"{name} {_shown(getattr(schema, name))}" for name in differing)
        raise InputError(
            f"{path}: these corrected cases have {found}, but the network has {wanted}. Keep the"
            " corrections of such a network in a folder of their own."
        )


def _described(schema: Schema, path: Path) -> str:
    values: dict[str, Any] = schema.model_dump(mode="json")
    values["modalities"] = {
        name: f"{{case}}/{image_name('{case}', name)}" for name in schema.modalities
    }
    values |= {
        "mask": f"{{case}}/{labels_name('{case}')}",
        "table": TABLE,
        "licence": "as the images; labels corrected by readers",
    }
    values = {name: value for name, value in values.items() if value is not None}
    try:
        folder.Description.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise InputError(explain(error, str(path), values)) from None
    return _HEAD + "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)


def corrections(place: Path) -> list[Correction]:
    """The records of the corrected cases in a folder, sorted by case; none if there is no folder.

    InputError if a record cannot be read.
    """
    found, damaged = readable(place)
    if damaged:
        raise InputError(next(iter(damaged.values())))
    return found


def readable(place: Path) -> tuple[list[Correction], dict[str, str]]:
    """The records in a folder that can be read, and of each other case, by name, why not."""
    found, damaged = list[Correction](), dict[str, str]()
    for path in sorted(place.glob(f"[!.]*/{record.NAME}")):
        try:
            state = path.stat()
            found.append(_read(path, state.st_mtime_ns, state.st_size))
        except InputError as error:
            damaged[path.parent.name] = str(error)
        except OSError:  # moved away meanwhile
            continue
    return found, damaged


@lru_cache(_KEPT)
def _read(path: Path, changed_ns: int, length: int) -> Correction:
    return record.read(path)


def write_table(place: Path, listed: Iterable[Correction], damaged: Collection[str] = ()) -> None:
    """Write the table that makes patients and provenance attributes of the cases; those whose
    record is damaged keep their rows.
    """
    rows = {one.case: _row(one) for one in listed}
    if damaged:
        path = place / TABLE
        before = {row.get("case"): row for row in read_csv(path)} if path.is_file() else {}
        rows |= {case: before.get(case) or {"case": case} for case in damaged}
    write_csv(place / TABLE, [dict.fromkeys(_COLUMNS) | rows[case] for case in sorted(rows)])


def _row(one: Correction) -> dict[str, Any]:
    return {
        "case": one.case,
        "patient": one.patient,
        "corrected_by": one.reader,
        "corrected_at": one.corrected,
        "corrected_from": one.prediction.network_sha256[:16],
        "correction": one.version,
    }
