"""The results of a run, from which its report and its model card are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core import records
from ..core.catalogue import Catalogue
from ..core.errors import InputError
from ..core.folds import Split
from ..core.schema import Schema
from ..metrics.detection import detection
from .plots.viewer_volumes import ViewerVolumes

Rows = Sequence[dict[str, Any]]

_TABLES = (
    "multiclass",
    "lesionwise",
    "lesions",
    "confusion",
    "calibration",
    "reliability",
    "types",
)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Rows of a table of ours, as `pipeline.core.records.read_table` reads it.

    Raises
    ------
    InputError
        As there, and if it has no row.
    """
    rows = records.read_table(path).to_dict("records")
    if not rows:
        raise InputError(f"{path}: holds no row. Run the stage that makes it: dvc repro.")
    return rows


def read_tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the tables that a folder has, by the name of the field of `Run` that takes them."""
    paths = [folder / f"{name}.csv" for name in _TABLES]
    return {path.stem: read_table(path) for path in paths if path.exists()}


@dataclass(frozen=True)
class Pictured:
    """Pictures of one case, as files: a PNG, and an animated GIF or WebP."""

    case: str
    overlay: bytes
    animation: bytes


@dataclass(frozen=True)
class Previous:
    """The previous run: its name, such as a commit, its metrics/evaluate.json, its
    metrics/cases.csv, empty where only the summary is known, and its params, None where they are
    unknown.
    """

    name: str
    evaluation: dict[str, Any]
    rows: Rows = ()
    params: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """A run and its results. Tables hold numbers, NaN where a field is empty.

    Attributes
    ----------
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
        The tables of metrics/tables/ with these names; sections without rows are left out.
    provenance : dict
        As `pipeline.runtime.provenance.provenance` gives it. ``command``, if there, reproduces the
        run.
    volumes : sequence of ViewerVolumes
        Cases for the viewer, the most important first.
    poster : bytes
        WebP picture of the first of these (`pipeline.report.plots.poster.poster`).
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
    volumes: Sequence[ViewerVolumes] = ()
    poster: bytes = b""

    @cached_property
    def detection(self) -> Rows:
        """Lesions found and false lesions by size, as `pipeline.metrics.detection.detection` gives
        them; empty without lesions.
        """
        cases = len({row["case"] for row in self.rows})
        return detection(self.lesions, self.schema.regions, cases) if self.lesions else ()

    @property
    def schema(self) -> Schema:
        """Of the cohort."""
        return self.catalogue.cohort

    @property
    def accepts_missing_modalities(self) -> bool:
        """Whether the network was trained with modality dropout."""
        dropout = self.card["train"].get("on_the_fly", {}).get("modality_dropout", {})
        return dropout.get("probability", 0) > 0
