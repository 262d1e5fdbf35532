"""The head of the report: what was trained on what, how well it does, and compared with what."""

from math import isnan, nan
from typing import Any

from ...core.case_means import mean_lesion_dice, mean_region_dice
from ...core.records import read_csv
from ...metrics import registry
from ..plots.palette import region_colours
from ..rendering import ASSETS
from ..results import Rows, Run
from .previous import previous

_FEW_CASES = 10


def verdict(run: Run) -> dict[str, Any]:
    """Numbers and texts of verdict.html.j2."""
    schema, network = run.schema, run.card.get("network", {})
    rule, lesions = schema.empty_rule, run.evaluation.get("lesionwise", {})
    entries = ("both_empty", "reference_empty") if rule == "brats" else ()
    return {
        "cohort": schema.cohort,
        "mean": run.evaluation["mean_region_dice"],
        "cases": run.evaluation["cases"],
        "few": run.evaluation["cases"] < _FEW_CASES,
        "patients": len({row["patient"] for row in run.rows}),
        "train": len(run.split.train),
        "val": len(run.split.val),
        "networks": len(run.split.members),
        "weights": run.card.get("weights"),
        "dimensions": network.get("dimensions"),
        "architecture": network.get("architecture"),
        "tiles": [
            {
                "region": region,
                "colour": colour,
                "dice": run.evaluation["region"][region]["dice"],
                "hd95_mm": run.evaluation["region"][region]["hd95_mm"],
                "lesion_dice": lesions.get(region, {}).get("lesion_dice"),
            }
            for region, colour in region_colours(schema).items()
        ],
        "failures": failures(run.rows, list(schema.regions)),
        "worst_by_lesions": worst_by_lesions(run),
        "by_rule": _by_rule(run),
        "commit": run.provenance.get("commit", ""),
        "changed_code": run.provenance.get("changed", []),
        "empty_rule": rule,
        "fills": {entry: registry.fills("cases", entry) for entry in entries},
        "worst_hd95_mm": registry.WORST_HD95_MM,
        "previous": previous(run),
    }


def failures(rows: Rows, regions: list[str]) -> dict[str, Any]:
    """What went wrong altogether.

    Returns
    -------
    dict
        ``missed``: region to the cases whose reference has it and whose Dice is 0, as it also is
        where the prediction has none of it; ``there``: region to the number of cases whose
        reference has it; ``surplus``: region to the cases in which the prediction alone has it;
        ``nothing_drawn``: the cases whose prediction is empty.
    """
    scored = [row for row in rows if row["kind"] == "region"]
    of_regions = {region: [row for row in scored if row["name"] == region] for region in regions}
    there = {
        region: [row for row in own if row["reference_ml"] > 0]
        for region, own in of_regions.items()
    }
    drawn = {row["case"] for row in scored if row["prediction_ml"] > 0}
    return {
        "missed": {
            region: [row["case"] for row in own if row["dice"] == 0]
            for region, own in there.items()
        },
        "there": {region: len(own) for region, own in there.items()},
        "surplus": {
            region: [
                row["case"] for row in own if row["reference_ml"] == 0 and row["prediction_ml"] > 0
            ]
            for region, own in of_regions.items()
        },
        "nothing_drawn": [
            case for case in dict.fromkeys(row["case"] for row in scored) if case not in drawn
        ],
    }


def worst_by_lesions(run: Run) -> dict[str, Any] | None:
    """The ``case`` with the lowest mean lesion-wise Dice over the regions, that ``dice``, and the
    ``worst`` case by Dice; None without such scores, or where they are lowest in that case too.
    """
    means = mean_lesion_dice(run.lesionwise)
    case, lowest = next(iter(means.items()), ("", nan))
    worst = next(iter(mean_region_dice(run.rows)))
    if isnan(lowest) or means.get(worst) == lowest:
        return None
    return {"case": case, "dice": lowest, "worst": worst}


def _by_rule(run: Run) -> dict[str, dict[str, int]]:
    """Title of a metric to how many of its values over cases and regions there are in ``all``, were
    given by the empty rule (``filled``), and are ``undefined``.
    """
    found = {}
    for metric, title in (("dice", "Dice"), ("hd95_mm", "HD95")):
        summaries = [run.evaluation["region"][region][metric] for region in run.schema.regions]
        counts = {key: sum(each[key] for each in summaries) for key in ("filled", "undefined")}
        total = sum(each["cases"] + each["undefined"] for each in summaries)
        found[title] = counts | {"all": total}
    return found


def comparison(run: Run) -> dict[str, Any] | None:
    """What sections/comparison.html.j2 compares with; None without anything."""
    found = {"previous": previous(run), "published": published(run.schema.cohort)}
    return found if any(found.values()) else None


def published(cohort: str) -> list[dict[str, str]]:
    """Published results on cases of the same kind as those of a cohort: rows of
    assets/published.csv. They were measured on other cases and compare with nothing of ours.
    """
    return [row for row in read_csv(ASSETS / "published.csv") if cohort in row["cohorts"].split()]
