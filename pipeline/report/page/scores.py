"""Sections of the report that present scores: regions and labels, lesions, types, calibration."""

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import Any

from ...metrics.lesion_rules import why_unscored
from ...metrics.metric import Metric, described
from ...metrics.tumour_types import NONE, accuracy, patient_rows
from ...statistics.bootstrap import interval
from ..plots.detection import ALL
from ..plots.volumes import FEWEST_FOR_A_TREND, agreement
from ..results import Run

_MULTICLASS = {
    "accuracy": "Accuracy",
    "mean_iou": "Mean IoU",
    "mean_dice": "Mean Dice",
    "precision": "Precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}
_TABLES = {"region": "cases", "label": "cases"}


def presentations(
    evaluation: Mapping[str, Any], part: str, names: Iterable[str]
) -> dict[str, Metric]:
    """The metrics of a part of the evaluation that were measured, in reading order; those that
    metrics/evaluate.json does not describe are left out.
    """
    measured, table = set(names), _TABLES.get(part, part)
    return {
        entry["name"]: described(entry)
        for entry in evaluation["metrics"]
        if entry["table"] == table and entry["name"] in measured
    }


def summary_table(
    evaluation: Mapping[str, Any], part: str, summaries: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A table of means with their intervals: a row per metric, a column per region or label.

    Parameters
    ----------
    part : str
        Key of the evaluation.
    summaries : mapping
        Name of a region or label to metric to `pipeline.statistics.summary.summarise_values`.

    Returns
    -------
    dict
        ``names`` and ``groups``: heading to rows of ``title``, ``digits``, ``cells`` (a summary or
        None for each name).
    """
    measured = {metric for summary in summaries.values() for metric in summary}
    groups: dict[str, list[dict[str, Any]]] = {}
    for metric, shown in presentations(evaluation, part, measured).items():
        cells = [summary.get(metric) for summary in summaries.values()]
        row = {"title": shown.title, "digits": shown.decimals, "cells": cells}
        groups.setdefault(shown.group, []).append(row)
    return {"names": list(summaries), "groups": groups}


def _table(run: Run, part: str) -> dict[str, Any] | None:
    """The table of the regions and of labels scored like them, or None where the part was not
    measured.
    """
    measured = run.evaluation.get(part, {})
    names = dict.fromkeys((*run.schema.regions, *run.schema.labels))
    found = {name: measured[name] for name in names if name in measured}
    return summary_table(run.evaluation, part, found) if found else None


def scores(run: Run) -> dict[str, Any]:
    """Numbers and texts of sections/scores.html.j2."""
    schema, multiclass = run.schema, run.evaluation["multiclass"]
    labels = {name: run.evaluation["label"][name] for name in schema.labels}
    each_is_one_label = all(len(members) == 1 for members in schema.regions.values())
    return {
        "names": [*schema.regions, *schema.labels],
        "of_regions": _table(run, "region"),
        "of_labels": None if each_is_one_label else summary_table(run.evaluation, "label", labels),
        "biases": {region: agreement(run.rows, region)["bias"] for region in schema.regions},
        "fewest_for_a_line": FEWEST_FOR_A_TREND,
        "multiclass": [
            (title, multiclass[f"{name}_with_background"], multiclass[f"{name}_without_background"])
            for name, title in _MULTICLASS.items()
        ],
        "loss": run.evaluation["held_out_loss"],
    }


def lesions(run: Run) -> dict[str, Any] | None:
    """Numbers and texts of sections/lesions.html.j2; None where nothing was scored."""
    schema, matched = run.schema, _table(run, "matched")
    unscored = not run.lesionwise and schema.lesion_rules is None
    rules = run.evaluation.get("lesion_rules") or ()
    found = {
        "unscored": why_unscored(schema.cohort) if unscored else "",
        "scored": bool(run.lesionwise),
        "rules": [rules] if isinstance(rules, str) else sorted(rules),  # by year
        "table": _table(run, "lesionwise"),
        "matched": matched,
        "sizes": _by_size(run) if run.lesionwise or matched else {},
        "instances": _table(run, "instances"),
    }
    return found if unscored or found["scored"] or matched or found["instances"] else None


def _by_size(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Size to what was found of each region."""
    sizes: dict[str, list[dict[str, Any]]] = {}
    for reading in run.detection:
        size = "All sizes" if reading["size"] == ALL else reading["size"].capitalize()
        sizes.setdefault(size, []).append(reading)
    return sizes


def types(run: Run) -> dict[str, Any] | None:
    """Numbers of sections/types.html.j2; None for cohorts whose labels are not tumour types."""
    if not run.types:
        return None
    patients = patient_rows(run.rows, run.schema)
    by = {"case": run.types} | ({"patient": patients} if len(patients) < len(run.types) else {})
    return {"by": {noun: _accuracy(rows) for noun, rows in by.items()}}


def _accuracy(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Accuracy with its interval; none where all or none are right, since a bootstrap has no spread
    there.
    """
    known = [row for row in rows if row["reference"] != NONE]
    right = [float(row["predicted"] == row["reference"]) for row in known]
    patients = [row["patient"] for row in known]
    several = len(set(right)) > 1
    low, high = interval(right, "mean", clusters=patients) if several else (nan, nan)
    return accuracy(rows) | {"low": low, "high": high}


def missing_modalities(run: Run) -> dict[str, Any] | None:
    """Numbers of sections/missing_modalities.html.j2; None where no price was asked for."""
    prices = run.evaluation.get("missing_modalities")
    if not prices:
        return None
    return {
        "trained": run.accepts_missing_modalities,
        "whole": run.evaluation["mean_region_dice"],
        "whole_regions": [run.evaluation["region"][name]["dice"] for name in run.schema.regions],
        "rows": [
            {
                "missing": missing.split(" "),
                "dice": price["mean_region_dice"],
                "difference": price["mean_region_dice_difference"],
                "regions": [price["region"][name] for name in run.schema.regions],
            }
            for missing, price in prices.items()
        ],
    }


def calibration(run: Run) -> dict[str, Any] | None:
    """Numbers of sections/calibration.html.j2; None where calibration was not measured."""
    return {"table": _table(run, "calibration")} if run.calibration else None
