"""Numbers of the model card: what a network is for, what it was made from, how well it does and for
whom, and where it fails. The text is in templates/model_card.md.j2.

Its sections follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019
(doi:10.1145/3287560.3287596), section 4.
"""

from typing import Any

import numpy as np

from ..core.case_means import mean_region_dice
from ..core.catalogue import Catalogue
from ..core.schema import Schema
from ..metrics.lesion_rules import why_unscored
from ..statistics.bootstrap import interval
from .corrections import sentence
from .rendering import render
from .results import Rows, Run

LEAST_CASES = 3
"""Of a group, for a score of its own."""
NAMED = 5
"""Largest number of worst cases, and of changed files, that are named."""
_NO_GROUPS = ("fold", "corrected_by", "corrected_at", "correction")
"""Attributes of the split and of readers, not of the patient."""
_CALIBRATION = {
    "ece": "Expected calibration error",
    "brier": "Brier score",
    "aurc": "Risk-coverage area",
    "aurc_oracle": "of the best order",
    "aurc_random": "of a random order",
}


def model_card(run: Run) -> str:
    """The model card in Markdown, the same for the same run.

    Attributes of the cases in its catalogue make subgroups: those with at least two groups of
    `LEAST_CASES` scored cases.
    """
    card, evaluation, schema = run.card, run.evaluation, run.schema
    network, stripped = card["network"], card.get("stripped")
    rows = [row for row in run.rows if row["kind"] == "region"]
    calibration = evaluation.get("calibration") or {}
    measured = [name for name in _CALIBRATION if all(name in of for of in calibration.values())]
    labels_are_regions = all(len(members) == 1 for members in schema.regions.values())
    unscored = not evaluation.get("lesionwise") and schema.lesion_rules is None
    return render(
        "model_card.md.j2",
        card=card,
        schema=schema,
        stripped=card["preprocess"]["foreground"] == "nonzero" if stripped is None else stripped,
        channels=min(network["filters"] * 2 ** (network["depth"] - 1), network["max_filters"]),
        parts=_parts(run),
        licence=run.catalogue.licence,
        corrected=sentence(run.catalogue, run.split),
        pairs_alike=len(run.catalogue.alike),
        evaluation=evaluation,
        accepts_missing=run.accepts_missing_modalities,
        prices=evaluation.get("missing_modalities") or {},
        scored=("region",) if labels_are_regions else ("region", "label"),
        why_unscored=why_unscored(schema.cohort) if unscored else "",
        least_cases=LEAST_CASES,
        subgroups=_subgroups(rows, run.catalogue),
        failures=[_failures(rows, region) for region in schema.regions],
        worst=_worst(rows, schema),
        calibration=calibration,
        calibration_titles={name: _CALIBRATION[name] for name in measured},
        provenance=run.provenance,
        named=NAMED,
    )


def _parts(run: Run) -> dict[str, tuple[int, int]]:
    """Part to the number of its cases and patients."""
    parts = {"training": run.split.train, "validation": run.split.val, "test": run.split.test}
    return {
        name: (len(cases), len({run.split.patients[case] for case in cases}))
        for name, cases in parts.items()
    }


def _subgroups(rows: Rows, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Name, number of cases and scores of each region of the subgroups."""
    schema = catalogue.cohort
    groups = _by_volume(rows, schema) | _by_attribute(rows, catalogue)
    return [
        {
            "name": name,
            "cases": len(members),
            "scores": [_group_score(rows, set(members), region) for region in schema.regions],
        }
        for name, members in groups.items()
    ]


def _by_volume(rows: Rows, schema: Schema) -> dict[str, list[str]]:
    """Thirds of the cases by the reference volume of the first region, where each has enough."""
    whole = next(iter(schema.regions))
    own = [row for row in rows if row["name"] == whole and row["reference_ml"] > 0]
    volumes = sorted((row["reference_ml"], row["case"]) for row in own)
    if len(volumes) < 3 * LEAST_CASES:
        return {}
    groups = {}
    thirds = np.array_split(np.arange(len(volumes)), 3)
    for size, places in zip(("small", "medium", "large"), thirds, strict=True):
        third = [volumes[place] for place in places]
        groups[f"{size} {whole}, {third[0][0]:.1f} to {third[-1][0]:.1f} ml"] = [
            case for _, case in third
        ]
    return groups


def _by_attribute(rows: Rows, catalogue: Catalogue) -> dict[str, list[str]]:
    attributes = {entry.case: entry.attributes for entry in catalogue.cases}
    members: dict[str, dict[str, list[str]]] = {}
    for case in dict.fromkeys(row["case"] for row in rows):
        for name, value in attributes[case].items():
            if value and name not in _NO_GROUPS:
                members.setdefault(name, {}).setdefault(value, []).append(case)
    groups: dict[str, list[str]] = {}
    for name, by_value in sorted(members.items()):
        enough = {
            f"{name}: {value}": cases
            for value, cases in sorted(by_value.items())
            if len(cases) >= LEAST_CASES
        }
        groups |= enough if len(enough) > 1 else {}
    return groups


def _group_score(rows: Rows, members: set[str], region: str) -> dict[str, Any]:
    """Mean Dice with its interval, over so many cases; ``undefined`` are left out."""
    own = [row for row in rows if row["name"] == region and row["case"] in members]
    values = [row["dice"] for row in own]
    defined = [value for value in values if value == value]
    low, high = interval(values, "mean", clusters=[row["patient"] for row in own])
    return {
        "mean": sum(defined) / len(defined) if defined else None,
        "mean_low": low,
        "mean_high": high,
        "cases": len(defined),
        "undefined": len(values) - len(defined),
    }


def _failures(rows: Rows, region: str) -> dict[str, Any]:
    """How often a region was missed where the reference has it, and predicted where it has not."""
    own = [row for row in rows if row["name"] == region]
    present = [row for row in own if row["reference_ml"] > 0]
    absent = [row for row in own if row["reference_ml"] == 0]
    return {
        "region": region,
        "present": len(present),
        "missed": sum(row["dice"] == 0 for row in present),
        "absent": len(absent),
        "invented": sum(row["prediction_ml"] > 0 for row in absent),
    }


def _worst(rows: Rows, schema: Schema) -> list[dict[str, Any]]:
    """The worst cases by mean region Dice, with the row of each region."""
    own = {(row["case"], row["name"]): row for row in rows}
    means = [(case, mean) for case, mean in mean_region_dice(rows).items() if mean == mean]
    return [
        {"case": case, "mean": mean, "rows": [own[case, region] for region in schema.regions]}
        for case, mean in means[:NAMED]
    ]
