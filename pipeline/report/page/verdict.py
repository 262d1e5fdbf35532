"""The head of the report: what was trained on what, how well it does, and compared with what."""

from typing import Any

from ...core.records import read_csv
from ...metrics import registry
from ..plots.palette import region_colours
from ..rendering import ASSETS
from ..run import Run
from .previous import previous

_FEW_CASES = 10


def verdict(run: Run) -> dict[str, Any]:
    """Numbers and texts of verdict.html.j2."""
    mean, schema, network = (
        run.evaluation["mean_region_dice"],
        run.schema,
        run.card.get("network", {}),
    )
    colours = region_colours(schema)
    return {
        "cohort": schema.cohort,
        "mean": mean,
        "cases": run.evaluation["cases"],
        "few": run.evaluation["cases"] < _FEW_CASES,
        "patients": len({row["patient"] for row in run.rows}),
        "train": len(run.split.train),
        "val": len(run.split.val),
        "weights": run.card.get("weights"),
        "dimensions": network.get("dimensions"),
        "architecture": network.get("architecture"),
        "tiles": [_tile(run, region, colours[region]) for region in schema.regions],
        "empty_rule": schema.empty_rule,
        "fills": {
            entry: registry.fills("cases", entry) for entry in ("both_empty", "reference_empty")
        }
        if schema.empty_rule == "brats"
        else {},
        "previous": previous(run),
        "published": published(schema.cohort),
    }


def _tile(run: Run, region: str, colour: str) -> dict[str, Any]:
    summary = run.evaluation["region"][region]
    lesions = run.evaluation.get("lesionwise", {}).get(region, {})
    return {
        "region": region,
        "colour": colour,
        "dice": summary["dice"],
        "hd95_mm": summary["hd95_mm"],
        "lesion_dice": lesions.get("lesion_dice"),
    }


def published(cohort: str) -> list[dict[str, str]]:
    """Published results on cases of the same kind as those of a cohort.

    Parameters
    ----------
    cohort : str
        Name of its schema.

    Returns
    -------
    list of dict
        Rows of assets/published.csv; they were measured on other cases and compare with nothing of
        ours. Empty for most cohorts.
    """
    return [row for row in read_csv(ASSETS / "published.csv") if cohort in row["cohorts"].split()]
