"""What changed since the previous run."""

from math import isnan, nan
from statistics import fmean
from typing import Any

from ...statistics.bootstrap import interval
from ..run import Rows, Run

_METRICS = (("dice", "Dice", 3), ("hd95_mm", "HD95 (mm)", 2))


def previous(run: Run) -> dict[str, Any] | None:
    """Scores of both runs and what their difference means; None without a previous run."""
    if run.previous is None:
        return None
    before = run.previous
    both = (run.evaluation, before.evaluation)
    rows = [_row("Mean region Dice", 3, *(each["mean_region_dice"]["value"] for each in both))]
    rows += [
        _row(f"{title} {region}", digits, *(_mean(each, region, metric) for each in both))
        for region in run.schema.regions
        for metric, title, digits in _METRICS
    ]
    return {
        "name": before.name,
        "rows": rows,
        "paired": _paired(run.rows, before.rows) if same_cases(run.rows, before.rows) else None,
        "cases": before.evaluation.get("cases", "an unknown number"),
    }


def _row(title: str, digits: int, now: float | None, then: float | None) -> dict[str, Any]:
    difference = None if now is None or then is None else now - then
    return {"title": title, "now": now, "then": then, "difference": difference, "digits": digits}


def _mean(evaluation: dict[str, Any], region: str, metric: str) -> float | None:
    return evaluation.get("region", {}).get(region, {}).get(metric, {}).get("mean")


def same_cases(rows: Rows, others: Rows) -> bool:
    """Whether two tables score the same cases, at least one."""
    cases = {row["case"] for row in rows}
    return bool(cases) and cases == {row["case"] for row in others}


def paired_differences(rows: Rows, others: Rows) -> dict[str, float]:
    """Case to the mean difference of the Dice of its regions, first table minus second, over the
    regions defined in both; cases without one are left out.
    """
    now, then = (
        {(row["case"], row["name"]): row["dice"] for row in table if row["kind"] == "region"}
        for table in (rows, others)
    )
    differences: dict[str, list[float]] = {}
    for case, name in sorted(now.keys() & then.keys()):
        difference = now[case, name] - then[case, name]
        if not isnan(difference):
            differences.setdefault(case, []).append(difference)
    return {case: fmean(values) for case, values in differences.items()}


def _paired(rows: Rows, others: Rows) -> dict[str, Any]:
    differences = paired_differences(rows, others)
    patients, values = {row["case"]: row["patient"] for row in rows}, list(differences.values())
    low, high = (
        interval(values, "mean", clusters=[patients[case] for case in differences])
        if values
        else (nan, nan)
    )
    return {
        "cases": len(values),
        "mean": fmean(values) if values else nan,
        "low": None if isnan(low) else low,
        "high": high,
        "better": sum(value > 0 for value in values),
        "worse": sum(value < 0 for value in values),
    }
