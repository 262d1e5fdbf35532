"""What every origin of cases declares of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.schema import Schema
from ..formats.cases import Found
from .fetching.fetch import Remote


@dataclass(frozen=True)
class Source:
    """An origin of cases.

    Attributes
    ----------
    name : str
        What `cohort.source` in params.yaml is set to.
    title : str
        One line for the list of sources.
    schemas : tuple of Schema
        Every cohort schema that `find` may give; empty where the user declares it.
    patients : str
        By which rule cases belong to a patient.
    licence, citation : str
        Terms of use, and what to cite.
    access : str
        How to get the data by hand, as told to who has none.
    find : callable or None
        ``find(location, limit)``: the schema and the cases, sorted by name, below a folder; at most
        `limit` of them, 0 for all. Raises InputError with the file, what was found and what to do.
        Nothing is written.
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
