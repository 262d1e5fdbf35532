"""The scores of a case, label by label and region by region, and their summary over cases."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import nan, prod
from types import MappingProxyType
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.confusion import confusion
from ..core.schema import Schema
from ..statistics import bootstrap
from .overlap import READINGS, Overlap, class_overlap
from .surface_distance import DISTANCES, distances

METRICS = (*READINGS, *DISTANCES)
VOLUMES = ("reference_ml", "prediction_ml", "volume_error_ml", "relative_volume_error")

WORST_HD95_MM = 373.128664
"""Diagonal of the 240x240x155 mm grid of BraTS, sqrt(240^2 + 240^2 + 155^2)."""

_APART = tuple(name for name in DISTANCES if not name.startswith("nsd"))
_ALIKE = (
    "dice",
    "iou",
    "precision",
    "sensitivity",
    "accuracy",
    *(name for name in DISTANCES if name.startswith("nsd")),
)

EMPTY_RULES: dict[str, dict[str, dict[str, float]]] = {
    "nan": {},
    "brats": {
        "both_empty": dict.fromkeys(_ALIKE, 1.0) | dict.fromkeys(_APART, 0.0),
        "reference_empty": {"sensitivity": 0.0} | dict.fromkeys(_APART, WORST_HD95_MM),
        "prediction_empty": {"precision": 0.0} | dict.fromkeys(_APART, WORST_HD95_MM),
    },
}
"""What an undefined reading counts for: rule, then which mask is empty, then metric.

