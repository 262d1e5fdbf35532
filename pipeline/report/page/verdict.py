"""The head of the report: what was trained on what, how well it does, and compared with what."""

from typing import Any

from ...core.records import read_csv
from ...metrics import registry
from ..plots.palette import region_colours
from ..rendering import ASSETS
from ..results import Run
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
        "empty_rule": rule,
        "fills": {entry: registry.fills("cases", entry) for entry in entries},
        "previous": previous(run),
        "published": published(schema.cohort),
    }


def published(cohort: str) -> list[dict[str, str]]:
    """Published results on cases of the same kind as those of a cohort: rows of
    assets/published.csv. They were measured on other cases and compare with nothing of ours.
    """
    return [row for row in read_csv(ASSETS / "published.csv") if cohort in row["cohorts"].split()]
