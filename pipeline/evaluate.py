"""Stage 6: segment the held-out cases and score them on the raw grid against the reference.

Reads models/network.keras and card.json, split.json (its test part), shards/<case>.* and the raw
references. Writes metrics/predictions/<case>.nii.gz (uint8 label values, raw grid and affine),
metrics/cases.csv (one row per case and label or region), metrics/tables/ with multiclass.csv (one
row per case), lesionwise.csv (per case and region), lesions.csv (per lesion), instances.csv and
calibration.csv (per case and region), reliability.csv (per region and bin), confusion.csv (voxels
per pair of classes) and types.csv (per case, of cohorts of tumour types), as far as they have rows,
metrics/evaluate.json (mean, median, sd, intervals over cases, and how many values the empty rule
filled; a description of every metric), headline.json (few of these means, for `dvc exp show` and
`dvc metrics`), and models/inference.json (the settings scored, for `predict`). Logs to the MLflow
run of the training.
"""

import logging
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .core.catalogue import CaseEntry, Catalogue
from .core.errors import InputError
from .core.folds import Split
from .core.records import read_json, write_csv, write_json, write_tables
from .core.regions import classes_to_outputs, classes_to_values
from .formats import nifti, raw_cases
from .metrics import registry
from .metrics.calibration import calibration_rows
from .metrics.case_scores import CaseScores, headline_of, score_masks, summarise, tables_of
from .metrics.lesion_rules import why_unscored
from .metrics.metric import Metric
from .network import backend, losses, predictor, saving
from .network.card import Card, network_file, read_card
from .network.predictor import Settings, logits_of
from .preparation import shards as shard_files
from .preparation.inverse import restore
from .preparation.preprocessing import brain_of
from .runtime import costs, stage, tracking

log = logging.getLogger(__name__)


class Params(Settings):
    """The section `evaluate`.

    Attributes
    ----------
    metrics : tuple of str
        Metrics of the user, as ``package.module:attribute``.
    """

    metrics: tuple[str, ...]


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
    params: Annotated[Params, stage.Key("evaluate")],
    code: Annotated[str, stage.Key("own_code.evaluate")],
) -> None:
    """Segment and score the test cases."""
    own = registry.own_metrics(params.metrics, code)
    settings = Settings(**params.model_dump(exclude={"metrics"}))
    card = read_card(models)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    schema = catalogue.cohort
    _require_cohort_of_model(catalogue, card, models)
    _require_unseen_cases(card, parts, models)
    backend.prepare(card.seed, card.train["precision"])
    network = saving.load_model(network_file(models), card.network.architecture)
    if schema.lesion_rules is None:
        log.warning("%s", why_unscored(schema.cohort))
    with tracking.run(
        card.tags,
        tracking.model_part(network_file(models), models / "card.json", history),
        tracking.evaluation_part(metrics, cases, tables),
    ) as run:
        scores, held_out = [], []
        for number, case in enumerate(parts.test, 1):
            started = time.perf_counter()
            scored, loss, seconds = _score(
                catalogue,
                catalogue.entry(case),
                raw,
                shards,
                predictions,
                card,
                settings,
                network,
                own,
            )
            scores.append(scored)
            held_out.append(loss)
            dice = " ".join(f"{name} {value:.3f}" for name, value in scored.region_dice.items())
            log.info(
                "%s  Dice %s  (network %.1f s, whole case %.1f s)",
                *(case, dice, seconds, time.perf_counter() - started),
            )
            run.log_case(number, {"seconds": seconds})
        whose = [{"case": case, "patient": parts.patients[case]} for case in parts.test]
        found = tables_of(whose, scores, schema)
        summary = summarise(found, schema, own) | {"held_out_loss": float(np.mean(held_out))}
        write_csv(cases, found.pop("cases"))
        write_tables(tables, found)
        write_json(inference, settings)
        write_json(metrics, summary)
        write_json(headline, headline_of(summary))


def _score(
    catalogue: Catalogue,
    entry: CaseEntry,
    raw: Path,
    shards: Path,
    predictions: Path,
    card: Card,
    settings: Settings,
    network: Any,
    own: list[Metric],
) -> tuple[CaseScores, float, float]:
    """Segment a case and write the prediction; its scores, loss and seconds in the network."""
    output, schema = card.network.output, catalogue.cohort
    shard = shard_files.read(shards, entry.case)
    geometry = shard_files.read_geometry(shards, entry.case)
    started = time.perf_counter()
    prepared, spread = predictor.predict(
        network, card, settings, shard.image, entry.case, compare=True
    )
    seconds = time.perf_counter() - started
    target = classes_to_outputs(np.asarray(shard.classes), card.cohort, output)
    loss = losses.build(output, card.train)
    held_out = float(loss(target[None], logits_of(prepared, output)[None]))
    probabilities = restore(prepared, geometry)
    prediction = predictor.raw_classes(probabilities, geometry, card, settings)
    case = raw_cases.read(raw_cases.found_in(raw, entry), card.cohort)
    assert case.classes is not None  # split.json holds labelled cases only
    nifti.write(
        predictions / f"{entry.case}.nii.gz",
        classes_to_values(prediction, card.cohort),
        case.grid.affine,
        f"TumorFlow {card.network_sha256[:16]}",
    )
    scored = score_masks(
        case.classes, prediction, schema, case.grid.spacing_mm, own, f"case {entry.case}"
    )
    scored.rows["calibration"], scored.bins = calibration_rows(
        predictor.region_probabilities(probabilities, card),
        None if spread is None else restore(spread, geometry),
        case.classes,
        brain_of(case, card.preprocess.foreground),
        card.cohort,
    )
    return scored, held_out, seconds


def _require_cohort_of_model(catalogue: Catalogue, card: Card, models: Path) -> None:
    """A voxel must mean the same; the network does not depend on the rules for lesions."""
    cohort = catalogue.cohort
    if cohort.model_copy(update={"lesion_rules": card.cohort.lesion_rules}) != card.cohort:
        raise InputError(
            f"{models / 'card.json'}: was trained on cohort {card.cohort.cohort} with"
            f" {card.cohort.labels}, but the catalogue is of {cohort.cohort} with"
            f" {cohort.labels}. Train on this cohort: dvc repro."
        )


def _require_unseen_cases(card: Card, parts: Split, models: Path) -> None:
    """Scores on patients that the network was trained on are worthless."""
    test = {parts.patients[case] for case in parts.test}
    seen = sorted(
        case
        for case in (*card.trained_on, *card.validated_on)
        if parts.patients.get(case, case) in test
    )
    if seen:
        raise InputError(
            f"{models / 'card.json'}: was trained or validated on {seen}, patients of the test"
            " part. Train again: dvc repro."
        )


if __name__ == "__main__":
    stage.main(evaluate, recorded=costs.recorded)
