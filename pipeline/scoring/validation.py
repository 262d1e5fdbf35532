"""Validation cases, each segmented by a network that was not trained on it: what is chosen on them,
and their scores.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..metrics.case_scores import score_case
from ..network.settings import Settings
from ..preparation import choosing
from ..preparation.choosing import Example
from ..preparation.params import Key
from ..statistics.summary import summarise_values
from .cohort import Cohort


def validated(
    cohort: Cohort, keys: Iterable[Key], patients: Mapping[str, str], every: bool
) -> tuple[Settings, dict[str, Any], list[dict[str, Any]]]:
    """Choose postprocessing on the validation cases and score them with it.

    Parameters
    ----------
    cohort : Cohort
    keys : iterable of str
        What is chosen, see `choosing.choose`.
    patients : mapping of str to str
        Of every case.
    every : bool
        Whether to score all validation cases, and not only to segment those that choose.

    Returns
    -------
    settings : Settings
        With what was chosen.
    record : dict
        Of the choice, for metrics/evaluate.json; empty if nothing was to be chosen.
    rows : list of dict
        Their scores, as those of metrics/cases.csv.
    """
    schema, output = cohort.card.cohort, cohort.card.network.output
    keys = list(keys)
    with tempfile.TemporaryDirectory() as folder:
        examples = _examples(cohort, patients, every, Path(folder))
        choice = choosing.choose(examples, schema, output, cohort.settings.postprocess, keys)
        rows = []
        for one in examples if every else ():
            masks = one.classes(schema, output, choice.params)
            own = {"case": one.case, "patient": one.patient}
            rows += [own | row for row in score_case(*masks, cohort.schema, one.spacing_mm)]
    settings = cohort.settings.model_copy(update={"postprocess": choice.params})
    gain = summarise_values(choice.gain.tolist(), choice.patients)
    return settings, {"chosen": choosing.record(choice, gain)} if keys else {}, rows


def _examples(
    cohort: Cohort, patients: Mapping[str, str], every: bool, folder: Path
) -> list[Example]:
    """The validation cases of each network; those of folds are all training cases."""
    found: list[Example] = []
    card = cohort.card
    asked = [
        (number, name) for number, member in enumerate(card.members) for name in member.validated_on
    ]
    for number, name in asked if every else choosing.spread(asked):
        shard, geometry = cohort.prepared(name)
        prediction = cohort.predict(shard.image, f"validation, {name}", geometry, member=number)
        case, reference = cohort.case(name)
        path = folder / f"{len(found)}.npz"
        choosing.keep(path, prediction.competing, reference, card.cohort, card.network.output)
        found.append(Example(name, patients[name], path, case.grid.spacing_mm))
    return found
