"""All scores of a case, the tables of many cases, and their summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.confusion import confusion
from ..core.schema import Schema
from ..statistics.summary import summarise_columns, summarise_mean_over_names
from . import registry
from .calibration import Bins, pooled, reliability_rows
from .instances import instance_rows
from .lesionwise import lesion_rows
from .matched import matched_rows
from .metric import Metric, Spacing, measure
from .multiclass import confusion_rows, score_classes
from .overlap import Overlap, class_overlap
from .surface_distance import ROUNDING_MM, SurfaceDistances
from .tumour_types import summarise_types, type_rows

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, eq=False)
class MaskPair:
    """A reference and a prediction of one label or region: what the metrics of cases.csv read.

    The (x, y, z) bool masks are crops on one grid that hold both, with a margin of a voxel within
    the image; the overlap is that of the whole image.
    """

    reference: np.ndarray
    prediction: np.ndarray
    overlap: Overlap
    spacing_mm: Spacing

    @cached_property
    def surfaces(self) -> SurfaceDistances:
        """Distances between the surfaces, measured once for all metrics."""
        reach_mm = max(registry.TOLERANCES_MM) + ROUNDING_MM
        return SurfaceDistances.of(self.reference, self.prediction, self.spacing_mm, reach_mm)

    @property
    def reference_ml(self) -> float:
        """Volume of the reference."""
        return self.overlap.reference_voxels * self._voxel_ml

    @property
    def prediction_ml(self) -> float:
        """Volume of the prediction."""
        return self.overlap.prediction_voxels * self._voxel_ml

    @property
    def volume_error_ml(self) -> float:
        """Prediction minus reference."""
        return (self.overlap.prediction_voxels - self.overlap.reference_voxels) * self._voxel_ml

    @property
    def _voxel_ml(self) -> float:
        return prod(self.spacing_mm) / 1000


def score_case(
    reference: np.ndarray,
    prediction: np.ndarray,
    schema: Schema,
    spacing_mm: Spacing,
    own: Sequence[Metric] = (),
    case: str = "",
) -> list[Row]:
    """Score every label and every region of one case.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid.
    own : sequence of Metric
        Metrics of the user, whose errors name `case`.

    Returns
    -------
    list of dict
        One row per label, then one per region, in the schema's order: ``kind`` ("label" or
        "region"), ``name``, the metrics of the table "cases", own metrics, and ``filled``, the
        entry of `Metric.empty` that the empty rule applied.

    Raises
    ------
    ValueError
        If the shapes differ or a class index is beyond the schema's labels.
    InputError
        If an own metric fails.
    """
    counts = confusion(reference, prediction, len(schema.labels) + 1)
    # the margin keeps the image border, see `pipeline.metrics.surface_distance.surface`
    box = bounding_box(reference | prediction, margin_voxels=1)
    rows: list[Row] = []
    scored: dict[tuple[int, ...], Row] = {}
    labels = (("label", name, (index,)) for index, name in enumerate(schema.labels, 1))
    regions = (("region", name, tuple(schema.classes_of(name))) for name in schema.regions)
    for kind, name, members in (*labels, *regions):
        if members not in scored:  # a region of one label is that label
            inside = np.zeros(len(counts), bool)
            inside[list(members)] = True
            agreement = class_overlap(counts, members)
            masks = inside[reference[box]], inside[prediction[box]]
            row = registry.readings("cases", MaskPair(*masks, agreement, spacing_mm))
            for metric in own:
                masks = inside[reference], inside[prediction]
                row[metric.name] = measure(metric, *masks, spacing_mm, f"{case}, {kind} {name}")
            filled = registry.applied(agreement.empty, schema.empty_rule)
            fills = registry.fills("cases", filled, own)
            scored[members] = row | fills | {"filled": filled if fills else ""}
        rows.append({"kind": kind, "name": name} | scored[members])
    return rows


@dataclass
class CaseScores:
    """The scores of one case.

    Attributes
    ----------
    rows : dict of str to list of dict
        Name of a table to its rows, without case and patient.
    confusion : (K + 1, K + 1) int64 array
        `pipeline.core.confusion.confusion`.
    bins : dict of str to Bins
        Calibration of each region, beside the rows of the table "calibration"; both are of
        `pipeline.metrics.calibration.calibration_rows`, and absent where only masks were scored.
    """

    rows: dict[str, list[Row]]
    confusion: np.ndarray
    bins: dict[str, Bins] = field(default_factory=dict)

    @property
    def region_dice(self) -> dict[str, float]:
        """Region to its Dice."""
        return {row["name"]: row["dice"] for row in self.rows["cases"] if row["kind"] == "region"}


def score_masks(
    reference: np.ndarray,
    prediction: np.ndarray,
    schema: Schema,
    spacing_mm: Spacing,
    own: Sequence[Metric] = (),
    case: str = "",
) -> CaseScores:
    """Compute all scores of a case that need masks only; parameters as for `score_case`."""
    counts = confusion(reference, prediction, len(schema.labels) + 1)
    lesionwise, lesions = lesion_rows(reference, prediction, schema, spacing_mm)
    matched, of_pairs = matched_rows(reference, prediction, schema, spacing_mm)
    rows = {
        "cases": score_case(reference, prediction, schema, spacing_mm, own, case),
        "multiclass": [score_classes(counts, schema)],
        "lesionwise": lesionwise,
        "lesions": lesions if schema.merging_rules else of_pairs,
        "matched": matched,
        "instances": instance_rows(reference, prediction, schema),
    }
    return CaseScores(rows, counts)


def tables_of(
    cases: Sequence[Mapping[str, str]], scores: Sequence[CaseScores], schema: Schema
) -> dict[str, list[Row]]:
    """Put the scores of many cases, all with probabilities or all without, into tables.

    Parameters
    ----------
    cases : sequence of dict
        ``case`` and ``patient`` of each.

    Returns
    -------
    dict of str to list of dict
        Name of each table to its rows: ``cases``, ``multiclass``, ``lesionwise``, ``lesions``,
        ``matched``, ``instances``, ``confusion``, ``types``, and of probabilities ``calibration``
        and ``reliability``. A table may be empty.
    """
    tables: dict[str, list[Row]] = {
        name: [
            {**case, **row}
            for case, own in zip(cases, scores, strict=True)
            for row in own.rows[name]
        ]
        for name in scores[0].rows
    }
    counts = np.sum([own.confusion for own in scores], axis=0)
    tables["confusion"] = confusion_rows(counts, schema)
    tables["types"] = type_rows(tables["cases"], schema) if schema.types else []
    if scores[0].bins:
        tables["reliability"] = reliability_rows(pooled(own.bins for own in scores))
    return tables


def summarise(tables: Tables, schema: Schema, own: Sequence[Metric] = ()) -> dict[str, Any]:
    """Summarise the tables of many cases, with own metrics among the columns of ``cases``.

    Returns
    -------
    dict
        ``label``, ``region``, ``lesionwise`` and ``matched`` (empty without rules for them),
        ``instances`` and, of probabilities, ``calibration``: name to column to
        `pipeline.statistics.summary.summarise_values`; ``multiclass``: column to the same;
        ``mean_region_dice``; ``cohort``; ``cases``, their number; ``lesion_rules``, their name, a
        tuple of names or None; ``types``, None unless labels are types; ``metrics``, the
        description of every metric (`pipeline.metrics.registry.descriptions`); ``definitions``,
        name to definition and source.
    """
    fills = {metric.name: metric.empty for metric in (*registry.TABLES["cases"], *own)}
    labels, regions = (
        [row for row in tables["cases"] if row["kind"] == kind] for kind in ("label", "region")
    )
    region = summarise_columns(regions, fills)
    multiclass = [{"name": "all"} | row for row in tables["multiclass"]]
    described = registry.descriptions(own)
    summary = {
        "label": summarise_columns(labels, fills),
        "region": region,
        "mean_region_dice": summarise_mean_over_names(
            regions, "dice", [columns["dice"] for columns in region.values()]
        ),
        "cohort": schema.cohort,
        "cases": len(multiclass),
        "multiclass": summarise_columns(multiclass)["all"],
        "lesion_rules": schema.lesion_rules,
        "types": summarise_types(tables["cases"], schema) if schema.types else None,
        "metrics": described,
        "definitions": {
            each["name"]: each["definition"] + (f" {each['source']}." if each["source"] else "")
            for each in described
            if each["table"] != "multiclass"
        },
    }
    for table in ("lesionwise", "matched", "instances", "calibration"):
        if table in tables:
            by_rule = {metric.name: metric.empty for metric in registry.TABLES[table]}
            summary[table] = summarise_columns(tables[table], by_rule)
    return summary


def summarise_validation(rows: Sequence[Row]) -> dict[str, Any]:
    """Summary of the rows of cases that were not held out of the choice of the best epoch:
    ``validation`` with ``cases``, ``region`` and ``mean_region_dice`` as in `summarise`; empty
    without rows.
    """
    if not rows:
        return {}
    of_regions = [row for row in rows if row["kind"] == "region"]
    fills = {metric.name: metric.empty for metric in registry.TABLES["cases"]}
    region = summarise_columns(of_regions, fills)
    dice = [columns["dice"] for columns in region.values()]
    return {
        "validation": {
            "cases": len({row["case"] for row in rows}),
            "region": region,
            "mean_region_dice": summarise_mean_over_names(of_regions, "dice", dice),
        }
    }


def headline_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The means of a summary that a table of experiments has room for: mean region Dice, the Dice
    of every region, and the user's own headline metrics.
    """
    ours = {metric.name for metric in registry.TABLES["cases"]} - {"dice"}
    shown = [
        each["name"]
        for each in summary["metrics"]
        if each["table"] == "cases" and each["headline"] and each["name"] not in ours
    ]
    return {"mean_region_dice": summary["mean_region_dice"]["value"]} | {
        metric: {name: columns[metric]["mean"] for name, columns in summary["region"].items()}
        for metric in shown
    }
