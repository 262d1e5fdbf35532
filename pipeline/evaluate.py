"""Stage 6: segment the held-out cases and score them on the raw grid against the reference.

Reads models/network.keras and card.json, split.json (its test part), shards/<case>.* and the raw
references. Writes metrics/predictions/<case>.nii.gz (uint8 label values, raw grid and affine),
uncertainty/<case>.nii.gz there (uint8 percent, entropy of the least certain region),
metrics/cases.csv (one row per case and label or region), metrics/tables/ with multiclass.csv (one
row per case), lesionwise.csv (per case and region), lesions.csv (per lesion), instances.csv and
calibration.csv (per case and region), reliability.csv (per region and bin), confusion.csv (voxels
per pair of classes), types.csv (per case, of cohorts of tumour types), validation.csv (as
cases.csv, of the validation cases, where `evaluate.score_validation` asks for it) and
missing_modalities.csv (per case, region and set of modalities left out, where
`evaluate.missing_modalities` asks for it), as far as they have rows, metrics/evaluate.json (mean,
median, sd, intervals over cases, and how many values the empty rule filled; a description of every
metric; what `evaluate.choose` chose on validation cases), headline.json (few of these means, for
`dvc exp show` and `dvc metrics`), and models/inference.json (the settings scored, for `predict`).
Logs to the MLflow run of the training.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import field_validator

from .core.catalogue import Catalogue
from .core.folds import Split
from .core.records import read_json, write_csv, write_json, write_tables
from .metrics import missing_modalities, registry
from .metrics.case_scores import headline_of, summarise, summarise_validation, tables_of
from .metrics.lesion_rules import why_unscored
from .network import backend, saving
from .network.card import check_cohort, check_unseen, network_file, read_card
from .network.predictor import Settings
from .preparation import choosing
from .runtime import costs, stage, tracking
from .scoring import held_out
from .scoring.cohort import Cohort
from .scoring.validation import validated
from .scoring.without import prices

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
    missing_modalities : "all" or tuple of tuple of str
        Sets of modalities to leave out.
    """

    choose: tuple[choosing.Key, ...]
    score_validation: bool
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
    settings = Settings(**params.model_dump(include=set(Settings.model_fields)))
    card = read_card(models)
    subsets = missing_modalities.subsets(params.missing_modalities, card.cohort.modalities)
    catalogue, parts = read_json(raw / "catalogue.json", Catalogue), read_json(split, Split)
    parts.check(str(split))
    schema = catalogue.cohort
    check_cohort(card, schema, models)
    check_unseen(card, parts, models)
    backend.prepare(card.seed, card.train["precision"])
    network = saving.load_model(network_file(models), card.network.architecture)
    if schema.lesion_rules is None:
        log.warning("%s", why_unscored(schema.cohort))
    cohort = Cohort(catalogue, raw, shards, network, card, settings, own)
    chosen: dict[str, Any] = {}
    unseen: list[dict[str, Any]] = []
    if params.choose or params.score_validation:
        settings, chosen, unseen = validated(
            cohort, params.choose, parts.patients, params.score_validation
        )
        cohort = replace(cohort, settings=settings)
    model_part = tracking.model_part(network_file(models), models / "card.json", history)
    own_part = tracking.evaluation_part(metrics, cases, tables)
    with tracking.run(card.tags, model_part, own_part) as run:
        scores, losses = {}, []
        for number, each in enumerate(held_out.scores(cohort, parts.test, predictions), 1):
            scores[each.item], loss = each.scores
            losses.append(loss)
            run.log_case(number, {"seconds": each.network_seconds})
        whose = [{"case": case, "patient": parts.patients[case]} for case in scores]
        found = tables_of(whose, list(scores.values()), schema)
        found["validation"] = unseen
        found["missing_modalities"] = prices(cohort, subsets, scores, parts.patients)
        summary = {
            **summarise(found, schema, own),
            "held_out_loss": float(np.mean(losses)),
            "missing_modalities": missing_modalities.summarise_prices(found["missing_modalities"]),
            **chosen,
            **summarise_validation(found["validation"]),
        }
        write_csv(cases, found.pop("cases"))
        write_tables(tables, found)
        write_json(inference, settings)
        write_json(metrics, summary)
        write_json(headline, headline_of(summary))


if __name__ == "__main__":
    stage.main(evaluate, recorded=costs.recorded)
