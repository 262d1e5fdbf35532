"""Validation cases, each segmented by a network that was not trained on it: what is chosen on them,
their errors, and their scores.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..metrics.case_scores import score_case
from ..network.settings import Settings
from ..preparation import choosing
from ..preparation.choosing import Example
from ..preparation.params import Key
from ..quality.confidence import estimated_dice
from ..statistics.summary import summarise_values
from .cohort import Cohort
from .known import Measured, measured


@dataclass(frozen=True)
class Validated:
    """What the validation cases gave.

    Attributes
    ----------
    settings : Settings
        With what was chosen.
    chosen : dict
        Record of the choice, for metrics/evaluate.json; empty if nothing was to be chosen.
    rows : list of dict
        Their scores, as those of metrics/cases.csv; empty unless asked for.
    measured : list of Measured
        Of each case that was segmented.
    """

    settings: Settings
    chosen: dict[str, Any]
    rows: list[dict[str, Any]]
    measured: list[Measured]


def validated(
    cohort: Cohort, keys: Iterable[Key], patients: Mapping[str, str], every: bool
) -> Validated:
    """Choose postprocessing on the validation cases, and measure and score them with it.

    Parameters
    ----------
    cohort : Cohort
    keys : iterable of str
        What is chosen, see `choosing.choose`.
    patients : mapping of str to str
        Of every case.
    every : bool
        Whether to segment all validation cases and score them, and not only `choosing.MOST_CASES`.
    """
    schema, output = cohort.card.cohort, cohort.card.network.output
    keys = list(keys)
    with tempfile.TemporaryDirectory() as folder:
        examples, estimates = _examples(cohort, patients, every, Path(folder))
        choice = choosing.choose(examples, schema, output, cohort.settings.postprocess, keys)
        rows, found = [], []
        for one, estimated in zip(examples, estimates, strict=True):
            masks = one.classes(schema, output, choice.params)
            found.append(measured(estimated, *masks, schema, one.spacing_mm))
            own = {"case": one.case, "patient": one.patient}
            if every:
                rows += [own | row for row in score_case(*masks, cohort.schema, one.spacing_mm)]
    settings = cohort.settings.model_copy(update={"postprocess": choice.params})
    gain = summarise_values(choice.gain.tolist(), choice.patients)
    chosen = {"chosen": choosing.record(choice, gain)} if keys else {}
    return Validated(settings, chosen, rows, found)


def _examples(
    cohort: Cohort, patients: Mapping[str, str], every: bool, folder: Path
) -> tuple[list[Example], list[dict[str, float | None]]]:
    """The validation cases of each network, and the Dice of each region that its probabilities let
    expect; those of folds are all training cases.
    """
    found: list[Example] = []
    estimates = []
    card = cohort.card
    asked = [
        (number, name) for number, member in enumerate(card.members) for name in member.validated_on
    ]
    for number, name in asked if every else choosing.spread(asked):
        shard, geometry = cohort.prepared(name)
        prediction = cohort.predict(shard.image, f"validation, {name}", geometry, member=number)
        estimates.append(estimated_dice(prediction.probabilities, card.cohort, card.network.output))
        case, reference = cohort.case(name)
        path = folder / f"{len(found)}.npz"
        choosing.keep(path, prediction.competing, reference, card.cohort, card.network.output)
        found.append(Example(name, patients[name], path, case.grid.spacing_mm))
    return found, estimates
