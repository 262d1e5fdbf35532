"""Stage 6: segment the held-out cases and score them on the raw grid against the untouched
reference.

Reads models/network.keras and card.json, split.json (its test part), shards/<case>.* and the raw
references. Writes metrics/predictions/<case>.nii.gz (uint8 label values, raw grid and affine),
metrics/cases.csv (one row per case and label or region), metrics/tables/ with multiclass.csv (one
row per case), lesionwise.csv (per case and region), lesions.csv (per lesion), instances.csv and
calibration.csv (per case and region), reliability.csv (per region and bin), confusion.csv (voxels
per pair of classes) and types.csv (per case, of cohorts of tumour types), as far as they have rows,
metrics/evaluate.json (mean, median, sd, intervals over cases, and how many values the empty rule
filled), headline.json (few of these means, for `dvc exp show` and `dvc metrics`), and
models/inference.json (the settings scored, for `predict`). Logs to the MLflow run of the training.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .core.case import Case
from .core.catalogue import CaseEntry, Catalogue
from .core.confusion import confusion
from .core.errors import InputError
from .core.folds import Split
from .core.records import read_json, write_csv, write_json
from .core.regions import classes_to_outputs, classes_to_values
from .core.schema import Schema
from .formats import cases, nifti
from .metrics.calibration import Bins, calibration_rows, pooled, reliability_rows
from .metrics.instances import instance_rows
from .metrics.lesion_rules import why_unscored
from .metrics.lesionwise import lesion_rows
from .metrics.multiclass import confusion_rows, score_classes
from .metrics.scores import score_case, summarise_columns
from .metrics.summary import summarise_masks
from .metrics.tumour_types import type_rows
from .network import backend, losses, predictor, saving
from .network.card import Card, network_file, read_card
from .network.predictor import Settings, logits_of
from .preparation import shards
from .preparation.preprocessing import brain_of, restore
from .runtime import costs, stage, tracking

log = logging.getLogger(__name__)


def evaluate(
    raw: Path,
    split: Path,
    shards: Path,
    models: Path,
    history: Path,
    predictions: Path,
    cases: Path,
    tables: Path,
    metrics: Path,
    headline: Path,
    inference: Path,
    settings: Annotated[Settings, stage.Key("evaluate")],
) -> None:
    """Segment and score the test cases."""
    described = read_card(models)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    _refuse_other_cohort(catalogue, described, models)
    _refuse_seen_cases(described, parts, models)
    backend.prepare(described.seed, described.train["precision"])
    network = saving.load_model(network_file(models), described.network.architecture)
    scorer = _Scorer(raw, shards, predictions, described, settings, network)
    scores = _Scores(catalogue.cohort)
    if catalogue.cohort.lesion_rules is None:
        log.warning("%s", why_unscored(catalogue.cohort.cohort))
    with tracking.run(
        described.tags,
        tracking.model_part(network_file(models), models / "card.json", history),
        tracking.evaluation_part(metrics, cases, tables),
    ) as run:
        for number, case in enumerate(parts.test, 1):
            started = time.perf_counter()
            seconds, dice = scorer.score(catalogue.entry(case), parts.patients[case], scores)
            log.info(
                "%s  Dice %s  (network %.1f s, whole case %.1f s)",
                case,
                dice,
                seconds,
                time.perf_counter() - started,
            )
            run.log_case(number, {"seconds": seconds})
        write_csv(cases, scores.rows)
        for name, rows in scores.tables().items():
            _write_or_remove(tables / f"{name}.csv", rows)
        write_json(inference, settings)
        summary = scores.summary()
        write_json(metrics, summary)
        write_json(headline, _headline(summary))


@dataclass
class _Scores:
    """What the cases scored so far add up to; the catalogue's schema says by which rules."""

    schema: Schema
    rows: list[dict] = field(default_factory=list)
    multiclass: list[dict] = field(default_factory=list)
    lesionwise: list[dict] = field(default_factory=list)
    lesions: list[dict] = field(default_factory=list)
    instances: list[dict] = field(default_factory=list)
    calibration: list[dict] = field(default_factory=list)
    bins: list[dict[str, Bins]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    confusion: Any = 0

    def tables(self) -> dict[str, list[dict]]:
        """Name of each table to its rows."""
        return {
            "multiclass": self.multiclass,
            "lesionwise": self.lesionwise,
            "lesions": self.lesions,
            "instances": self.instances,
            "calibration": self.calibration,
            "reliability": reliability_rows(pooled(self.bins)),
            "confusion": confusion_rows(self.confusion, self.schema),
            "types": type_rows(self.rows, self.schema) if self.schema.types else [],
        }

    def summary(self) -> dict[str, Any]:
        """What stands in metrics/evaluate.json."""
        return summarise_masks(
            self.rows, self.multiclass, self.lesionwise, self.instances, self.schema
        ) | {
            "held_out_loss": float(np.mean(self.losses)),
            "calibration": summarise_columns(self.calibration),
        }


class _Scorer:
    """One held-out case after another through the network, to the raw grid, and against its
    reference.
    """

    def __init__(
        self,
        raw: Path,
        shards: Path,
        predictions: Path,
        described: Card,
        settings: Settings,
        network: Any,
    ) -> None:
        self.raw, self.shards, self.predictions = raw, shards, predictions
        self.card, self.settings, self.network = described, settings, network
        self.loss = losses.build(described.network.output, described.train)

    def score(self, entry: CaseEntry, patient: str, scores: _Scores) -> tuple[float, str]:
        """Segment a case, write it and add its scores; the seconds in the network and the regions'
        Dice in words.
        """
        schema, output = self.card.cohort, self.card.network.output
        shard, geometry = (
            shards.read(self.shards, entry.case),
            shards.read_geometry(self.shards, entry.case),
        )
        started = time.perf_counter()
        prepared, spread = predictor.probabilities_and_disagreement(
            self.network, self.card, self.settings, shard.image, entry.case
        )
        seconds = time.perf_counter() - started
        target = classes_to_outputs(np.asarray(shard.classes), schema, output)
        scores.losses.append(float(self.loss(target[None], logits_of(prepared, output)[None])))
        probabilities = restore(prepared, geometry)
        prediction = predictor.raw_classes(probabilities, geometry, self.card, self.settings)
        case = cases.read(cases.found_in(self.raw, entry), schema)
        path = self.predictions / f"{entry.case}.nii.gz"
        nifti.write(
            path,
            classes_to_values(prediction, schema),
            case.grid.affine,
            f"TumorFlow {self.card.network_sha256[:16]}",
        )
        whose = {"case": entry.case, "patient": patient}
        rows = self._compare(case, prediction, whose, scores)
        regions = predictor.region_probabilities(probabilities, self.card)
        self._judge(
            case, regions, None if spread is None else restore(spread, geometry), whose, scores
        )
        return seconds, " ".join(
            f"{row['name']} {row['dice']:.3f}" for row in rows if row["kind"] == "region"
        )

    def _compare(
        self, case: Case, prediction: np.ndarray, whose: dict[str, str], scores: _Scores
    ) -> list[dict]:
        """Add what is scored of the decided classes."""
        schema, reference, spacing_mm = scores.schema, case.classes, case.grid.spacing_mm
        rows = score_case(reference, prediction, schema, spacing_mm)
        lesionwise, found = lesion_rows(reference, prediction, schema, spacing_mm)
        scores.rows += [whose | row for row in rows]
        scores.lesionwise += [whose | row for row in lesionwise]
        scores.lesions += [whose | row for row in found]
        scores.instances += [whose | row for row in instance_rows(reference, prediction, schema)]
        scores.multiclass.append(whose | score_classes(reference, prediction, schema))
        scores.confusion = scores.confusion + confusion(
            reference, prediction, len(schema.labels) + 1
        )
        return rows

    def _judge(
        self,
        case: Case,
        regions: np.ndarray,
        spread: np.ndarray | None,
        whose: dict[str, str],
        scores: _Scores,
    ) -> None:
        """Add what is scored of the probabilities."""
        brain = brain_of(case, self.card.preprocess.foreground)
        rows, bins = calibration_rows(regions, spread, case.classes, brain, self.card.cohort)
        scores.calibration += [whose | row for row in rows]
        scores.bins.append(bins)


def _write_or_remove(path: Path, rows: list[dict]) -> None:
    """A table without rows leaves no file, not even that of an earlier run by other rules."""
    if rows:
        write_csv(path, rows)
    else:
        path.unlink(missing_ok=True)


def _headline(summary: dict[str, Any]) -> dict[str, Any]:
    """The few means that tables of experiments have room for."""
    regions, lesionwise = summary["region"], summary["lesionwise"]
    means = {
        metric: {name: region[metric]["mean"] for name, region in regions.items()}
        for metric in ("dice", "hd95_mm", "nsd_1mm")
    }
    lesion_dice = {name: region["lesion_dice"]["mean"] for name, region in lesionwise.items()}
    return {
        "mean_region_dice": summary["mean_region_dice"]["value"],
        **means,
        "lesion_dice": lesion_dice,
    }


def _refuse_other_cohort(catalogue: Catalogue, described: Card, models: Path) -> None:
    """What a voxel means must be the same; the rules for lesions are no matter of the network."""
    if (
        catalogue.cohort.model_copy(update={"lesion_rules": described.cohort.lesion_rules})
        != described.cohort
    ):
        raise InputError(
            f"{models / 'card.json'}: was trained on cohort {described.cohort.cohort} with"
            f" {described.cohort.labels}, but the catalogue is of {catalogue.cohort.cohort} with"
            f" {catalogue.cohort.labels}. Train on this cohort: dvc repro."
        )


def _refuse_seen_cases(described: Card, parts: Split, models: Path) -> None:
    """Scores on patients the network has seen are worthless."""
    test = {parts.patients[case] for case in parts.test}
    seen = sorted(
        case
        for case in (*described.trained_on, *described.validated_on)
        if parts.patients.get(case, case) in test
    )
    if seen:
        raise InputError(
            f"{models / 'card.json'}: was trained or validated on {seen}, patients of the test"
            " part. Train again: dvc repro."
        )


if __name__ == "__main__":
    stage.main(evaluate, recorded=costs.recorded)
