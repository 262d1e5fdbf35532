"""Synthetic runs: scores of any number of cases as the evaluation writes them, without a network or
an image.
"""

from dataclasses import replace
from math import nan

import numpy as np

from pipeline.core import params
from pipeline.core.catalogue import CaseEntry, Catalogue
from pipeline.core.folds import Split
from pipeline.core.grid import rows_of
from pipeline.core.schema import Schema
from pipeline.metrics import registry
from pipeline.metrics.multiclass import confusion_rows
from pipeline.network.card import Card
from pipeline.report.results import Previous, Run
from pipeline.verification.thumbnail import SIDE
from pipeline.verification.thumbnail_sheet import sheet
from tests.project import ROOT

_MULTICLASS = {
    f"{name}_{ending}_background": 0.25
    for name in ("accuracy", "mean_iou", "mean_dice", "precision", "sensitivity", "specificity")
    for ending in ("with", "without")
}
PROVENANCE = {
    "command": "git checkout 0123abc && dvc repro",
    "commit": "0123abc",
    "changed": [],
    "files": {"data/shards": "1f2e.dir"},
    "params": {"cohort": {"seed": 2026}},
    "seed": 2026,
    "packages": {"numpy": "2.4"},
}


def made_run(schema: Schema, cases: int, seed: int = 0, **changes) -> Run:
    """A run of so many test cases with every table filled but those of tumour types; `changes`
    replace its fields.
    """
    rng = np.random.default_rng(seed)
    names = [f"Made_{number:05d}" for number in range(cases)]
    rows = [row for name in names for row in _scores(name, schema, rng)]
    targets = [_whose(name, region) for name in names for region in schema.regions]
    lesionwise = [target | _lesionwise(rng) for target in targets]
    calibration = [target | _calibration(rng) for target in targets]
    scored = {
        "lesionwise": lesionwise,
        "instances": [_instances(row) for row in lesionwise],
        "calibration": calibration,
    }
    others = {
        part: tuple(f"{part}_{number}" for number in range(count))
        for part, count in (("train", 40), ("val", 5))
    }
    patients = {name: name for part in (*others.values(), names) for name in part}
    classes = len(schema.labels) + 1
    voxels = rng.integers(100, 9_000, (classes, classes))
    voxels += np.diag([50_000_000, *[80_000] * len(schema.labels)])
    fields = {
        "catalogue": Catalogue(
            cohort=schema,
            licence="free & open",
            cases=tuple(catalogued(name, schema) for name in names),
            alike=(),
        ),
        "split": Split(**others, test=tuple(names), folds=(), patients=patients),
        "rows": rows,
        "evaluation": made_evaluation(schema, rows, **scored),
        "verify": _verify(schema, names),
        "card": made_card(schema).model_dump(mode="json"),
        "history": _history(schema, rng),
        "pictured": (),
        "thumbnails": sheet([rng.integers(0, 85, (SIDE, SIDE, 3), np.uint8) for _ in names]),
        "multiclass": [{"case": name, **_MULTICLASS} for name in names],
        "lesionwise": lesionwise,
        "lesions": [row for target in targets for row in _lesions(target, rng)],
        "confusion": confusion_rows(voxels, schema),
        "calibration": calibration,
        "reliability": [row for region in schema.regions for row in _reliability(region, rng)],
        "provenance": PROVENANCE,
        "previous": Previous("experiment A", made_evaluation(schema, worse(rows)), worse(rows)),
    }
    return Run(**fields | changes)


def in_cohort(run: Run, **changes) -> Run:
    """The run, its schema changed."""
    cohort = run.schema.model_copy(update=changes)
    return replace(run, catalogue=run.catalogue.model_copy(update={"cohort": cohort}))


def catalogued(case: str, schema: Schema, **attributes: str) -> CaseEntry:
    """A catalogue entry without files: 0, 500, 1000 ... voxels of the labels, each of 1 µl."""
    return CaseEntry(
        case=case,
        patient=case,
        images={},
        labels=None,
        shape=(9, 9, 9),
        affine=rows_of(np.eye(4)),
        spacing_mm=(1.0, 1.0, 1.0),
        orientation="RAS",
        brain_ml=1.0,
        label_voxels={label: 500 * place for place, label in enumerate(schema.labels)},
        attributes=attributes,
        native=None,
    )


def made_card(schema: Schema, **changes) -> Card:
    """models/card.json of a network trained with params.yaml."""
    settings = params.read(ROOT / "params.yaml")
    network = settings["network"] | {"depth": 4, "filters": 16, "max_filters": 100}
    fields = {
        "format_version": 4,
        "cohort": schema.model_dump(),
        "preprocess": settings["preprocess"] | {"spacing_mm": [2.0, 2.0, 2.0]},
        "network": network,
        "patch": (64, 64),
        "spacing_mm": (1.0, 1.0, 1.25),
        "seed": 7,
        "train": settings["train"],
        "members": [
            {
                "trained_on": ("train_0",),
                "validated_on": ("val_0",),
                "best_epoch": 4,
                "val_dice": None,
            }
        ],
        "weights": 1_928_691,
        "data_hash": "d" * 64,
        "network_sha256": "a" * 64,
        "backend": "tensorflow",
        "versions": {"python": "3.11", "keras": "3.15.1"},
        "use": "Research use only, not for diagnosis.",
        "stripped": None,
    }
    return Card.model_validate(fields | changes, strict=False)


