"""Stage 6: segment the held-out cases and score them on the raw grid against the untouched reference.

Reads models/unet.keras and card.json, split.json (its test part), shards/<case>.* and the raw
references. Writes metrics/predictions/<case>.nii.gz (uint8 label values, raw grid and affine),
metrics/cases.csv (one row per case and label or region), metrics/multiclass.csv (one row per case),
metrics/evaluate.json (mean, median, sd over cases, and how many values the empty rule filled), and
models/inference.json (the settings scored, for `predict`). Logs to the MLflow run of the training.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from pipeline import stage, tracking
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import InputError
from pipeline.domain.folds import Split
from pipeline.domain.multiclass import score_classes
from pipeline.domain.regions import classes_to_outputs, classes_to_values
from pipeline.domain.scores import score_case, summarise, summarise_values
from pipeline.domain.surfaces import HD95_DEFINITION
from pipeline.io import cases, nifti, shards
from pipeline.io.records import read_json, write_csv, write_json
from pipeline.nn import archive, backend, card, segmentation
from pipeline.nn.losses import DiceCrossEntropy, logits_of
from pipeline.nn.segmentation import Settings


def evaluate(
    raw: Path,
    split: Path,
    shards: Path,
    models: Path,
    history: Path,
    predictions: Path,
    cases: Path,
    multiclass: Path,
    metrics: Path,
    inference: Path,
    settings: Annotated[Settings, stage.Key("evaluate")],
) -> None:
    """Segment and score the test cases."""
    described = card.read(models)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    _refuse_other_cohort(catalogue, described, models)
    _refuse_seen_cases(described, parts, models)
    backend.prepare(described.seed, described.train["precision"])
    network = archive.load_model(models / "unet.keras")
    scorer = _Scorer(raw, shards, predictions, described, settings, network)
    rows, tables, losses = [], [], []
    with tracking.run(
        described.tags,
        tracking.model_part(models / "unet.keras", models / "card.json", history),
        tracking.evaluation_part(metrics, cases, multiclass),
    ) as run:
        for number, case in enumerate(parts.test, 1):
            started = time.perf_counter()
            scored, table, loss, seconds = scorer.score(catalogue.entry(case))
            rows += [{"case": case, "patient": parts.patients[case]} | row for row in scored]
            tables.append({"case": case} | table)
            losses.append(loss)
            dice = " ".join(f"{row['name']} {row['dice']:.3f}" for row in scored if row["kind"] == "region")
            stage.log.info("%s  Dice %s  (network %.1f s, whole case %.1f s)", case, dice, seconds, time.perf_counter() - started)
            run.log_case(number, {"seconds": seconds})
        summary = summarise(rows, catalogue.cohort.empty_rule) | {
            "cohort": catalogue.cohort.cohort,
            "cases": len(parts.test),
            "held_out_loss": float(np.mean(losses)),
            "multiclass": _means(tables),
            "definitions": {"hd95_mm": HD95_DEFINITION},
        }
        write_csv(cases, rows)
        write_csv(multiclass, tables)
        write_json(inference, settings)
        write_json(metrics, summary)


class _Scorer:
    """One held-out case after another through the network, to the raw grid, and against its reference."""

    def __init__(self, raw: Path, shards: Path, predictions: Path, described: card.Card, settings: Settings, network: Any) -> None:
        self.raw, self.shards, self.predictions = raw, shards, predictions
        self.card, self.settings, self.network = described, settings, network
        train = described.train
        self.loss = DiceCrossEntropy(described.architecture.output, train["dice_weight"], train["cross_entropy_weight"])

    def score(self, entry: cases.CaseEntry) -> tuple[list[dict], dict, float, float]:
        """Rows of labels and regions, the multi-class row, the loss on the prepared grid, the seconds in the network."""
        schema = self.card.cohort
        shard, geometry = shards.read(self.shards, entry.case), shards.read_geometry(self.shards, entry.case)
        started = time.perf_counter()
        probabilities = segmentation.probabilities_of(self.network, self.card, self.settings, shard.image, entry.case)
        seconds = time.perf_counter() - started
        output = self.card.architecture.output
        target = classes_to_outputs(np.asarray(shard.classes), schema, output)
        loss = float(self.loss(target[None], logits_of(probabilities, output)[None]))
        prediction = segmentation.classes_of(probabilities, geometry, self.card, self.settings)
        reference = cases.read(cases.found_in(self.raw, entry), schema)
        path = self.predictions / f"{entry.case}.nii.gz"
        nifti.write(path, classes_to_values(prediction, schema), reference.grid.affine, f"TumorFlow {self.card.network_sha256[:16]}")
        rows = score_case(reference.classes, prediction, schema, reference.grid.spacing_mm)
        return rows, score_classes(reference.classes, prediction, schema), loss, seconds


def _means(tables: list[dict]) -> dict[str, float]:
    """Mean over the cases of every column of numbers; where a case has none, over the others."""
    columns = {name: [table[name] for table in tables] for name in tables[0] if name != "case"}
    return {name: summarise_values(values, [False] * len(values))["mean"] for name, values in columns.items()}


def _refuse_other_cohort(catalogue: Catalogue, described: card.Card, models: Path) -> None:
    if catalogue.cohort != described.cohort:
        raise InputError(
            f"{models / 'card.json'}: was trained on cohort {described.cohort.cohort} with {described.cohort.labels}, "
            f"but the catalogue is of {catalogue.cohort.cohort} with {catalogue.cohort.labels}. Train on this cohort: dvc repro."
        )


def _refuse_seen_cases(described: card.Card, parts: Split, models: Path) -> None:
    """Scores on patients the network has seen are worthless."""
    test = {parts.patients[case] for case in parts.test}
    seen = sorted(case for case in (*described.trained_on, *described.validated_on) if parts.patients.get(case, case) in test)
    if seen:
        raise InputError(f"{models / 'card.json'}: was trained or validated on {seen}, patients of the test part. Train again: dvc repro.")


if __name__ == "__main__":
    stage.main(evaluate)
