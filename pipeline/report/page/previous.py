"""What changed since the previous run."""

from collections.abc import Mapping
from math import isnan, nan
from statistics import fmean
from typing import Any

from ...statistics.bootstrap import interval
from ...statistics.paired import LEVEL, paired_rows, sign_flip_p
from ..rendering import MISSING, flat
from ..results import Rows, Run

_METRICS = (("dice", "Dice", 3), ("hd95_mm", "HD95 (mm)", 2))


def previous(run: Run) -> dict[str, Any] | None:
    """Scores of both runs and what their difference means; None without a previous run."""
    if run.previous is None:
        return None
    before, both = run.previous, (run.evaluation, run.previous.evaluation)
    rows = [_row("Mean region Dice", 3, *(each["mean_region_dice"]["value"] for each in both))]
    for region in run.schema.regions:
        for metric, title, digits in _METRICS:
            means = [
                each.get("region", {}).get(region, {}).get(metric, {}).get("mean") for each in both
            ]
            rows.append(_row(f"{title} {region}", digits, *means))
    cases, others = ({row["case"] for row in table} for table in (run.rows, before.rows))
    return {
        "name": before.name,
        "rows": rows,
        "paired": _paired(run.rows, before.rows) if cases == others else None,
        "cases": before.evaluation.get("cases", "an unknown number"),
        "changed": changed_params(before.params, run.provenance.get("params", {})),
    }


def changed_params(
    then: Mapping[str, Any] | None, now: Mapping[str, Any]
) -> list[dict[str, str]] | None:
    """Keys of params.yaml whose values differ as text, with both, without the section `visualize`,
    which changes no score; None where those of the previous run are unknown. A missing key, null
    and an empty mapping are all a dash.
    """
    if then is None:
        return None
    old, new = dict(flat(then)), dict(flat(now))
    return [
        {"key": key, "then": before, "now": after}
        for key in dict.fromkeys((*new, *old))
        if not key.startswith("visualize.")
        and (before := old.get(key, MISSING)) != (after := new.get(key, MISSING))
    ]


def _row(title: str, digits: int, now: float | None, then: float | None) -> dict[str, Any]:
    difference = None if now is None or then is None else now - then
    return {"title": title, "now": now, "then": then, "difference": difference, "digits": digits}


def paired_differences(rows: Rows, others: Rows) -> dict[str, float]:
    """Case to the mean difference of the Dice of its regions, first table minus second, over the
    regions defined in both; cases without one are left out.
    """
    differences: dict[str, list[float]] = {}
    for (kind, _), pairs in paired_rows(rows, others).items():
        for now, then in pairs if kind == "region" else ():
            difference = now["dice"] - then["dice"]
            if not isnan(difference):
                differences.setdefault(now["case"], []).append(difference)
    return {case: fmean(values) for case, values in differences.items()}


def _paired(rows: Rows, others: Rows) -> dict[str, Any]:
    differences = paired_differences(rows, others)
    patients, values = {row["case"]: row["patient"] for row in rows}, list(differences.values())
    clusters = [patients[case] for case in differences]
    low, high = interval(values, "mean", clusters=clusters)
    p = sign_flip_p(values, clusters)
    return {
        "cases": len(values),
        "patients": len(set(clusters)),
        "p": p,
        "significant": p < LEVEL,
        "too_few": 2.0 ** (1 - len(set(clusters))) >= LEVEL,
        "mean": fmean(values) if values else nan,
        "low": None if isnan(low) else low,
        "high": high,
        "better": sum(value > 0 for value in values),
        "worse": sum(value < 0 for value in values),
    }
