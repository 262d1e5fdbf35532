"""Corrected cases are trained on, and never where the person is held out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.catalogue import Catalogue
from pipeline.core.corrected import cohort_alone, join, provenance_of
from pipeline.core.folds import Split
from pipeline.split import assign
from tests.test_split import DEFAULT, entry, often, single

NETWORK = {"corrected_from": "a" * 16}


def joined_with(whole: Catalogue, patients: dict[str, str], alike=()) -> Catalogue:
    """A catalogue with corrected cases of these patients, by case."""
    cases = [
        entry(case, patient, 700, 9000).model_copy(update={"attributes": NETWORK})
        for case, patient in patients.items()
    ]
    return whole.model_copy(
        update={
            "cases": (*whole.cases, *cases),
            "corrections": tuple(patients),
            "alike": (*whole.alike, *alike),
        }
    )


def of(whole: Catalogue, seed: int = 1, **changes) -> tuple[Split, Catalogue]:
    """The split without the corrected cases."""
    params = DEFAULT.model_copy(update=changes)
    return assign(cohort_alone(whole), params, seed), whole


@pytest.fixture
def plain() -> Split:
    return assign(single(20), DEFAULT, 1)


def test_corrected_cases_are_trained_on_and_all_other_parts_stay(plain):
    joined = join(*of(joined_with(single(20), {"c1": "ward-1", "c2": "ward-2"})))
    assert joined.split.train == tuple(sorted((*plain.train, "c1", "c2")))
    for part in ("val", "test", "folds"):
        assert getattr(joined.split, part) == getattr(plain, part)
    assert not joined.left_out
    assert not joined.replaced


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_corrected_case_of_a_patient_who_is_held_out_is_in_no_part(plain, part):
    held_out = getattr(plain, part)[0]
    joined = join(*of(joined_with(single(20), {"c1": plain.patients[held_out]})))
    assert joined.split.part_of.get("c1") is None
    assert joined.left_out == {"c1": f"its patient is that of {held_out}, which is in {part}"}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("part", ["val", "test"])
def test_so_is_one_that_looks_like_a_held_out_examination_under_another_name(plain, part, order):
    held_out = getattr(plain, part)[0]
    pair = ("c1", held_out)[::order]
    joined = join(*of(joined_with(single(20), {"c1": "ward-1"}, [(*pair, 0.97)])))
    assert joined.split.part_of.get("c1") is None
    assert "c1" in joined.left_out


def test_one_that_is_the_examination_of_a_training_case_takes_its_place(plain):
    case = plain.train[2]
    whole = joined_with(single(20), {"c1": "ward-1"}, [("c1", case, 1.0)])
    joined = join(*of(whole))
    assert joined.replaced == {case: "c1"}
    assert joined.split.train == tuple(sorted({*plain.train, "c1"} - {case}))
    joined.split.check("split")
    joined.split.check_leakage(whole)


def test_another_examination_of_a_training_patient_is_trained_on_beside_it(plain):
    case = plain.train[2]
    joined = join(*of(joined_with(single(20), {"c1": plain.patients[case]})))
    assert {"c1", case} <= set(joined.split.train)


def test_one_that_looks_like_two_patients_is_in_no_part(plain):
    one, other = plain.train[:2]
    alike = [("c1", one, 0.95), ("c1", other, 0.95)]
    joined = join(*of(joined_with(single(20), {"c1": "ward-1"}, alike)))
    assert "several patients" in joined.left_out["c1"]
    assert joined.split == plain.model_copy(update={"patients": joined.split.patients}), (
        "and changes nothing else"
    )


@often
@given(
    st.lists(st.sampled_from([*range(12), "ward-1", "ward-2"]), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11)), max_size=4),
    st.integers(0, 30),
    st.sampled_from([None, 0, "all"]),
)
def test_no_network_is_trained_on_a_person_that_it_is_judged_by(patients, alike, seed, val_fold):
    names = {
        f"c{number}": patient if isinstance(patient, str) else f"P{patient:03d}"
        for number, patient in enumerate(patients)
    }
    pairs = [(f"c{one}", f"P{other:03d}-0", 0.95) for one, other in alike if one < len(patients)]
    whole = joined_with(single(12), names, pairs)
    split, _ = of(whole, seed, val_fold=val_fold, folds=3)
    joined = join(split, whole).split
    joined.check("split")
    joined.check_leakage(whole)
    persons = whole.persons()
    person = {case.case: persons[case.patient] for case in whole.cases}
    for trained_on, validated_on in joined.members:
        held_out = {person[case] for case in (*validated_on, *joined.test)}
        leaked = [case for case in trained_on if case in names and person[case] in held_out]
        assert not leaked
    assert (joined.val, joined.test, joined.folds) == (split.val, split.test, split.folds)


def test_a_catalogue_without_corrections_is_split_as_ever():
    whole = single(12)
    assert cohort_alone(whole) == whole
    plain = assign(whole, DEFAULT, 1)
    assert join(plain, whole).split == plain


def test_corrected_cases_are_counted_by_network_joined_or_alone():
    whole = joined_with(single(3), {"c1": "w1", "c2": "w2"})
    assert provenance_of(whole.cases, whole.corrections) == {"a" * 16: 2}
    assert provenance_of(whole.cases, ()) == {"a" * 16: 2}
    unknown = entry("c9", "w9", 1, 1)
    assert provenance_of([unknown], ["c9"]) == {"": 1}
    assert provenance_of([unknown], []) == {}
