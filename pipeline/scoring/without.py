"""Cases segmented again as if files of some modalities were missing."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..metrics import missing_modalities
from ..metrics.case_scores import CaseScores, score_case
from ..metrics.missing_modalities import Subset, named
from ..network import predictor
from ..network.prediction import Prediction
from ..preparation.preprocessing import prepare
from .cohort import Cohort
from .overlapping import scored

log = logging.getLogger(__name__)

_UNTRAINED = (
    "evaluate.missing_modalities: the network was not trained to miss modalities"
    " (train.on_the_fly.modality_dropout.probability is 0), and `predict` refuses such cases. Their"
    " scores show what that would cost."
)


def prices(
    cohort: Cohort,
    subsets: Sequence[Subset],
    wholes: Mapping[str, CaseScores],
    patients: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Segment cases again without each set of modalities, as `predict` does where their files are
    missing: rows of the table "missing_modalities". `wholes` are scores with all modalities, and
    `patients` those of the cases.
    """
    if subsets and not cohort.card.accepts_missing_modalities:
        log.warning("%s", _UNTRAINED)
    return [
        {"case": name, "patient": patients[name]} | row
        for name, whole in wholes.items()
        for row in (_of_case(cohort, subsets, name, whole) if subsets else [])
    ]


def _of_case(
    cohort: Cohort, subsets: Sequence[Subset], name: str, whole: CaseScores
) -> list[dict[str, Any]]:
    card, settings, (case, reference) = cohort.card, cohort.settings, cohort.case(name)

    def segment(subset: Subset) -> Prediction:
        present = [modality not in subset for modality in card.cohort.modalities]
        lacking = replace(case, image=case.image[..., present])
        prepared = prepare(lacking, card.preprocess, present)
        describe = f"{name} without {named(subset)}"
        return cohort.predict(prepared.image, describe, prepared.geometry)

    def score(subset: Subset, prediction: Prediction) -> list[dict[str, Any]]:
        classes = predictor.raw_classes(prediction, card, settings)
        rows = score_case(reference, classes, cohort.schema, case.grid.spacing_mm)
        return missing_modalities.price_rows(subset, rows, whole.rows["cases"])

    rows = []
    for each in scored(segment, score, subsets):
        dice = " ".join(f"{row['name']} {row['dice']:.3f}" for row in each.scores)
        log.info("%s without %s  Dice %s", name, named(each.item), dice)
        rows += each.scores
    return rows
