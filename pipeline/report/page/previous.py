"""What changed since the run before."""

from math import isnan
from statistics import fmean
from typing import Any

from ...statistics.bootstrap import interval
from .html import Html, element, table
from .run import Previous, Rows, Run
from .text import count, number, signed

_METRICS = {"dice": ("Dice", 3), "hd95_mm": ("HD95 (mm)", 2)}


def against_previous(run: Run) -> Html:
    """Scores now and before, side by side, and what may be read from their difference; nothing
    without a run before.
    """
    if run.previous is None:
        return Html("")
    before = run.previous
    same = same_cases(run.rows, before.rows)
    rows = [
        [
            "Mean region Dice",
            *_values(
                run.evaluation["mean_region_dice"]["value"],
                before.evaluation["mean_region_dice"]["value"],
                3,
            ),
        ]
    ]
    for region in run.schema.regions:
        for metric, (title, digits) in _METRICS.items():
            now, then = (
                _mean(evaluation, region, metric)
                for evaluation in (run.evaluation, before.evaluation)
            )
            rows.append([f"{title} {region}", *_values(now, then, digits)])
    caption = f"Means of this run and of {before.name}."
    return element(
        "div",
        element("h2", f"Against the run before: {before.name}"),
        element("p", _paired(run.rows, before.rows) if same else _unpaired(run, before)),
        table(["", "This run", "Before", "Difference"], rows, caption),
    )


def same_cases(rows: Rows, others: Rows) -> bool:
    """Whether two tables score the same cases, at least one."""
    cases = {row["case"] for row in rows}
    return bool(cases) and cases == {row["case"] for row in others}


def paired_differences(rows: Rows, others: Rows) -> dict[str, float]:
    """Case to the mean difference of the Dice of its regions, first table less second, over regions
    defined in both; cases with one.
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


def _paired(rows: Rows, others: Rows) -> str:
    differences = paired_differences(rows, others)
    if not differences:
        return "Both runs scored the same cases, but in none of them is a region defined in both."
    patients, values = {row["case"]: row["patient"] for row in rows}, list(differences.values())
    low, high = interval(values, "mean", clusters=[patients[case] for case in differences])
    between = f" (95 % interval {signed(low)} to {signed(high)})" * (not isnan(low))
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    return (
        "Both runs scored the same cases, so the differences are paired: mean region Dice per case"
        f" changed by {signed(fmean(values))}{between} on average over"
        f" {count(len(values), 'case')}; {better} better, {worse} worse. Tests of each metric:"
        " python -m pipeline compare."
    )


def _unpaired(run: Run, before: Previous) -> str:
    return (
        f"The two runs did not score the same cases (now {count(run.evaluation['cases'], 'case')},"
        f" before {before.evaluation.get('cases', 'an unknown number')}): the differences are"
        " unpaired, and part of them is that of the cases."
    )


def _mean(evaluation: dict[str, Any], region: str, metric: str) -> float | None:
    return evaluation.get("region", {}).get(region, {}).get(metric, {}).get("mean")


def _values(now: float | None, then: float | None, digits: int) -> list[str]:
    difference = None if now is None or then is None else now - then
    return [number(now, digits), number(then, digits), signed(difference, digits)]
