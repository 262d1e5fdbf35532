"""What a source of cases declares, and what several sources share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.schema import RulesName, Schema
from ..formats.raw_cases import Found
from .fetching.fetch import Remote

MODALITIES = ("t1n", "t1c", "t2w", "t2f")
GLIOMA = {
    "WT": ("necrotic", "edema", "enhancing"),
    "TC": ("necrotic", "enhancing"),
    "ET": ("enhancing",),
}
"""Regions of adult gliomas in BraTS: whole tumour, tumour core, enhancing tumour."""


@dataclass(frozen=True)
class Source:
    """An origin of cases.

    Attributes
    ----------
    name : str
        Value of `cohort.source` in params.yaml.
    title : str
        One line for the list of sources.
    schemas : tuple of Schema
        Every cohort schema that `find` may return; empty where the user declares it.
    patients : str
        The rule by which cases belong to a patient.
    licence, citation : str
        Terms of use, and what to cite.
    access : str
        How to obtain the data by hand.
    find : callable or None
        ``find(location, limit)``: the schema and the cases below a folder, sorted by name; at most
        `limit` of them, 0 for all. Raises InputError with the file, the finding and the remedy.
        Writes nothing.
    generate : callable or None
        ``generate(raw, cases, seed)`` for a source that makes its cases, into the folder `raw`.
    remotes : tuple of Remote
        Public files that `download` fetches where `cohort.location` is empty.
    """

    name: str
    title: str
    schemas: tuple[Schema, ...]
    patients: str
    licence: str
    citation: str
    access: str
    find: Callable[[Path, int], tuple[Schema, list[Found]]] | None
    generate: Callable[[Path, int, int], list[Found]] | None = None
    remotes: tuple[Remote, ...] = ()


def challenge_schema(
    cohort: str,
    labels: dict[str, int],
    regions: dict[str, tuple[str, ...]] = GLIOMA,
    rules: RulesName = "brats2023-gli",
    modalities: tuple[str, ...] = MODALITIES,
) -> Schema:
    """The schema of a cohort of a BraTS challenge, or of data taken from one."""
    return Schema(
        cohort=cohort,
        dimensions=3,
        modalities=modalities,
        labels=labels,
        regions=regions,
        empty_rule="brats",
        lesion_rules=rules,
    )


def require_folder(location: Path, content: str) -> None:
    """Raise InputError unless the location is a folder."""
    if not location.is_dir():
        raise InputError(
            f"{location}: is not a folder. Set cohort.location to the folder that holds {content}."
        )


def require_plain_name(case: str, place: Path) -> None:
    """Raise InputError unless the name of a case is valid in paths and tables."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", case):
        raise InputError(
            f"{place}: the name of case {case!r} may have only letters, digits, '.', '_' and '-'."
            " Rename it."
        )


def duplicate(path: Path, what: str, other: object) -> InputError:
    """The error about something that is in two places."""
    return InputError(f"{path}: {what} is also in {other}. Keep one of the two.")
