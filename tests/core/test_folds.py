"""Patients, not cases, are assigned: each to one part, with equal chances, stratified."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError
from pipeline.core.folds import Split, stratify
from pipeline.core.rng import generator

often = settings(max_examples=50, deadline=None, database=None, derandomize=True)
shares = (
    st.integers(1, 6)
    .flatmap(lambda parts: st.lists(st.integers(0, 10), min_size=parts, max_size=parts))
    .filter(any)
)
cohorts = st.lists(st.tuples(st.booleans(), st.floats(0, 300)), min_size=0, max_size=40)
PATIENTS = {f"p{number:02d}": (number >= 7, float(number)) for number in range(24)}


def named(strata: list[tuple]) -> dict[str, tuple]:
    return {f"p{number:02d}": stratum for number, stratum in enumerate(strata)}


@often
@given(cohorts, shares, st.integers(0, 99))
def test_every_patient_is_in_one_part_of_its_share_to_less_than_one_unless_a_part_would_be_empty(
    cohort, weights, seed
):
    parts = stratify(named(cohort), [weight / sum(weights) for weight in weights], generator(seed))
    assert sorted(patient for part in parts for patient in part) == sorted(named(cohort))
    assert all(part == sorted(part) for part in parts)
    wanted = [len(cohort) * weight / sum(weights) for weight in weights]
    assert len(parts) == len(wanted)
    if all(exact >= 1 for exact in wanted):
        assert all(abs(len(part) - exact) < 1 for part, exact in zip(parts, wanted, strict=True))
    if len(cohort) >= np.count_nonzero(weights):
        assert all(len(part) > 0 for part, weight in zip(parts, weights, strict=True) if weight)


@pytest.mark.parametrize(
    ("count", "parts", "sizes"),
    [
        (24, (0.8, 0.2), (19, 5)),  # 19.2 and 4.8
        (10, (0.7, 0.3), (7, 3)),
        (100, (0.71, 0.29), (71, 29)),  # 0.29 * 100 is 28.999… in floating point
        (13, (0.2,) * 5, (3, 3, 3, 2, 2)),
        (49, (1 / 49,) * 49, (1,) * 49),
        (5, (0.9, 0.1), (4, 1)),  # 4.5 and 0.5
        (6, (0.96, 0.04), (5, 1)),  # nobody would be left for the second
        (2, (0.6, 0.2, 0.2), (1, 1, 0)),
        (1, (0.8, 0.2), (1, 0)),
        (3, (1.0, 0.0), (3, 0)),
        (0, (0.5, 0.5), (0, 0)),
    ],
)
def test_sizes_go_by_the_largest_remainder(count, parts, sizes):
    strata = {str(number): (number,) for number in range(count)}
    assert tuple(len(part) for part in stratify(strata, parts, generator(0))) == sizes


@often
@given(cohorts.filter(len), st.floats(0.05, 0.95), st.integers(0, 99))
def test_of_the_first_in_any_order_a_part_holds_its_share_to_less_than_one(cohort, share, seed):
    strata = named(cohort)
    _, test = stratify(strata, (1 - share, share), generator(seed))
    ordered = sorted(strata, key=lambda patient: (strata[patient], patient))
    held = np.cumsum([patient in test for patient in ordered])
    expected = np.arange(1, len(ordered) + 1) * len(test) / len(ordered)
    assert np.abs(held - expected).max() < 1 - 1e-9


@often
@given(st.integers(5, 60), st.integers(2, 6), st.integers(0, 99))
def test_folds_are_alike_in_what_their_patients_are_ordered_by(count, folds, seed):
    strata = {f"p{number:02d}": (number,) for number in range(count)}
    for fold in stratify(strata, [1 / folds] * folds, generator(seed)):
        for first in range(1, count):
            held = sum(int(patient[1:]) < first for patient in fold)
            assert abs(held - first * len(fold) / count) < 2


@pytest.mark.parametrize(
    ("patients", "parts"), [(24, (0.8, 0.2)), (10, (0.7, 0.3)), (24, (1 / 3,) * 3)]
)
def test_every_patient_has_the_same_chance_of_every_part(patients, parts):
    strata, draws = dict(list(PATIENTS.items())[:patients]), 1500
    drawn = [stratify(strata, parts, generator(seed, "chance")) for seed in range(draws)]
    for number, part in enumerate(drawn[0]):
        counts = Counter(patient for parts in drawn for patient in parts[number])
        chance = len(part) / patients
        deviation = (draws * chance * (1 - chance)) ** 0.5
        assert all(abs(counts[patient] - draws * chance) < 4 * deviation for patient in strata)
    assert len({tuple(parts[-1]) for parts in drawn}) > patients  # in many companies


def test_the_seed_decides_and_the_order_of_the_patients_does_not():
    backwards, shares = dict(reversed(PATIENTS.items())), (0.8, 0.2)
    one = stratify(PATIENTS, shares, generator(1))
    assert one == stratify(backwards, shares, generator(1))
    assert one != stratify(PATIENTS, shares, generator(2))


def a_split(**changes) -> Split:
    good = {"train": ("a1", "a2", "b1"), "val": ("c1",), "test": ("d1", "d2")}
    patients = {"a1": "A", "a2": "A", "b1": "B", "c1": "C", "d1": "D", "d2": "D"}
    folds = (("a1", "a2"), ("b1", "c1"))
    return Split(**good | {"folds": folds, "patients": patients} | changes)


def test_a_clean_split_passes_and_survives_json():
    a_split().check("split.json")
    assert Split.model_validate_json(a_split().model_dump_json()) == a_split()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"val": ("c1", "a2"), "train": ("a1", "b1")},
            "patient A is in train (case a1) and in val (case a2)",
        ),
        ({"test": ("d1",), "val": ("c1", "d2")}, "D is in val (case d2) and in test (case d1)"),
        ({"test": ("d1", "d2", "b1")}, "B is in train (case b1) and in test (case b1)"),
        ({"train": ("a1", "a2", "b1", "b1")}, "B is in train (case b1) and in train (case b1)"),
        ({"folds": (("a1",), ("a2", "b1"))}, "A is in fold 0 (case a1) and in fold 1 (case a2)"),
        ({"folds": (("a1", "a2"), ("d1",))}, "D is in test (case d1) and in fold 1 (case d1)"),
        ({"train": ("a1", "e1")}, "case e1 of train has no patient. Run `dvc repro split`"),
    ],
)
def test_a_split_that_leaks_or_lacks_a_patient_is_rejected_with_names(changes, said):
    with pytest.raises(InputError, match=rf"split\.json: .*{re.escape(said)}"):
        a_split(**changes).check("split.json")
