"""Corrected cases that join a cohort, for training alone (`pipeline.core.corrected`)."""

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ..core.corrected import FROM, RECORD, REPLACED
from ..core.errors import InputError
from ..core.extensions import NONE
from ..core.params import Cohort, explain
from ..core.records import sha256
from ..core.schema import Schema
from ..formats.raw_cases import Found, few, with_note
from ..formats.walking import expanded
from ..runtime import workspace
from . import folder

PREFIX = "corrected_"
"""Before the name of a corrected case in the cohort that it joins, which may have one of this
name."""
_REMEDY = (
    "Set cohort.corrections to a folder of corrected cases, such as data/corrected, or to"
    f" {NONE} for none."
)


class _File(BaseModel):
    file: str
    sha256: str


class _Prediction(BaseModel):
    network_sha256: str


class _Record(BaseModel):
    """What joining needs of the record of a corrected case
    (`pipeline.correcting.record.Correction`).
    """

    version: int
    reader: str
    corrected: str
    prediction: _Prediction
    images: dict[str, _File]
    labels: _File


def find_corrections(cohort: Cohort, schema: Schema, raw: Path) -> list[Found]:
    """The corrected cases that `cohort.corrections` adds to a cohort, sorted by case.

    Parameters
    ----------
    cohort : Cohort
    schema : Schema
        Of the cohort.
    raw : Path
        Where cases are copied.

    Returns
    -------
    list of Found
        Each called `PREFIX` and its name. Empty if `cohort.corrections` is `NONE`, or if the folder
        is that of the cohort itself: the corrected cases are then the cohort.

    Raises
    ------
    InputError
        If there is no such folder, it lies in `raw` or the reverse, its cases have other
        modalities, labels or regions than the cohort, or a file is not the one that was saved.
    """
    place = _place(cohort)
    if place is None:
        return []
    check_corrections(cohort)
    one, other = place.resolve(), raw.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise InputError(f"{place}: cohort.corrections and {raw} contain each other. Move one.")
    _require_whole(place)
    own, found = folder.find(place)
    _require_same(place, own, schema)
    joined = _noting_unknown_patients([_as_recorded(case) for case in found])
    return [replace(case, case=f"{PREFIX}{case.case}") for case in joined]


def check_corrections(cohort: Cohort) -> None:
    """Raise InputError if `cohort.corrections` names no folder of corrected cases."""
    place = _place(cohort)
    if place is not None and not (place / folder.NAME).is_file():
        found = f"has no {folder.NAME}" if place.is_dir() else "is no folder"
        raise InputError(f"{place}: {found}. {_REMEDY}")


def _place(cohort: Cohort) -> Path | None:
    """The folder of the corrected cases that join a cohort, None without."""
    if cohort.corrections == NONE:
        return None
    if not cohort.corrections:
        raise InputError(f"params.yaml: cohort.corrections is empty. {_REMEDY}")
    place = workspace.root() / expanded(cohort.corrections)
    location = workspace.root() / expanded(cohort.location)
    alone = cohort.source == folder.SOURCE.name and place.resolve() == location.resolve()
    return None if alone else place


def _require_whole(place: Path) -> None:
    """Raise InputError if a save was killed while it replaced a case."""
    for path in sorted(place.glob(f"{REPLACED}*")):
        case = path.name.removeprefix(REPLACED)
        if not (place / case).exists():
            raise InputError(
                f"{path}: the save of the next version of {case} was ended before it was in its"
                f" place. Save that again, or rename this folder to {case}."
            )


def _as_recorded(case: Found) -> Found:
    """A case with the provenance in its record, which a table may lag behind; as it is if it has no
    record, being none that was saved by `pipeline.correcting`.

    Raises
    ------
    InputError
        If a file is not the one that was saved.
    """
    path = case.folder / RECORD
    if not path.is_file():
        return case
    try:
        stored = _Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{explain(error, str(path))}\nFetch this file from a copy, or move its folder away."
        ) from None
    for file in (*stored.images.values(), stored.labels):
        copy = case.folder / file.file
        if not copy.is_file() or sha256(copy) != file.sha256:
            found = "is not the file" if copy.is_file() else "is missing, a file"
            raise InputError(
                f"{copy}: {found} that {stored.reader} saved by {RECORD}. Correct the case again,"
                " fetch the file from a copy, or move its folder away."
            )
    provenance = {
        "corrected_by": stored.reader,
        "corrected_at": stored.corrected,
        FROM: stored.prediction.network_sha256[:16],
        "correction": str(stored.version),
    }
    return replace(case, attributes=case.attributes | provenance)


def _noting_unknown_patients(found: list[Found]) -> list[Found]:
    unknown = [case.case for case in found if case.patient == case.case]
    if not unknown:
        return found
    return with_note(
        found,
        f"in all corrected cases {len(unknown)} have no known patient ({few(unknown, 5)}): another"
        " examination of a patient in validation or test is not recognised as such, and is trained"
        " on. Give the pseudonym of the patient when a correction is saved",
    )


def _require_same(place: Path, own: Schema, schema: Schema) -> None:
    """Raise InputError unless corrected cases have the modalities, labels and regions of a
    cohort.
    """
    pairs = {
        "dimensions": (own.dimensions, schema.dimensions),
        "modalities": (sorted(own.modalities), sorted(schema.modalities)),
        "labels": (own.labels, schema.labels),
        "regions": (_members(own), _members(schema)),
    }
    for what, (found, expected) in pairs.items():
        if found != expected:
            raise InputError(
                f"{place}: the corrected cases have the {what} {_shown(found)}, but cohort"
                f" {schema.cohort} has {_shown(expected)}. Join them to a cohort like that of the"
                " network whose predictions were corrected."
            )


def _members(schema: Schema) -> dict[str, list[str]]:
    return {name: sorted(members) for name, members in schema.regions.items()}


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(held)}" for name, held in value.items())
    return f"({', '.join(map(str, value))})" if isinstance(value, list) else str(value)