def worse(rows: list[dict]) -> list[dict]:
    """The rows of a run that did a little worse on every case."""
    return [row | {"dice": row["dice"] * 0.97} for row in rows]


def made_evaluation(schema: Schema, rows: list[dict], **scored: list[dict]) -> dict:
    """Summaries as in metrics/evaluate.json, with intervals of mean ± 1.96 standard errors."""
    tables = {
        kind: ([row for row in rows if row["kind"] == kind], "cases")
        for kind in ("label", "region")
    } | {part: (scored.get(part, ()), part) for part in ("lesionwise", "instances", "calibration")}
    parts = {part: _summaries(*table) for part, table in tables.items()}
    dice = [parts["region"][region]["dice"] for region in schema.regions]
    mean = {"value": np.mean([summary["mean"] for summary in dice]), "regions": len(dice)}
    for end in ("low", "high"):
        bounds = [summary[f"mean_{end}"] for summary in dice]
        mean[end] = None if None in bounds else np.mean(bounds)
    for key in ("cases", "filled", "undefined"):
        mean[key] = sum(summary[key] for summary in dice)
    once = {"cases": 4, "filled": 0, "undefined": 0}
    return parts | {
        "mean_region_dice": mean,
        "types": None,
        "lesion_rules": schema.lesion_rules,
        "metrics": registry.descriptions(),
        "cohort": schema.cohort,
        "cases": len({row["case"] for row in rows}),
        "held_out_loss": 0.125,
        "multiclass": {name: {"mean": share} | once for name, share in _MULTICLASS.items()},
        "definitions": {"dice": "twice the overlap"},
    }