Dice, IoU and normalised surface Dice need no entry where one mask is empty: mathematics gives 0.
``brats`` is the convention of the challenge's evaluation as nnU-Net's ``Task082_BraTS_2020.py``
re-implements it: Dice 1 and HD95 0 for two empty masks, Dice 0 and HD95 373.12866 mm for one,
whatever the grid. Sensitivity, 1 for two empty masks and 0 without a reference, is that of the
challenge's own code of 2023 (rachitsaluja/BraTS-2023-Metrics, which rounds the distance to 374 mm).
The challenge of those years scores no other metric; they follow by analogy. ``nan`` leaves
mathematics alone.
"""


def apply_empty_rule(
    readings: dict[str, float], counts: Overlap, rule: str
) -> tuple[dict[str, float], str]:
    """Fill what is undefined for empty masks as a cohort's rule says.

    Parameters
    ----------
    readings : dict of str to float
        Any of `METRICS`, NaN where undefined.
    counts : Overlap
        Tells which mask is empty.
    rule : {"brats", "nan"}
        The cohort's ``empty_rule``.

    Returns
    -------
    readings : dict of str to float
        With the rule's values in place.
    filled : {"", "both_empty", "reference_empty", "prediction_empty"}
        The entry of `EMPTY_RULES` that was applied; empty if none was.
    """
    empty = {
        (True, True): "both_empty",
        (True, False): "reference_empty",
        (False, True): "prediction_empty",
        (False, False): "",
    }[counts.reference_voxels == 0, counts.prediction_voxels == 0]
    fills = EMPTY_RULES[rule].get(empty, {})
    return {
        name: fills.get(name, value) for name, value in readings.items()
    }, empty if fills else ""


def score_case(
    reference: np.ndarray,
    prediction: np.ndarray,
    schema: Schema,
    spacing_mm: tuple[float, float, float],
) -> list[dict[str, Any]]:
    """Score every label and every region of one case.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid.
    schema : Schema
        Names labels and regions and the empty rule.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.

    Returns
    -------
    list of dict
        One row per label, then one per region, in the schema's order: ``kind`` ("label" or
        "region"), ``name``, each of `METRICS` ([0, 1], and mm), `VOLUMES` (``volume_error_ml`` is
        prediction - reference, ``relative_volume_error`` that by the reference, NaN without one),
        and ``filled``, the empty rule's entry applied.

    Raises
    ------
    ValueError
        If the shapes differ or a class index is beyond the schema's labels.
    """
    counts = confusion(reference, prediction, len(schema.labels) + 1)
    box = bounding_box(
        reference | prediction, margin_voxels=1
    )  # the margin keeps the image border, see surfaces.py
    crops = reference[box], prediction[box]
    rows, scored = [], {}
    for kind, name, members in _targets(schema):
        if members not in scored:  # a region of one label is that label
            scored[members] = _score(crops, counts, members, schema.empty_rule, spacing_mm)
        rows.append({"kind": kind, "name": name, **scored[members]})
    return rows


def _targets(schema: Schema) -> Iterable[tuple[str, str, frozenset[int]]]:
    yield from (("label", name, frozenset({index})) for index, name in enumerate(schema.labels, 1))
    yield from (("region", name, frozenset(schema.classes_of(name))) for name in schema.regions)


def _score(
    crops: tuple[np.ndarray, np.ndarray],
    counts: np.ndarray,
    members: frozenset[int],
    rule: str,
    spacing_mm: tuple[float, float, float],
) -> dict[str, Any]:
    inside = np.zeros(len(counts), bool)
    inside[list(members)] = True
    reference, prediction = (inside[crop] for crop in crops)
    agreement = class_overlap(counts, members)
    readings = {**agreement.readings(), **distances(reference, prediction, spacing_mm)}
    readings, filled = apply_empty_rule(readings, agreement, rule)
    return {**readings, **_volumes(agreement, prod(spacing_mm) / 1000), "filled": filled}


def _volumes(agreement: Overlap, voxel_ml: float) -> dict[str, float]:
    reference, surplus = (
        agreement.reference_voxels,
        agreement.prediction_voxels - agreement.reference_voxels,
    )
    found = (
        reference * voxel_ml,
        agreement.prediction_voxels * voxel_ml,
        surplus * voxel_ml,
        surplus / reference if reference else nan,
    )
    return dict(zip(VOLUMES, found, strict=True))


def summarise(rows: Sequence[dict[str, Any]], empty_rule: str) -> dict[str, Any]:
    """Summarise rows of many cases, saying what every mean was taken over.

    Parameters
    ----------
    rows : sequence of dict
        As `score_case` gives them, of all cases, with ``case`` and ``patient``; further keys are
        ignored.
    empty_rule : {"brats", "nan"}
        The rule with which they were scored.

    Returns
    -------
    dict
        ``label`` and ``region``: name to metric or volume to `summarise_values`; names in the order
        of first appearance. ``mean_region_dice``: ``value``, the mean over regions of the mean Dice
        over cases, with its interval ``low`` and ``high``; ``regions``, how many regions had one (a
        region undefined in every case is left out and missing here); and ``cases``, ``filled``,
        ``undefined``, sums over the regions.
    """
    summary: dict[str, Any] = {"label": {}, "region": {}}
    for kind, name in dict.fromkeys((row["kind"], row["name"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["name"]) == (kind, name)]
        fills = [EMPTY_RULES[empty_rule].get(row["filled"], {}) for row in own]
        patients = [row["patient"] for row in own]
        summary[kind][name] = {
            metric: summarise_values(
                [row[metric] for row in own], patients, [metric in fill for fill in fills]
            )
            for metric in (*METRICS, *VOLUMES)
        }
    summary["mean_region_dice"] = _mean_region_dice(summary["region"], rows)
    return summary


def summarise_columns(
    rows: Sequence[dict[str, Any]], fills: Mapping[str, Collection[str]] = MappingProxyType({})
) -> dict[str, dict[str, dict[str, float | int]]]:
    """Summarise a table column by column.

    Parameters
    ----------
    rows : sequence of dict
        ``case``, ``patient``, ``name``, perhaps ``filled``, and columns of numbers.
    fills : mapping of str to collection of str, optional
        Which columns a rule gave, by what stands under ``filled``.

    Returns
    -------
    dict
        Name, in the order of first appearance, to column to `summarise_values`.
    """
    summary: dict[str, dict[str, dict[str, float | int]]] = {}
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        columns = [
            column for column in own[0] if column not in ("case", "patient", "name", "filled")
        ]
        patients, ruled = (
            [row["patient"] for row in own],
            [fills.get(row.get("filled", ""), ()) for row in own],
        )
        summary[name] = {
            column: summarise_values(
                [row[column] for row in own], patients, [column in fill for fill in ruled]
            )
            for column in columns
        }
    return summary


def summarise_values(
    values: Sequence[float], patients: Sequence[str], filled: Sequence[bool] = ()
) -> dict[str, float | int]:
    """Summarise one metric over cases.

    Parameters
    ----------
    values : sequence of float
        One per case, NaN where undefined.
    patients : sequence of str
        Whose case it is: where a patient has several, patients are resampled.
    filled : sequence of bool
        Whether the empty rule gave the value; empty for a metric without such a rule.

    Returns
    -------
    dict
        ``mean``, ``median``, ``sd`` (n - 1 in the denominator) over the defined values, NaN where
        there are too few; ``mean_low``, ``mean_high``, ``median_low``, ``median_high``, their 95 %
        intervals (`pipeline.statistics.bootstrap`); ``cases``, how many values these are;
        ``filled``, how many of them the empty rule gave; ``undefined``, how many cases are left out
        because their value is NaN.
    """
    defined = np.array([value for value in values if value == value])
    summary: dict[str, float | int] = {}
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = bootstrap.interval(values, name, clusters=patients)
        summary |= {
            name: _if_enough(statistic, defined, 1),
            f"{name}_low": low,
            f"{name}_high": high,
        }
    return summary | {
        "sd": _if_enough(lambda sample: np.std(sample, ddof=1), defined, 2),
        "cases": len(defined),
        "filled": sum(filled),
        "undefined": len(values) - len(defined),
    }


def _if_enough(statistic: Callable[[np.ndarray], float], sample: np.ndarray, least: int) -> float:
    return float(statistic(sample)) if len(sample) >= least else nan


def _mean_region_dice(
    regions: dict[str, dict[str, dict[str, float | int]]], rows: Sequence[dict[str, Any]]
) -> dict[str, float | int]:
    dice = [region["dice"] for region in regions.values()]
    means = np.array([summary["mean"] for summary in dice if summary["cases"]])
    totals = {
        key: sum(summary[key] for summary in dice) for key in ("cases", "filled", "undefined")
    }
    patients = {row["case"]: row["patient"] for row in rows}
    scored = {(row["case"], row["name"]): row["dice"] for row in rows if row["kind"] == "region"}
    columns = np.array([[scored[case, name] for name in regions] for case in patients]).reshape(
        len(patients), len(regions)
    )
    low, high = bootstrap.interval_of_means(columns, clusters=list(patients.values()))
    return {
        "value": _if_enough(np.mean, means, 1),
        "low": low,
        "high": high,
        "regions": len(means),
        **totals,
    }
