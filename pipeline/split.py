"""Stage 3: assign the patients to train, val and test, and to k folds.

Reads the catalogue (identities, label counts), not the shards, so preprocessing does not change it.
Writes data/split.json (`Split`: case ids of each part, folds, the patient of every case).
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from .core.catalogue import Catalogue
from .core.corrected import cohort_alone, join
from .core.errors import InputError
from .core.folds import Split, strata, stratify
from .core.layout import counted
from .core.records import read_json, write_json
from .core.rng import generator
from .core.split_params import SplitParams
from .runtime import costs, stage

log = logging.getLogger(__name__)


def split(
    catalogue: Path,
    split: Path,
    params: Annotated[SplitParams, stage.Key("split")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Assign the patients of `catalogue` to parts, stratified by presence of ET and volume.

    The parts are the same with corrected cases as without, which join train alone.
    """
    cohort = read_json(catalogue, Catalogue)
    joined = join(assign(cohort_alone(cohort), params, seed), cohort)
    parts = joined.split
    parts.check(str(split))
    parts.check_leakage(cohort)
    write_json(split, parts)
    test, networks = counted(len(parts.test), "case"), counted(len(parts.members), "network")
    log.info("train %d, val %d, test %s, %s", len(parts.train), len(parts.val), test, networks)
    for case, reason in joined.left_out.items():
        log.warning("%s is not trained on: %s", case, reason)
    for case, correction in joined.replaced.items():
        log.info("%s is trained on with the labels of %s", case, correction)


def assign(catalogue: Catalogue, params: SplitParams, seed: int) -> Split:
    """The split of a catalogue.

    Raises
    ------
    InputError
        If a part with a share would stay empty, or `val_fold` or `test_folds` name no fold.
    """
    persons = catalogue.persons()
    described = strata(catalogue, persons)

    def drawn(patients: Iterable[str], purpose: str, *shares: float) -> list[list[str]]:
        chosen = {patient: described[patient] for patient in patients}
        return stratify(chosen, shares, generator(seed, "split", purpose))

    if params.test_folds:
        test = _published_test(catalogue, persons, params.test_folds)
        rest = sorted(set(described) - set(test))
        share = len(rest) / len(described)
    else:
        share = 1 - params.test_share
        rest, test = drawn(described, "test", share, params.test_share)
    folds = drawn(rest, "folds", *[1 / params.folds] * params.folds)
    val_share = min(params.val_share / share, 1) if rest else 0.0
    train, val = drawn(rest, "val", 1 - val_share, val_share)
    if params.val_fold == "all":
        train, val = rest, []
    elif params.val_fold is not None:
        val = folds[params.val_fold]
        train = sorted(set(rest) - set(val))
    parts = {"train": train, "val": val, "test": test}
    needed = parts
    if params.val_fold == "all":
        needed = {"test": test} | {f"fold {number}": fold for number, fold in enumerate(folds)}
    empty = [name for name, patients in needed.items() if not patients]
    if empty:
        raise InputError(
            f"{len(described)} patients cannot be assigned to train, val and test with"
            f" split.val_share {params.val_share}, test_share {params.test_share} and val_fold"
            f" {params.val_fold}: {empty[0]} would be empty. Add cases, or change params.yaml."
        )
    patients = dict(sorted((entry.case, persons[entry.patient]) for entry in catalogue.cases))

    def cases(part: list[str]) -> tuple[str, ...]:
        wanted = set(part)
        return tuple(case for case, patient in patients.items() if patient in wanted)

    named = {name: cases(part) for name, part in parts.items()}
    return Split(**named, folds=tuple(map(cases, folds)), patients=patients)


def _published_test(
    catalogue: Catalogue, persons: dict[str, str], test_folds: tuple[str, ...]
) -> list[str]:
    """Persons with a case in one of the published folds."""
    fold = {entry.case: entry.attributes.get("fold", "") for entry in catalogue.cases}
    known = sorted(set(fold.values()) - {""})
    unknown = sorted(set(test_folds) - set(known))
    if unknown:
        raise InputError(
            f"params.yaml: split.test_folds has {unknown}, but the published folds of"
            f" {catalogue.cohort.cohort} are {known}."
        )
    test = {persons[entry.patient] for entry in catalogue.cases if fold[entry.case] in test_folds}
    return sorted(test)


if __name__ == "__main__":
    stage.main(split, recorded=costs.recorded)
