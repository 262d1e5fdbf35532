"""Cases of the test part: segmented, written and scored."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..formats import predictions as predicted
from ..metrics.calibration import calibration_rows
from ..metrics.case_scores import CaseScores, score_masks
from ..metrics.uncertainty import uncertainty_percent
from ..network import predictor
from ..network.prediction import Prediction
from ..preparation.preprocessing import brain_of
from .cohort import Cohort
from .overlapping import Scored, scored

log = logging.getLogger(__name__)

Loss = float


def scores(
    cohort: Cohort, cases: Sequence[str], predictions: Path
) -> Iterator[Scored[str, tuple[CaseScores, Loss]]]:
    """Segment cases, write labels and uncertainty to a folder, score the labels on the raw grid:
    scores, and loss on the prepared grid, of each in turn.
    """

    def segment(name: str) -> Prediction:
        shard, geometry = cohort.prepared(name)
        prediction = cohort.predict(shard.image, name, geometry, compare=True)
        _ = prediction.probabilities  # the device has finished
        return prediction

    def score(name: str, prediction: Prediction) -> tuple[CaseScores, Loss]:
        shard, _ = cohort.prepared(name)
        loss = predictor.held_out_loss(prediction.probabilities, shard.classes, cohort.card)
        return _score(cohort, predictions, name, prediction), loss

    for each in scored(segment, score, cases):
        dice = " ".join(f"{name} {value:.3f}" for name, value in each.scores[0].region_dice.items())
        seconds = each.network_seconds
        network = "prediction kept" if seconds is None else f"network {seconds:.1f} s"
        log.info("%s  Dice %s  (%s, rest %.1f s)", each.item, dice, network, each.rest_seconds)
        yield each


def _score(cohort: Cohort, predictions: Path, name: str, prediction: Prediction) -> CaseScores:
    card, (case, reference) = cohort.card, cohort.case(name)
    classes = predictor.raw_classes(prediction, card, cohort.settings)
    origin = f"TumorFlow {card.network_sha256[:16]}"
    predicted.write(predictions, name, classes, card.cohort, case.grid.affine, origin)
    probabilities = predictor.region_probabilities(prediction, card, cohort.settings)
    percent = uncertainty_percent(probabilities)
    predicted.write_uncertainty(predictions, name, percent, case.grid.affine, origin)
    found = score_masks(
        *(reference, classes, cohort.schema, case.grid.spacing_mm, cohort.own, f"case {name}")
    )
    found.rows["calibration"], found.bins = calibration_rows(
        probabilities,
        prediction.restored_disagreement,
        reference,
        brain_of(case, card.preprocess.foreground),
        card.cohort,
    )
    return found
