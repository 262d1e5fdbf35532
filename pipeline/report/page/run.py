"""All that a report is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ...core.catalogue import Catalogue
from ...core.folds import Split
from ...core.schema import Schema
from ...metrics.detection import detection
from .html import Html

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Pictured:
    """Pictures of one case, as files: a PNG, and a GIF or WebP that moves."""

    case: str
    overlay: bytes
    animation: bytes


@dataclass(frozen=True)
class Previous:
    """The run before this one.

    Attributes
    ----------
    name : str
        What it is called, such as a commit or an experiment.
    evaluation : dict
        Its metrics/evaluate.json.
    rows : sequence of dict
        Its metrics/cases.csv; empty where only the summary is known.
    """

    name: str
    evaluation: dict[str, Any]
    rows: Rows = ()


@dataclass(frozen=True)
class Run:
    """A run and its results. Tables hold numbers as such, NaN where a field is empty.

    Attributes
    ----------
    catalogue : Catalogue
        The cohort.
    split : Split
        Its parts.
    rows : sequence of dict
        metrics/cases.csv.
    evaluation, verify, card : dict
        metrics/evaluate.json, metrics/verify.json and models/card.json.
    history : sequence of dict
        metrics/history.csv.
    pictured : sequence of Pictured
        From the worst case to the best.
    thumbnails : bytes
        The sheet of all cases of the catalogue, in its order
        (`pipeline.verification.thumbnail_sheet`).
    multiclass, lesionwise, lesions, confusion, calibration, reliability, types : sequence of dict
        The tables of metrics/ with these names; parts of the report without rows are left out.
    provenance : dict
        What the run came from, nested as is fit. ``command``, if there, is what repeats the run.
    previous : Previous or None
        What the run is set against.
    viewer : Html or None
        The viewer of volumes, with its scripts.
    """

    catalogue: Catalogue
    split: Split
    rows: Rows
    evaluation: dict[str, Any]
    verify: dict[str, Any]
    card: dict[str, Any]
    history: Rows
    pictured: Sequence[Pictured]
    thumbnails: bytes
    multiclass: Rows = ()
    lesionwise: Rows = ()
    lesions: Rows = ()
    confusion: Rows = ()
    calibration: Rows = ()
    reliability: Rows = ()
    types: Rows = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    previous: Previous | None = None
    viewer: Html | None = None

    @cached_property
    def detection(self) -> Rows:
        """Lesions found and false by size, as `pipeline.metrics.detection.detection` reads them;
        empty without lesions.
        """
        cases = len({row["case"] for row in self.rows})
        return detection(self.lesions, self.schema.regions, cases) if self.lesions else ()

    @property
    def schema(self) -> Schema:
        """Of the cohort."""
        return self.catalogue.cohort
