"""Corrected cases that join a cohort, for training alone (`pipeline.core.corrected`)."""

from dataclasses import replace
from pathlib import Path

from ..core.errors import InputError
from ..core.extensions import NONE
from ..core.params import Cohort
from ..core.schema import Schema
from ..formats.raw_cases import Found
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
        If there is no such folder, it lies in `raw` or the reverse, or its cases have other
        modalities, labels or regions than the cohort.
    """
    place = _place(cohort)
    if place is None:
        return []
    check_corrections(cohort)
    one, other = place.resolve(), raw.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise InputError(f"{place}: cohort.corrections and {raw} contain each other. Move one.")
    own, found = folder.find(place)
    _require_same(place, own, schema)
    return [replace(case, case=f"{PREFIX}{case.case}") for case in found]


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
