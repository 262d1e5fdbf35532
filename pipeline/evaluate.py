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
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .core.case import Case
from .core.catalogue import Catalogue
from .core.folds import Split
from .core.records import read_json, write_csv, write_json, write_tables
from .formats import predictions as predicted
from .formats import raw_cases
from .metrics import registry
from .metrics.calibration import calibration_rows
from .metrics.case_scores import (
    CaseScores,
    headline_of,
    score_case,
    score_masks,
    summarise,
    summarise_validation,
    tables_of,
)
from .metrics.lesion_rules import why_unscored
from .metrics.metric import Metric
from .network import backend, predictor, saving, validation
from .network.card import Card, check_cohort, check_unseen, network_file, read_card
from .network.prediction import Prediction
from .network.predictor import Settings
from .preparation import choosing
from .preparation import shards as shard_files
from .preparation.preprocessing import Geometry, brain_of
from .runtime import costs, stage, tracking
from .statistics.summary import summarise_values

log = logging.getLogger(__name__)


class Params(Settings):
    """The section `evaluate`: what is kept for `predict`, and what else is done.

    Attributes
    ----------
    choose : tuple of str
        Values of `postprocess` that are chosen on the validation cases.
    score_validation : bool
        Whether to score those too, by the network that was not trained on them.
    metrics : tuple of str
        Those of the user, as ``package.module:attribute``.
    """

    choose: tuple[choosing.Key, ...]
    score_validation: bool
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
    settings = Settings(**params.model_dump(include=set(Settings.model_fields)))
    card = read_card(models)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    schema = catalogue.cohort
    check_cohort(card, schema, models)
    check_unseen(card, parts, models)
    backend.prepare(card.seed, card.train["precision"])
    network = saving.load_model(network_file(models), card.network.architecture)
    if schema.lesion_rules is None:
        log.warning("%s", why_unscored(schema.cohort))
    work = _Work(catalogue, raw, shards, card, settings, own)
    settings, chosen, validated = _validated(work, network, parts, params)
    work = replace(work, settings=settings)
    segment, score = partial(_segment, work, network), partial(_score, work, predictions)
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
        summary = summarise(found, schema, own) | {"held_out_loss": float(np.mean(held_out))}
        summary |= chosen | summarise_validation(validated, schema, own)
        found["validation"] = validated
        write_csv(cases, found.pop("cases"))
        write_tables(tables, found)
        write_json(inference, settings)
        write_json(metrics, summary)
        write_json(headline, headline_of(summary))


@dataclass(frozen=True, eq=False)
class _Work:
    """What is needed to score a case, by its name."""

    catalogue: Catalogue
    raw: Path
    shards: Path
    card: Card
    settings: Settings
    own: list[Metric]

    def prepared(self, name: str) -> tuple[np.ndarray, Geometry]:
        geometry = shard_files.read_geometry(self.shards, name)
        return shard_files.read(self.shards, name).image, geometry

    def case(self, name: str) -> Case:
        """The raw case; it has a reference, as all of split.json."""
        files = raw_cases.found_in(self.raw, self.catalogue.entry(name))
        return raw_cases.read(files, self.card.cohort)


@dataclass(frozen=True, eq=False)
class _Segmented:
    """A case before it is scored; the loss on the prepared grid, and seconds in the network."""

    prediction: Prediction
    loss: float
    seconds: float


def _overlapping(
    segment: Callable[[str], _Segmented],
    score: Callable[[str, _Segmented], CaseScores],
    cases: Sequence[str],
) -> Iterator[tuple[str, CaseScores, float, tuple[float, float]]]:
    """Score each case in a thread while the network segments the next: every case in turn, its
    scores and loss, seconds in the network and of the rest.
    """

    def scored(name: str, segmented: _Segmented) -> tuple:
        started = time.perf_counter()
        scores = score(name, segmented)
        rest = time.perf_counter() - started
        return name, scores, segmented.loss, (segmented.seconds, rest)

    with ThreadPoolExecutor(1) as beside:
        waiting: Future | None = None
        for name in cases:
            segmented = segment(name)
            if waiting:
                yield waiting.result()
            waiting = beside.submit(scored, name, segmented)
        if waiting:
            yield waiting.result()


def _segment(work: _Work, network: Any, name: str) -> _Segmented:
    image, geometry = work.prepared(name)
    started = time.perf_counter()
    prediction = predictor.predict(
        network, work.card, work.settings, image, name, compare=True, geometry=geometry
    )
    probabilities = prediction.probabilities
    seconds = time.perf_counter() - started
    classes = shard_files.read(work.shards, name).classes
    loss = predictor.held_out_loss(probabilities, classes, work.card)
    return _Segmented(prediction, loss, seconds)


def _score(work: _Work, predictions: Path, name: str, segmented: _Segmented) -> CaseScores:
    """Bring a case back to the raw grid, write the prediction and score it."""
    card, prediction, case = work.card, segmented.prediction, work.case(name)
    assert case.classes is not None
    classes = predictor.raw_classes(prediction, card, work.settings)
    origin = f"TumorFlow {card.network_sha256[:16]}"
    predicted.write(predictions, name, classes, card.cohort, case.grid.affine, origin)
    schema, spacing_mm = work.catalogue.cohort, case.grid.spacing_mm
    scored = score_masks(case.classes, classes, schema, spacing_mm, work.own, f"case {name}")
    scored.rows["calibration"], scored.bins = calibration_rows(
        predictor.region_probabilities(prediction, card, work.settings),
        prediction.restored_disagreement,
        case.classes,
        brain_of(case, card.preprocess.foreground),
        card.cohort,
    )
    return scored


def _validated(
    work: _Work, network: Any, parts: Split, params: Params
) -> tuple[Settings, dict[str, Any], list[dict[str, Any]]]:
    """The settings with what was chosen on the validation cases, the record of that, and scores of
    these cases by the network that was not trained on them.
    """
    card, settings = work.card, work.settings
    if not (params.choose or params.score_validation):
        return settings, {}, []
    schema, output = card.cohort, card.network.output
    with tempfile.TemporaryDirectory() as folder:
        examples = validation.examples(
            *(network, card, settings, work.prepared, work.case, parts.patients, Path(folder))
        )
        choice = choosing.choose(examples, schema, output, settings.postprocess, params.choose)
        settings = settings.model_copy(update={"postprocess": choice.params})
        rows = [
            {"case": example.case, "patient": example.patient} | row
            for example in examples
            for row in score_case(
                *example.classes(schema, output, choice.params), schema, example.spacing_mm
            )
        ]
    gain = summarise_values(choice.gain.tolist(), choice.patients)
    record = {"chosen": choosing.record(choice, gain)} if params.choose else {}
    return settings, record, rows if params.score_validation else []


if __name__ == "__main__":
    stage.main(evaluate, recorded=costs.recorded)
