"""What a source of cases declares, and what several sources share."""

import csv
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
    name, title : str
        Value of `cohort.source` in params.yaml, and a line for the list of sources.
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
        `limit` of them, 0 for all. Raises InputError if there is no case, or files are missing,
        found twice, damaged or of another source. Writes nothing.
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
    rules: RulesName | tuple[RulesName, ...] = "brats2023-gli",
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


MODALITY_OF = (
    dict.fromkeys(("t1", "t1w", "t1n", "t1native", "t1pre", "t1nat"), "t1n")
    | dict.fromkeys(("t1c", "t1ce", "t1cw", "t1gd", "t1km", "t1post", "t1contrast"), "t1c")
    | dict.fromkeys(("ct1", "t1wc", "t1wce", "t1wgd", "t1wpost"), "t1c")
    | dict.fromkeys(("t2", "t2w"), "t2w")
    | dict.fromkeys(("flair", "fla", "t2f", "t2flair", "flairw", "t2wflair"), "t2f")
)
"""Modality by its names in challenges and tools, in lower-case letters and digits."""


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


def read_table(path: Path, remedy: str) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV file in UTF-8, fields that a row lacks empty.

    Raises
    ------
    InputError
        With the remedy, if it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines, restkey="", restval="")
            return list(table.fieldnames or []), list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: the table cannot be read ({error}). {remedy}") from None
