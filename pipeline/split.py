"""Stage 3: deal the patients into train, val and test, and into k folds.

Reads the catalogue (identities, label counts), not the shards: a new recipe never moves a patient.
Writes data/split.json (`Split`: case ids of each part, folds, the patient of every case).
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline import stage
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.draws import generator
from pipeline.domain.errors import InputError
from pipeline.domain.folds import Split, deal
from pipeline.domain.strict import Strict
from pipeline.io.records import read_json, write_json
from pipeline.params import Share


class Params(Strict):
    """The section `split`.

    Attributes
    ----------
    val_share, test_share : float
        Of the patients, in 0..1; the rest trains.
    folds : int
        Number of folds that the patients outside of test are dealt into.
    val_fold : int or None
        Take this fold, from 0, as val instead of `val_share`.
    """

    val_share: Share
    test_share: Share
    folds: Annotated[int, Field(ge=1)]
    val_fold: Annotated[int, Field(ge=0)] | None

    @model_validator(mode="after")
    def _leaves_patients_to_train(self) -> Self:
        if self.test_share + (self.val_share if self.val_fold is None else 0) >= 1:
            raise ValueError(f"val_share and test_share must leave patients to train, got {self.val_share} and {self.test_share}")
        return self


def split(
    catalogue: Path,
    split: Path,
    params: Annotated[Params, stage.Key("split")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Deal the patients of `catalogue` into parts, alike in tumour volume and presence of ET."""
    cohort = read_json(catalogue, Catalogue)
    parts = dealt(cohort, params, seed)
    parts.check(str(split))
    write_json(split, parts)
    stage.log.info("train %d, val %d, test %d cases", len(parts.train), len(parts.val), len(parts.test))


def dealt(catalogue: Catalogue, params: Params, seed: int) -> Split:
    """The split of a catalogue.

    Raises
    ------
    InputError
        If a part with a share would stay empty, or `val_fold` is not one of the folds.
    """
    strata = _strata(catalogue)
    share = 1 - params.test_share
    rest, test = deal(strata, (share, params.test_share), generator(seed, "split", "test"))
    left = {patient: strata[patient] for patient in rest}
    folds = deal(left, [1 / params.folds] * params.folds, generator(seed, "split", "folds"))
    val_share = min(params.val_share / share, 1)
    train, val = deal(left, (1 - val_share, val_share), generator(seed, "split", "val"))
    if params.val_fold is not None:
        if params.val_fold >= params.folds:
            raise InputError(f"params.yaml: split.val_fold is {params.val_fold}, but the folds are 0 to {params.folds - 1}.")
        val = folds[params.val_fold]
        train = sorted(set(rest) - set(val))
    for name, patients in {"train": train, "val": val, "test": test}.items():
        if not patients:
            raise InputError(
                f"{len(strata)} patients cannot be dealt into train, val and test with split.val_share {params.val_share}, test_share "
                f"{params.test_share} and val_fold {params.val_fold}: {name} stays empty. Add cases, or change params.yaml."
            )
    cases = defaultdict(list)
    for entry in catalogue.cases:
        cases[entry.patient].append(entry.case)
    part = lambda patients: tuple(sorted(case for patient in patients for case in cases[patient]))  # noqa: E731
    return Split(
        train=part(train),
        val=part(val),
        test=part(test),
        folds=tuple(part(fold) for fold in folds),
        patients=dict(sorted((entry.case, entry.patient) for entry in catalogue.cases)),
    )


def _strata(catalogue: Catalogue) -> dict[str, tuple]:
    """Per patient, by its first case: whether the innermost region is present, then the outermost region's volume."""
    regions = list(catalogue.cohort.regions)
    return {
        entry.patient: (entry.region_ml(catalogue.cohort, regions[-1]) > 0, entry.region_ml(catalogue.cohort, regions[0]))
        for entry in sorted(catalogue.cases, key=lambda entry: entry.case, reverse=True)
    }


if __name__ == "__main__":
    stage.main(split)