def _summaries(rows: list[dict], table: str) -> dict:
    by_name: dict[str, list[dict]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    return {
        name: {
            metric.name: _summary(own, metric.name)
            for metric in registry.TABLES[table]
            if metric.name in own[0]
        }
        for name, own in by_name.items()
    }


def _summary(rows: list[dict], metric: str) -> dict:
    defined = [row for row in rows if row[metric] == row[metric]]
    values = np.array([row[metric] for row in defined])
    counts = {
        "cases": len(values),
        "filled": sum(bool(row.get("filled")) for row in defined),
        "undefined": len(rows) - len(values),
    }
    mean, median = (take(values) if len(values) else None for take in (np.mean, np.median))
    summary = {"mean": mean, "median": median, "sd": None, "mean_low": None, "mean_high": None}
    if len(values) > 1:
        sd = values.std(ddof=1)
        half = 1.96 * sd / len(values) ** 0.5
        summary |= {"sd": sd, "mean_low": mean - half, "mean_high": mean + half}
        summary |= {"median_low": median - half, "median_high": median + half}
    return summary | counts


def _whose(case: str, name: str) -> dict:
    return {"case": case, "patient": case, "name": name}


def _scores(case: str, schema: Schema, rng: np.random.Generator) -> list[dict]:
    quality, rows = rng.beta(8, 2), []
    targets = [("label", name) for name in schema.labels]
    targets += [("region", name) for name in schema.regions]
    for number, (kind, name) in enumerate(targets):
        reference_ml = float(np.exp(rng.normal(3.5 - 0.5 * (number % 3), 1)))
        dice = float(np.clip(quality + rng.normal(0, 0.05), 0.02, 0.98))
        prediction_ml = reference_ml * float(np.exp(rng.normal(0, 0.25)))
        row = {"kind": kind} | _row(dice, reference_ml, prediction_ml, rng)
        if name in schema.innermost and rng.random() < 0.08:  # neither there nor predicted
            row |= dict.fromkeys(("dice", "iou"), 1.0) | {"filled": "both_empty"}
            row |= dict.fromkeys(("hd95_mm", "reference_ml", "prediction_ml"), 0.0)
            row |= {"volume_error_ml": 0.0, "relative_volume_error": nan}
        rows.append(_whose(case, name) | row)
    return rows


def _row(dice: float, reference_ml: float, prediction_ml: float, rng: np.random.Generator) -> dict:
    distance = float(np.exp(rng.normal(3.5 * (1 - dice) + 0.3, 0.5)))
    shares = ("dice", "precision", "sensitivity", "nsd_1mm", "nsd_2mm", "nsd_3mm")
    return dict.fromkeys(shares, dice) | {
        "iou": dice / (2 - dice),
        "specificity": 0.9991,
        "hd_mm": 2 * distance,
        "hd95_mm": distance,
        "assd_mm": distance / 4,
        "reference_ml": reference_ml,
        "prediction_ml": prediction_ml,
        "volume_error_ml": prediction_ml - reference_ml,
        "relative_volume_error": prediction_ml / reference_ml - 1,
        "filled": "",
    }


def _lesionwise(rng: np.random.Generator) -> dict:
    lesions = int(rng.integers(1, 4))
    found, false = int(rng.integers(0, lesions + 1)), int(rng.poisson(0.4))
    dice = 0.85 * found / (lesions + false)
    shares = ("lesion_dice", "lesion_nsd_1mm", "lesion_nsd_2mm", "lesion_nsd_3mm")
    counts = {"lesions": lesions, "found": found, "false_positives": false}
    return dict.fromkeys(shares, dice) | {"lesion_hd95_mm": 374 * (1 - dice)} | counts


def _instances(row: dict) -> dict:
    """Of a row of lesions, as if each that was found were matched."""
    f1 = 2 * row["found"] / (row["found"] + row["false_positives"] + row["lesions"])
    quality = {"f1": f1, "sq": 0.8 if row["found"] else nan, "pq": 0.8 * f1}
    return _whose(row["case"], row["name"]) | quality


def _lesions(target: dict, rng: np.random.Generator) -> list[dict]:
    kinds = ["reference"] * int(rng.integers(1, 4)) + ["false_positive"] * int(rng.poisson(0.4))
    rows = []
    for kind in kinds:
        volume = float(np.exp(rng.normal(0.5 if kind == "reference" else -2, 2)))
        found = int(kind == "reference" and rng.random() < volume / (volume + 0.3))
        rows.append(target | {"kind": kind, "volume_ml": volume, "found": found})
    return rows


def _calibration(rng: np.random.Generator) -> dict:
    chance = float(rng.uniform(0.002, 0.01))
    return {
        "voxels": 100_000,
        "brier": chance / 2,
        "ece": chance,
        "mean_entropy": 2 * chance,
        "mean_disagreement": nan,
        "aurc": chance * float(rng.uniform(0.02, 0.3)),
        "aurc_random": chance,
        "aurc_oracle": chance**2,
    }


def _reliability(region: str, rng: np.random.Generator) -> list[dict]:
    means = np.arange(10) / 10 + 0.05
    shares = np.clip(means**1.25 + rng.normal(0, 0.02, 10), 0, 1)
    voxels = (1e6 * np.exp(-6 * np.sin(np.pi * means))).astype(int)
    return [
        {
            "name": region,
            "bin": place,
            "low": place / 10,
            "high": place / 10 + 0.1,
            "voxels": voxels[place],
            "mean_probability": means[place],
            "share_positive": shares[place],
        }
        for place in range(10)
    ]


def made_prices(run: Run, *subsets: str) -> dict:
    """The key ``missing_modalities`` of metrics/evaluate.json: each further subset costs 0.1 more
    Dice, give or take 0.02, in every region.
    """
    whole, regions = run.evaluation["mean_region_dice"], run.evaluation["region"]

    def price(cost: float) -> dict:
        difference = {"value": -cost, "low": -cost - 0.02, "high": -cost + 0.02}
        of_region = {"mean": -cost, "mean_low": -cost - 0.02, "mean_high": -cost + 0.02}
        return {
            "mean_region_dice": whole | {"value": whole["value"] - cost},
            "mean_region_dice_difference": whole | difference,
            "region": {
                name: {"dice": regions[name]["dice"], "dice_difference": of_region}
                for name in run.schema.regions
            },
        }

    return {name: price(number / 10) for number, name in enumerate(subsets, 1)}


def made_types(schema: Schema, cases: int) -> list[dict]:
    """Rows of metrics/types.csv in which every seventh case is taken for the next type, two cases
    to a patient.
    """
    names = list(schema.labels)
    return [
        {
            "case": f"Made_{case:05d}",
            "patient": f"P{case // 2}",
            "reference": names[case % len(names)],
            "predicted": names[(case + (case % 7 == 0)) % len(names)],
        }
        for case in range(cases)
    ]


def _history(schema: Schema, rng: np.random.Generator) -> list[dict]:
    names, rows = (*schema.regions, *schema.labels), []
    for epoch in range(1, 31):
        done = 1 - np.exp(-epoch / 8)
        rows.append(
            {
                f"val_dice_{name}": (0.9 - 0.04 * place) * done + float(rng.normal(0, 0.01))
                for place, name in enumerate(names)
            }
            | {"epoch": epoch, "learning_rate": 1e-3 * (1 - epoch / 31)}
            | {"loss": 1.4 - done, "val_loss": 1.5 - done}
        )
    return rows


def _verify(schema: Schema, names: list[str]) -> dict:
    amounts = {region: 1.5 + place for place, region in enumerate(schema.regions)}
    return {
        "cohort": schema.cohort,
        "cases": len(names) + 45,
        "patients": len(names) + 45,
        "files": 5 * len(names),
        "without": amounts,
        "mean_ml": amounts,
        "orientations": ["LPS"],
        "shapes": [[240, 240, 155]],
        "spacings_mm": [[1.0, 1.0, 1.0]],
        "warnings": [f"{names[0]}: the reference marks no voxel"],
        "checks": ["every byte was read"],
    }
