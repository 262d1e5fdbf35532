"""All faults of params.yaml at once."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import params
from ..core.errors import InputError
from ..core.schema import Schema
from ..runtime import params_file
from . import cohort
from .sections import Sections, misfits_of, read


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes
    ----------
    faults : list of str
        Which no stage starts with, a message each.
    missing : list of str
        What only `download` needs and is not there: the location of the cases.
    """

    faults: list[str]
    missing: list[str]


def check(values: Any, path: Path) -> Checked:
    """Check the values of params.yaml before there is data, but for the location of the cases."""
    found, faults = read(values, path)
    known = {"cohort", "own_code"} <= set(found)
    unnamed = list(cohort.faults_of_name(found["cohort"], found["own_code"])) if known else []
    if unnamed or not known:
        return Checked(faults + _named(path, [*unnamed, *misfits_of(found, None)]), [])
    try:
        source = cohort.loaded(found["cohort"], found["own_code"])
    except InputError as error:
        return Checked([*faults, str(error), *_named(path, misfits_of(found, None))], [])
    faults += _named(path, cohort.faults_of_source(source, found["cohort"]))
    faults += _likeliest(found, source.schemas, path)
    return Checked(faults, _named(path, cohort.faults_of_location(source, found["cohort"])))


def checked(path: Path, stage: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read params.yaml for a stage, with the files that are given to it.

    Parameters
    ----------
    path : Path
    stage : str
        Of the stages only `download` needs the location of the cases.
    given : mapping of str to Path or None
        By the names of the stage's flags. A catalogue and a split that the stage reads show more
        faults.

    Raises
    ------
    InputError
        With all faults, and the lines to add to an incomplete file.
    """
    values = params.read_yaml(path, params.RESTORE)
    if stage == "download":
        found = check(values, path)
        reject(found.faults + found.missing, path)
        return values
    valid, faults = read(values, path)
    if {"cohort", "own_code"} <= set(valid):
        faults += _named(path, cohort.faults_of_name(valid["cohort"], valid["own_code"]))
    faults += _likeliest(valid, _catalogued(given), path)
    if stage != "split" and given.get("split") and "visualize" in valid:
        faults += _named(path, _not_pictured(valid["visualize"].names, given["split"]))
    reject(faults, path)
    return values


def reject(faults: Sequence[str], path: Path) -> None:
    """Raise InputError with all faults, if there are any, and with the lines to add to the file."""
    if faults:
        advice = params_file.advice(path)
        raise InputError("\n".join([*dict.fromkeys(faults), *filter(None, [advice])]))


def _likeliest(found: Sections, schemas: Sequence[Schema], path: Path) -> list[str]:
    """The misfits by the schema that has the fewest, of those that the cohort may have."""
    return min((_named(path, misfits_of(found, each)) for each in schemas or (None,)), key=len)


def _named(path: Path, faults: Iterable[str]) -> list[str]:
    return [f"{path}: {fault}" for fault in faults]


def _catalogued(given: Mapping[str, Any]) -> Sequence[Schema]:
    raw = given.get("raw")
    catalogue = given.get("catalogue") or (raw / "catalogue.json" if raw else None)
    return cohort.schemas_of_catalogue(catalogue) if catalogue else ()


def _not_pictured(names: Sequence[str], split: Path) -> Iterator[str]:
    """Cases to picture that are not held out, unless the split cannot be read."""
    if not names:
        return
    try:
        test = json.loads(split.read_bytes())["test"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if unknown := sorted(set(names) - set(test)):
        yield f"visualize.names has {unknown}, but the test cases in {split} are {sorted(test)}."
