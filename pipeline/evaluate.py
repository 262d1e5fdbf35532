"""Stage 6: segment the held-out cases and score them on the raw grid against the reference.

Reads models/network.keras and card.json, split.json (its test part), shards/<case>.* and the raw
references. Writes metrics/predictions/<case>.nii.gz (uint8 label values, raw grid and affine),
metrics/cases.csv (one row per case and label or region), metrics/tables/ with multiclass.csv (one
row per case), lesionwise.csv (per case and region), lesions.csv (per lesion), instances.csv and
calibration.csv (per case and region), reliability.csv (per region and bin), confusion.csv (voxels
per pair of classes), types.csv (per case, of cohorts of tumour types) and missing_modalities.csv
(per case, region and set of modalities left out, where `evaluate.missing_modalities` asks for it),
as far as they have rows, metrics/evaluate.json (mean, median, sd, intervals over cases, and how
many values the empty rule filled; a description of every metric), headline.json (few of these
means, for `dvc exp show` and `dvc metrics`), and models/inference.json (the settings scored, for
`predict`). Logs to the MLflow run of the training.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import field_validator

from .core.catalogue import Catalogue
from .core.folds import Split
from .core.records import read_json, write_csv, write_json, write_tables
from .formats import predictions as predicted
from .formats import raw_cases
from .metrics import missing_modalities, registry
from .metrics.calibration import calibration_rows
from .metrics.case_scores import (
    CaseScores,
    headline_of,
    score_case,
    score_masks,
    summarise,
    tables_of,
)
from .metrics.lesion_rules import why_unscored
from .metrics.metric import Metric
from .network import backend, predictor, saving
from .network.card import Card, check_cohort, check_unseen, network_file, read_card
from .network.prediction import Prediction
from .network.predictor import Settings
from .preparation import shards as shard_files
from .preparation.preprocessing import brain_of, prepare
from .runtime import costs, stage, tracking

log = logging.getLogger(__name__)

_UNTRAINED = (
    "evaluate.missing_modalities: the network was not trained to miss modalities"
    " (train.on_the_fly.modality_dropout.probability is 0), and `predict` refuses such cases. Their"
    " scores show what that would cost."
)


Item = TypeVar("Item")
Scores = TypeVar("Scores")


class Params(Settings):
    """The section `evaluate`; `metrics` are those of the user, as ``package.module:attribute``, and
    `missing_modalities` the sets of modalities to leave out.
    """

    metrics: tuple[str, ...]
    missing_modalities: Literal["all"] | tuple[tuple[str, ...], ...]

    @field_validator("missing_modalities", mode="before")
    @classmethod
    def _are_sets(cls, given: Any) -> Any:
        """One message in place of one for each kind of value."""
        sets = given if isinstance(given, list) else []
        if given != "all" and not (sets == given and all(map(_is_of_texts, sets))):
            raise ValueError("must be all, or a list of lists such as [[t1c], [t1n, t2w]]")
        return given if given == "all" else tuple(map(tuple, sets))


def _is_of_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)


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
    settings = Settings(**params.model_dump(exclude={"metrics", "missing_modalities"}))
    card = read_card(models)
    subsets = missing_modalities.subsets(params.missing_modalities, card.cohort.modalities)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    schema = catalogue.cohort
    check_cohort(card, schema, models)
    check_unseen(card, parts, models)
    backend.prepare(card.seed, card.train["precision"])
    network = saving.load_model(network_file(models), card.network.architecture)
    if subsets and not card.accepts_missing_modalities:
        log.warning("%s", _UNTRAINED)
    if schema.lesion_rules is None:
        log.warning("%s", why_unscored(schema.cohort))
    segment = partial(_segment, shards, card, settings, network)
    score = partial(_score, catalogue, raw, shards, predictions, card, settings, own)
    model_part = tracking.model_part(network_file(models), models / "card.json", history)
    own_part = tracking.evaluation_part(metrics, cases, tables)
    with tracking.run(card.tags, model_part, own_part) as run:
        scores, held_out = [], []
        for number, (case, scored, loss, seconds) in enumerate(
            _overlapping(segment, score, parts.test), 1
        ):
            scores.append(scored)
            held_out.append(loss)
            dice = " ".join(f"{name} {value:.3f}" for name, value in scored.region_dice.items())
            log.info("%s  Dice %s  (network %.1f s, rest %.1f s)", case, dice, *seconds)
            run.log_case(number, {"seconds": seconds[0]})
        whose = [{"case": case, "patient": parts.patients[case]} for case in parts.test]
        found = tables_of(whose, scores, schema)
        without = partial(_without, catalogue, raw, card, settings, network, subsets)
        prices = [
            case | row
            for case, whole in zip(whose, scores, strict=True)
            for row in without(case["case"], whole)
        ]
        found["missing_modalities"] = prices
        summary = summarise(found, schema, own) | {
            "held_out_loss": float(np.mean(held_out)),
            "missing_modalities": missing_modalities.summarise_prices(prices),
        }
        write_csv(cases, found.pop("cases"))
        write_tables(tables, found)
        write_json(inference, settings)
        write_json(metrics, summary)
        write_json(headline, headline_of(summary))


@dataclass(frozen=True, eq=False)
class _Segmented:
    """A case before it is scored; the loss on the prepared grid, NaN where it is not asked for,
    and seconds in the network.
    """

    prediction: Prediction
    loss: float
    seconds: float


def _overlapping(
    segment: Callable[[Item], _Segmented],
    score: Callable[[Item, _Segmented], Scores],
    items: Sequence[Item],
) -> Iterator[tuple[Item, Scores, float, tuple[float, float]]]:
    """Score each case, or set of missing modalities, in a thread while the network segments the
    next: every item in turn, its scores and loss, seconds in the network and of the rest.
    """

    def scored(item: Item, segmented: _Segmented) -> tuple:
        started = time.perf_counter()
        scores = score(item, segmented)
        rest = time.perf_counter() - started
        return item, scores, segmented.loss, (segmented.seconds, rest)

    with ThreadPoolExecutor(1) as beside:
        waiting: Future | None = None
        for item in items:
            segmented = segment(item)
            if waiting:
                yield waiting.result()
            waiting = beside.submit(scored, item, segmented)
        if waiting:
            yield waiting.result()


def _segment(shards: Path, card: Card, settings: Settings, network: Any, name: str) -> _Segmented:
    shard = shard_files.read(shards, name)
    started = time.perf_counter()
    geometry = shard_files.read_geometry(shards, name)
    prediction = predictor.predict(
        network, card, settings, shard.image, name, compare=True, geometry=geometry
    )
    probabilities = prediction.probabilities
    seconds = time.perf_counter() - started
    loss = predictor.held_out_loss(probabilities, shard.classes, card)
    return _Segmented(prediction, loss, seconds)


def _score(
    catalogue: Catalogue,
    raw: Path,
    shards: Path,
    predictions: Path,
    card: Card,
    settings: Settings,
    own: list[Metric],
    name: str,
    segmented: _Segmented,
) -> CaseScores:
    """Bring a case back to the raw grid, write the prediction and score it."""
    entry, prediction = catalogue.entry(name), segmented.prediction
    classes = predictor.raw_classes(prediction, card, settings)
    case = raw_cases.read(raw_cases.found_in(raw, entry), card.cohort)
    assert case.classes is not None  # split.json holds labelled cases only
    origin = f"TumorFlow {card.network_sha256[:16]}"
    predicted.write(predictions, name, classes, card.cohort, case.grid.affine, origin)
    spacing_mm = case.grid.spacing_mm
    scored = score_masks(case.classes, classes, catalogue.cohort, spacing_mm, own, f"case {name}")
    scored.rows["calibration"], scored.bins = calibration_rows(
        predictor.region_probabilities(prediction.restored, card),
        prediction.restored_disagreement,
        case.classes,
        brain_of(case, card.preprocess.foreground),
        card.cohort,
    )
    return scored


def _without(
    catalogue: Catalogue,
    raw: Path,
    card: Card,
    settings: Settings,
    network: Any,
    subsets: Sequence[missing_modalities.Subset],
    name: str,
    whole: CaseScores,
) -> list[missing_modalities.Row]:
    """Segment a case again without each set of modalities, as `predict` does where their files are
    missing: rows of the table "missing_modalities".
    """
    if not subsets:
        return []
    modalities = card.cohort.modalities
    case = raw_cases.read(raw_cases.found_in(raw, catalogue.entry(name)), card.cohort)

    def segment(subset: missing_modalities.Subset) -> _Segmented:
        started = time.perf_counter()
        present = [modality not in subset for modality in modalities]
        lacking = replace(case, image=case.image[..., present])
        prepared = prepare(lacking, card.preprocess, present)
        describe = f"{name} without {missing_modalities.named(subset)}"
        prediction = predictor.predict(
            network, card, settings, prepared.image, describe, geometry=prepared.geometry
        )
        return _Segmented(prediction, math.nan, time.perf_counter() - started)

    def score(subset: missing_modalities.Subset, segmented: _Segmented) -> list:
        assert case.classes is not None  # split.json holds labelled cases only
        classes = predictor.raw_classes(segmented.prediction, card, settings)
        rows = score_case(case.classes, classes, catalogue.cohort, case.grid.spacing_mm)
        return missing_modalities.price_rows(subset, rows, whole.rows["cases"])

    rows = []
    for subset, scored, _, seconds in _overlapping(segment, score, subsets):
        dice = " ".join(f"{row['name']} {row['dice']:.3f}" for row in scored)
        lost = missing_modalities.named(subset)
        log.info(
            "%s without %s  Dice %s  (network %.1f s, rest %.1f s)", name, lost, dice, *seconds
        )
        rows += scored
    return rows


if __name__ == "__main__":
    stage.main(evaluate, recorded=costs.recorded)
