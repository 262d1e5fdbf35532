"""Names of the metrics. MLflow shows those without a slash first, so only the headline ones have
none; all others are in groups: ``region/ET/dice``, ``validation/dice_ET``, ``time/seconds``.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.case_means import mean_region_dice, missed_tumours

HEADLINE = ("epoch", "loss", "val_loss", "val_dice", "learning_rate", "held_out_loss")
"""Metrics of an epoch and of a run that keep their names; `verdict` has the others."""
TIMES = ("seconds", "waiting")
"""What is measured of an epoch: its time, and the share of it spent waiting for batches."""


def of_epoch(record: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of an epoch: Dice of a region or label in ``validation/``, times in ``time/``, those
    of one fold in ``fold_0/`` and so on, others in ``training/``.
    """
    return {_of_epoch(name): value for name, value in record.items()}


def _of_epoch(name: str) -> str:
    if name in HEADLINE:
        return name
    if name in TIMES:
        return f"time/{name}"
    if fold := re.match(r"(fold_\d+)_(.+)", name):
        return f"{fold[1]}/{fold[2]}"
    return f"validation/{name[4:]}" if name.startswith("val_") else f"training/{name}"


def of_scores(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics from nested dicts, named by their path: ``region/ET/dice``; of a dict with a
    ``mean``, only the mean, under the name of the dict.
    """
    flat = flattened(scores, "/", lambda value: value.get("mean", value))
    return {_of_scores(name): value for name, value in flat.items()}


def _of_scores(name: str) -> str:
    if name == "mean_region_dice/value":
        return "mean_region_dice"
    grouped = "/" in name and not name.startswith("mean_region_dice/")
    return name if grouped or name in HEADLINE else f"evaluation/{name}"


def verdict(
    scores: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, float], str]:
    """The headline metrics of an evaluation, and the worst case.

    Parameters
    ----------
    scores : mapping
        metrics/evaluate.json.
    rows : sequence of mapping
        metrics/cases.csv.

    Returns
    -------
    dict of str to float, str
        ``mean_region_dice``; ``dice_ET`` and so on, the mean of each region; ``worst_dice``, the
        lowest mean over the regions of a case; ``missed_tumours``, cases with a tumour of which no
        region was found (Dice 0). Without what is undefined.
    """
    found = {"mean_region_dice": scores.get("mean_region_dice", {}).get("value")}
    for region, means in scores.get("region", {}).items():
        found[f"dice_{region}"] = means.get("dice", {}).get("mean")
    worst, lowest = next(iter(mean_region_dice(rows).items()), ("", math.nan))
    if math.isnan(lowest):
        worst = ""
    else:
        missed = float(sum(missed_tumours(rows).values()))
        found |= {"worst_dice": lowest, "missed_tumours": missed}
    return {name: value for name, value in found.items() if value is not None}, worst


def accepted(name: str) -> str:
    """A name that MLflow accepts for a metric."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def number(value: Any) -> float:
    """A float; NaN for texts and empty fields of a CSV file."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def flattened(
    values: Any, separator: str, reading: Any = lambda value: value, name: str = ""
) -> dict[str, Any]:
    """Nested dicts as one, keys joined; `reading` may replace a dict with a value."""
    values = reading(values) if isinstance(values, Mapping) else values
    if not isinstance(values, Mapping):
        return {name: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = f"{name}{separator}{key}" if name else key
        flat |= flattened(value, separator, reading, inner)
    return flat
