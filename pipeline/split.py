"""Stage 3: assign the patients to train, val and test, and to k folds.

Reads the catalogue (identities, label counts), not the shards, so preprocessing does not change it.
Writes data/split.json (`Split`: case ids of each part, folds, the patient of every case).
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from .core.catalogue import Catalogue
from .core.errors import InputError
from .core.folds import Split, stratify
from .core.params import Share
from .core.records import read_json, write_json
from .core.rng import generator
from .core.strict import Strict
from .runtime import costs, stage

log = logging.getLogger(__name__)


class Params(Strict):
    """The section `split`.

    Attributes
    ----------
    val_share, test_share : float
        Of the patients, in 0..1; the rest trains.
    folds : int
        Number of folds of the patients outside of test.
    val_fold : int or None
        Take this fold, from 0, as val instead of `val_share`.
    test_folds : tuple of str
        Folds published by the cohort's authors that are test instead of `test_share`; empty to
        draw.
    """

    val_share: Share
    test_share: Share
    folds: Annotated[int, Field(ge=1)]
    val_fold: Annotated[int, Field(ge=0)] | None
    test_folds: tuple[str, ...]

    @model_validator(mode="after")
    def _leaves_patients_to_train(self) -> Self:
        test_share = 0 if self.test_folds else self.test_share
        if test_share + (self.val_share if self.val_fold is None else 0) >= 1:
            raise ValueError(
                f"val_share and test_share must leave patients to train, got {self.val_share} and"
                f" {self.test_share}"
            )
        return self


def split(
    catalogue: Path,
    split: Path,
    params: Annotated[Params, stage.Key("split")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Assign the patients of `catalogue` to parts, stratified by presence of ET and volume."""
    cohort = read_json(catalogue, Catalogue)
    parts = assign(cohort, params, seed)
    parts.check(str(split))
    check_leakage(cohort, parts)
    write_json(split, parts)
    log.info("train %d, val %d, test %d cases", len(parts.train), len(parts.val), len(parts.test))


def assign(catalogue: Catalogue, params: Params, seed: int) -> Split:
    """The split of a catalogue.

    Raises
    ------
    InputError
        If a part with a share would stay empty, or `val_fold` is not one of the folds.
    """
    persons = people(catalogue)
    strata = _strata(catalogue, persons)
    rest, test = _test_part(catalogue, persons, strata, params, seed)
    share = len(rest) / len(strata) if params.test_folds else 1 - params.test_share
    left = {patient: strata[patient] for patient in rest}
    folds = stratify(left, [1 / params.folds] * params.folds, generator(seed, "split", "folds"))
    val_share = min(params.val_share / share, 1)
    train, val = stratify(left, (1 - val_share, val_share), generator(seed, "split", "val"))
    if params.val_fold is not None:
        if params.val_fold >= params.folds:
            raise InputError(
                f"params.yaml: split.val_fold is {params.val_fold}, but the folds are 0 to"
                f" {params.folds - 1}."
            )
        val = folds[params.val_fold]
        train = sorted(set(rest) - set(val))
    for name, patients in {"train": train, "val": val, "test": test}.items():
        if not patients:
            raise InputError(
                f"{len(strata)} patients cannot be assigned to train, val and test with"
                f" split.val_share {params.val_share}, test_share {params.test_share} and val_fold"
                f" {params.val_fold}: {name} would be empty. Add cases, or change params.yaml."
            )
    cases = defaultdict(list)
    for entry in catalogue.cases:
        cases[persons[entry.patient]].append(entry.case)

    def part(patients: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(case for patient in patients for case in cases[patient]))

    return Split(
        train=part(train),
        val=part(val),
        test=part(test),
        folds=tuple(part(fold) for fold in folds),
        patients=dict(sorted((entry.case, persons[entry.patient]) for entry in catalogue.cases)),
    )


def people(catalogue: Catalogue) -> dict[str, str]:
    """One name for all ids of a person: ids whose cases look like one examination are merged under
    the first.
    """
    patient = {entry.case: entry.patient for entry in catalogue.cases}
    person = {name: name for name in patient.values()}
    for one, other, _ in catalogue.alike:
        merged = {person[patient[one]], person[patient[other]]}
        if len(merged) > 1:
            person = {
                name: min(merged) if known in merged else known for name, known in person.items()
            }
    return person


def check_leakage(catalogue: Catalogue, parts: Split) -> None:
    """Check that no examination, whatever its id, is in two of train, val and test.

    Raises
    ------
    InputError
        Names every pair of cases in two parts that share a patient or the voxels of an image, or
        look alike.
    """
    part = {case: name for name in ("train", "val", "test") for case in getattr(parts, name)}
    shared = defaultdict(list)
    for entry in catalogue.cases:
        for sign in {
            f"patient {entry.patient}",
            *(f"the voxels {file.content_sha256[:16]}" for file in entry.images.values()),
        }:
            shared[sign].append(entry.case)
    pairs = [
        (group[0], case, f"share {sign}") for sign, group in shared.items() for case in group[1:]
    ]
    pairs += [
        (one, other, f"look like one examination (similarity {similarity:.2f})")
        for one, other, similarity in catalogue.alike
    ]
    leaks = sorted(
        f"{one} in {part[one]} and {other} in {part[other]} {why}"
        for one, other, why in pairs
        if part[one] != part[other]
    )
    if leaks:
        raise InputError(
            "\n".join(
                [
                    *leaks,
                    (
                        "Scores on such a split are worthless: remove one case of each pair, or"
                        " empty split.test_folds to draw the parts."
                    ),
                ]
            )
        )


def _test_part(
    catalogue: Catalogue,
    persons: dict[str, str],
    strata: dict[str, tuple],
    params: Params,
    seed: int,
) -> list[list[str]]:
    """The patients outside of test and those of it."""
    if not params.test_folds:
        return stratify(
            strata, (1 - params.test_share, params.test_share), generator(seed, "split", "test")
        )
    known = sorted({entry.attributes.get("fold", "") for entry in catalogue.cases} - {""})
    unknown = sorted(set(params.test_folds) - set(known))
    if unknown:
        raise InputError(
            f"params.yaml: split.test_folds has {unknown}, but the published folds of"
            f" {catalogue.cohort.cohort} are {known}."
        )
    test = {
        persons[entry.patient]
        for entry in catalogue.cases
        if entry.attributes.get("fold") in params.test_folds
    }
    return [sorted(set(strata) - test), sorted(test)]


def _strata(catalogue: Catalogue, persons: dict[str, str]) -> dict[str, tuple]:
    """Per patient, by its first case: which innermost regions are present, then the volume of all
    labels.
    """
    cohort = catalogue.cohort
    outermost = [region for region, outer in cohort.around.items() if outer is None]
    return {
        persons[entry.patient]: (
            *(entry.region_ml(cohort, region) > 0 for region in cohort.innermost),
            sum(entry.region_ml(cohort, region) for region in outermost),
        )
        for entry in sorted(catalogue.cases, key=lambda entry: entry.case, reverse=True)
    }


if __name__ == "__main__":
    stage.main(split, recorded=costs.recorded)
