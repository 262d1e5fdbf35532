"""Stage 6: segment the held-out cases and score them on the raw grid against the reference.

Reads models/network.keras and card.json, split.json (its test part), shards/<case>.* and the raw
references. Writes metrics/predictions/<case>.nii.gz (uint8 label values, raw grid and affine),
uncertainty/<case>.nii.gz there (uint8 percent, entropy of the least certain region),
metrics/cases.csv (one row per case and label or region), metrics/tables/ with multiclass.csv (one
row per case), lesionwise.csv, matched.csv, instances.csv and calibration.csv (per case and region),
lesions.csv (per lesion), reliability.csv (per region and bin), confusion.csv (voxels
per pair of classes), types.csv (per case, of cohorts of tumour types), validation.csv (as
cases.csv, of the validation cases, where `evaluate.score_validation` asks for it) and
missing_modalities.csv (per case, region and set of modalities left out, where
`evaluate.missing_modalities` asks for it), as far as they have rows, metrics/evaluate.json (mean,
median, sd, intervals over cases, and how many values the empty rule filled; a description of every
metric; what `evaluate.choose` chose on validation cases), headline.json (the means of Dice, for
`dvc exp show` and `dvc metrics`), and models/inference.json (for `predict`: the settings scored,
the errors on at most 40 validation cases, which are segmented for it, and the ranges of at most 100
cases of training and validation).
Logs to the MLflow run of the training.

Keeps what the network predicts in data/probabilities, which is no out: where only thresholds,
postprocessing or metrics changed, the network does not run again, and the results are the same to
the byte as if it had. The environment variable TUMORFLOW_KEPT_GB limits the folder, see
`network.kept`. Prints the table of scores and a verdict.
"""

import logging
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import numpy as np

from .core.catalogue import Catalogue
from .core.folds import Split
from .core.records import read_json, write_csv, write_json, write_tables
from .metrics import missing_modalities, registry
from .metrics.case_scores import headline_of, summarise, summarise_validation, tables_of
from .metrics.lesion_rules import why_unscored
from .metrics.score_lines import score_lines
from .metrics.verdict import verdict
from .network import backend, saving
from .network.card import check_cohort, check_unseen, network_file, read_card
from .network.kept import KeptPredictions, limit_bytes
from .network.settings import Settings
from .runtime import arithmetic, costs, stage, workspace
from .runtime.tracking import reproduction
from .runtime.tracking.datasets import data_of
from .runtime.tracking.parts import evaluation_part, model_part
from .scoring import held_out
from .scoring.cohort import Cohort
from .scoring.known import Inference, known_of
from .scoring.params import EvaluateParams
from .scoring.validation import validated
from .scoring.without import prices

log = logging.getLogger(__name__)

CODE = ("core", "network", "preparation/patches.py")
"""Code that turns a prepared image into probabilities."""


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
    params: Annotated[EvaluateParams, stage.Key("evaluate")],
    code: Annotated[str, stage.Key("own_code.evaluate")],
) -> None:
    """Segment and score the test cases."""
    own = registry.own_metrics(params.metrics, code)
    settings = Settings(**params.model_dump(include=set(Settings.model_fields)))
    card = read_card(models)
    subsets = missing_modalities.subsets(params.missing_modalities, card.cohort.modalities)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    schema = catalogue.cohort
    check_cohort(card, schema, models)
    check_unseen(card, parts, models)
    backend.prepare(card.seed, card.train["precision"])
    network = cache(partial(saving.load_model, network_file(models), card.network.architecture))
    if schema.lesion_rules is None:
        log.warning("%s", why_unscored(schema.cohort))
    place, origin = workspace.root() / "data/probabilities", arithmetic.origin(*CODE)
    kept = KeptPredictions(place, limit_bytes(), origin)
    cohort = Cohort(catalogue, raw, shards, network, card, settings, own, kept)
    unseen = validated(cohort, params.choose, parts.patients, params.score_validation)
    known = known_of(cohort, unseen.measured)
    cohort = replace(cohort, settings=unseen.settings)
    trained = model_part(network_file(models), models / "card.json", history)
    own_part = evaluation_part(metrics, cases, tables, inference=inference)
    with reproduction.run(card.tags, data_of(catalogue, parts), trained, own_part) as run:
        scores, losses = {}, []
        for number, each in enumerate(held_out.scores(cohort, parts.test, predictions), 1):
            scores[each.item], loss = each.scores
            losses.append(loss)
            if each.network_seconds is not None:
                run.log_case(number, {"seconds": each.network_seconds})
        whose = [{"case": case, "patient": parts.patients[case]} for case in scores]
        found = tables_of(whose, list(scores.values()), schema)
        found["validation"] = unseen.rows
        found["missing_modalities"] = prices(cohort, subsets, scores, parts.patients)
        summary = {
            **summarise(found, schema, own),
            "held_out_loss": float(np.mean(losses)),
            "missing_modalities": missing_modalities.summarise_prices(found["missing_modalities"]),
            **unseen.chosen,
            **summarise_validation(found["validation"]),
        }
        write_csv(cases, found["cases"])
        write_tables(tables, {name: rows for name, rows in found.items() if name != "cases"})
        write_json(inference, Inference(**dict(cohort.settings), known=known))
        write_json(metrics, summary)
        write_json(headline, headline_of(summary))
    log.info("%s", kept.close())
    print("", *score_lines(summary, found, schema), sep="\n")
    print("", *verdict(summary, found["cases"]).sentences, sep="\n", flush=True)


if __name__ == "__main__":
    stage.main(evaluate, recorded=costs.recorded)
