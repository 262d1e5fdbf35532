"""Synthetic runs: scores of any number of cases as the evaluation writes them, without a network or
an image.
"""

from math import nan

import numpy as np

from pipeline.core.catalogue import CaseEntry, Catalogue
from pipeline.core.folds import Split
from pipeline.core.schema import Schema
from pipeline.metrics import registry
from pipeline.report.run import Previous, Run
from pipeline.verification.thumbnail import SIDE
from pipeline.verification.thumbnail_sheet import sheet

_EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_MULTICLASS = ("accuracy", "mean_iou", "mean_dice", "precision", "sensitivity", "specificity")


def made_run(schema: Schema, cases: int, seed: int = 0, **changes) -> Run:
    """A run of so many test cases with every table filled but those of tumour types; `changes`
    replace its fields.
    """
    rng = np.random.default_rng(seed)
    names = [f"Made_{number:05d}" for number in range(cases)]
    rows = [row for name in names for row in _scores(name, schema, rng)]
    lesionwise = [_lesionwise(name, region, rng) for name in names for region in schema.regions]
    calibration = [_calibration(name, region, rng) for name in names for region in schema.regions]
    others = {
        part: tuple(f"{part}_{number}" for number in range(count))
        for part, count in (("train", 40), ("val", 5))
    }
    patients = {name: name for part in (*others.values(), names) for name in part}
    fields = {
        "catalogue": Catalogue(
            cohort=schema,
            licence="free & open",
            cases=tuple(catalogued(name, schema) for name in names),
            alike=(),
        ),
        "split": Split(**others, test=tuple(names), folds=(), patients=patients),
        "rows": rows,
        "evaluation": made_evaluation(
            schema, rows, lesionwise, [_instances(row) for row in lesionwise], calibration
        ),
        "verify": _verify(schema, names),
        "card": _card(),
        "history": _history(schema, rng),
        "pictured": (),
        "thumbnails": sheet([rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8) // 3 for _ in names]),
        "multiclass": [{"case": name, **_multiclass()} for name in names],
        "lesionwise": lesionwise,
        "lesions": [
            row
            for name in names
            for region in schema.regions
            for row in _lesions(name, region, rng)
        ],
        "confusion": _confusion(schema, rng),
        "calibration": calibration,
        "reliability": [row for region in schema.regions for row in _reliability(region, rng)],
        "provenance": _provenance(),
        "previous": Previous(
            "experiment wool-gathering", made_evaluation(schema, worse(rows)), worse(rows)
        ),
    }
    return Run(**fields | changes)


def catalogued(case: str, schema: Schema) -> CaseEntry:
    """A catalogue entry without files: 0, 500, 1000 ... voxels of the labels, each of 1 µl."""
    volumes = {label: 500 * place for place, label in enumerate(schema.labels)}
    return CaseEntry(
        case=case,
        patient=case,
        images={},
        labels=None,
        shape=(9, 9, 9),
        affine=_EYE,
        spacing_mm=(1.0, 1.0, 1.0),
        orientation="RAS",
        brain_ml=1.0,
        label_voxels=volumes,
        attributes={},
        native=None,
    )


def worse(rows: list[dict]) -> list[dict]:
    """The rows of a run that did a little worse on every case."""
    return [row | {"dice": row["dice"] * 0.97} for row in rows]


def _names(table: str) -> list[str]:
    return [metric.name for metric in registry.TABLES[table]]


def made_evaluation(
    schema: Schema,
    rows: list[dict],
    lesionwise: list[dict] = (),
    instances: list[dict] = (),
    calibration: list[dict] = (),
) -> dict:
    """Summaries as in metrics/evaluate.json, with intervals of mean ± 1.96 standard errors."""
    kinds = {"label": schema.labels, "region": schema.regions}
    parts = {
        kind: _summaries([row for row in rows if row["kind"] == kind], names, _names("cases"))
        for kind, names in kinds.items()
    }
    dice = [parts["region"][region]["dice"] for region in schema.regions]
    mean = {"value": np.mean([summary["mean"] for summary in dice]), "regions": len(dice)}
    several = all(summary["mean_low"] is not None for summary in dice)
    mean |= {
        end: np.mean([summary[f"mean_{end}"] for summary in dice]) if several else None
        for end in ("low", "high")
    }
    return parts | {
        "mean_region_dice": mean
        | {key: sum(summary[key] for summary in dice) for key in ("cases", "filled", "undefined")},
        "lesionwise": _summaries(lesionwise, schema.regions, _names("lesionwise"))
        if lesionwise
        else {},
        "instances": _summaries(instances, schema.regions, _names("instances"))
        if instances
        else {},
        "calibration": _summaries(calibration, schema.regions, _names("calibration"))
        if calibration
        else {},
        "types": None,
        "metrics": registry.descriptions(),
        "cohort": schema.cohort,
        "cases": len({row["case"] for row in rows}),
        "held_out_loss": 0.125,
        "multiclass": {
            name: {"mean": share, "cases": 4, "filled": 0, "undefined": 0}
            for name, share in _multiclass().items()
        },
        "definitions": {"dice": "twice the overlap"},
    }


def _multiclass() -> dict:
    return {
        f"{name}_{ending}_background": 0.25
        for name in _MULTICLASS
        for ending in ("with", "without")
    }


def _summaries(rows: list[dict], names: dict, metrics: dict) -> dict:
    return {
        name: {
            metric: _summary([row for row in rows if row["name"] == name], metric)
            for metric in metrics
            if metric in rows[0]
        }
        for name in names
    }


def _summary(rows: list[dict], metric: str) -> dict:
    defined = [row for row in rows if row[metric] == row[metric]]
    values = np.array([row[metric] for row in defined])
    counts = {
        "cases": len(values),
        "filled": sum(bool(row.get("filled")) for row in defined),
        "undefined": len(rows) - len(values),
    }
    if len(values) < 2:
        only = values[0] if len(values) else None
        return {
            "mean": only,
            "median": only,
            "sd": None,
            "mean_low": None,
            "mean_high": None,
        } | counts
    mean, median, half = (
        values.mean(),
        np.median(values),
        1.96 * values.std(ddof=1) / len(values) ** 0.5,
    )
    bounds = {
        "mean_low": mean - half,
        "mean_high": mean + half,
        "median_low": median - half,
        "median_high": median + half,
    }
    return {"mean": mean, "median": median, "sd": values.std(ddof=1)} | counts | bounds


def _scores(case: str, schema: Schema, rng: np.random.Generator) -> list[dict]:
    quality, rows = rng.beta(8, 2), []
    targets = [("label", name) for name in schema.labels] + [
        ("region", name) for name in schema.regions
    ]
    for number, (kind, name) in enumerate(targets):
        reference_ml = float(np.exp(rng.normal(3.5 - 0.5 * (number % 3), 1)))
        dice = float(np.clip(quality + rng.normal(0, 0.05), 0.02, 0.98))
        row = _row(dice, reference_ml, reference_ml * float(np.exp(rng.normal(0, 0.25))), rng)
        if (
            name in schema.innermost and rng.random() < 0.08
        ):  # the region is not there, and was not drawn
            row |= {
                "dice": 1.0,
                "iou": 1.0,
                "hd95_mm": 0.0,
                "reference_ml": 0.0,
                "prediction_ml": 0.0,
                "filled": "both_empty",
            }
            row |= {"volume_error_ml": 0.0, "relative_volume_error": nan}
        rows.append({"case": case, "patient": case, "kind": kind, "name": name, **row})
    return rows


def _row(dice: float, reference_ml: float, prediction_ml: float, rng: np.random.Generator) -> dict:
    distance = float(np.exp(rng.normal(3.5 * (1 - dice) + 0.3, 0.5)))
    shares = dict.fromkeys(("nsd_1mm", "nsd_2mm", "nsd_3mm"), dice)
    return {
        "dice": dice,
        "iou": dice / (2 - dice),
        "precision": dice,
        "sensitivity": dice,
        "specificity": 0.9991,
        "hd_mm": 2 * distance,
        "hd95_mm": distance,
        "assd_mm": distance / 4,
        **shares,
        "reference_ml": reference_ml,
        "prediction_ml": prediction_ml,
        "volume_error_ml": prediction_ml - reference_ml,
        "relative_volume_error": prediction_ml / reference_ml - 1,
        "filled": "",
    }


def _lesionwise(case: str, region: str, rng: np.random.Generator) -> dict:
    lesions = int(rng.integers(1, 4))
    found, false = int(rng.integers(0, lesions + 1)), int(rng.poisson(0.4))
    dice = 0.85 * found / (lesions + false)
    shares = dict.fromkeys(
        ("lesion_dice", "lesion_nsd_1mm", "lesion_nsd_2mm", "lesion_nsd_3mm"), dice
    )
    return {
        "case": case,
        "patient": case,
        "name": region,
        **shares,
        "lesion_hd95_mm": 374 * (1 - dice),
        "lesions": lesions,
        "found": found,
        "false_positives": false,
    }


def _instances(row: dict) -> dict:
    """Of a row of lesions, as if each that was found were matched."""
    f1 = 2 * row["found"] / (row["found"] + row["false_positives"] + row["lesions"])
    return {key: row[key] for key in ("case", "patient", "name")} | {
        "f1": f1,
        "sq": 0.8 if row["found"] else nan,
        "pq": 0.8 * f1,
    }


def _lesions(case: str, region: str, rng: np.random.Generator) -> list[dict]:
    same = {"case": case, "patient": case, "name": region}
    rows = []
    for kind in ["reference"] * int(rng.integers(1, 4)) + ["false_positive"] * int(
        rng.poisson(0.4)
    ):
        volume = float(np.exp(rng.normal(0.5 if kind == "reference" else -2, 2)))
        found = int(kind == "reference" and rng.random() < volume / (volume + 0.3))
        rows.append(
            same
            | {
                "kind": kind,
                "volume_ml": volume,
                "found": found,
                "dice": 0.8 * found,
                "hd95_mm": 4.0 if found else 374.0,
            }
        )
    return rows


def _calibration(case: str, region: str, rng: np.random.Generator) -> dict:
    chance = float(rng.uniform(0.002, 0.01))
    measured = {
        "voxels": 100_000,
        "brier": chance / 2,
        "ece": chance,
        "mean_entropy": 2 * chance,
        "mean_disagreement": nan,
    }
    risk = {
        "aurc": chance * float(rng.uniform(0.02, 0.3)),
        "aurc_random": chance,
        "aurc_oracle": chance**2,
    }
    return {"case": case, "patient": case, "name": region, **measured, **risk}


def _reliability(region: str, rng: np.random.Generator) -> list[dict]:
    lows = np.arange(10) / 10
    means = lows + 0.05
    shares = np.clip(means**1.25 + rng.normal(0, 0.02, 10), 0, 1)
    voxels = (1e6 * np.exp(-6 * np.sin(np.pi * means))).astype(int)
    return [
        {
            "name": region,
            "bin": place,
            "low": low,
            "high": low + 0.1,
            "voxels": count,
            "mean_probability": mean,
            "share_positive": share,
        }
        for place, (low, count, mean, share) in enumerate(
            zip(lows, voxels, means, shares, strict=True)
        )
    ]


def _confusion(schema: Schema, rng: np.random.Generator) -> list[dict]:
    names = ["background", *schema.labels]
    counts = rng.integers(100, 9_000, (len(names), len(names))) + np.diag(
        [50_000_000, *[80_000] * len(schema.labels)]
    )
    return [
        {"reference": reference, "prediction": prediction, "voxels": int(counts[row, column])}
        for row, reference in enumerate(names)
        for column, prediction in enumerate(names)
    ]


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
        dice = {
            f"val_dice_{name}": (0.9 - 0.04 * place) * done + float(rng.normal(0, 0.01))
            for place, name in enumerate(names)
        }
        rows.append(
            {
                "epoch": epoch,
                "loss": 1.4 - done,
                "val_loss": 1.45 - done + 0.05,
                "learning_rate": 1e-3 * (1 - epoch / 31),
            }
            | dice
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


def _card() -> dict:
    return {
        "preprocess": {"spacing_mm": [2.0, 2.0, 2.0]},
        "versions": {"keras": "3.15.1"},
        "note": None,
        "weights": 1_928_691,
        "network": {"dimensions": 2},
        "use": "Research use only, not for diagnosis.",
    }


def _provenance() -> dict:
    return {
        "command": "git checkout 0123abc && dvc repro",
        "commit": "0123abc",
        "changed": [],
        "files": {"data/shards": "1f2e.dir"},
        "params": {"cohort": {"seed": 2026}},
        "seed": 2026,
        "packages": {"numpy": "2.4"},
    }
