"""The split: stratified, seeded, and never one patient in two parts."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.cohorts import brats
from pipeline.core import params
from pipeline.core.catalogue import CaseEntry, Catalogue, FileEntry
from pipeline.core.errors import InputError
from pipeline.core.folds import Split
from pipeline.core.records import read_json, write_json
from pipeline.core.split_params import SplitParams
from pipeline.split import assign, split
from tests.conftest import LPS

DEFAULT = SplitParams(val_share=0.15, test_share=0.2, folds=5, val_fold=None, test_folds=())
often = settings(max_examples=60, deadline=None, database=None, derandomize=True)
# of each patient: its number of cases, the voxels of its enhancing tumour and of its edema
patients = st.tuples(st.integers(1, 3), st.sampled_from([0, 0, 500, 4000]), st.integers(1, 90_000))


def entry(case: str, patient: str, enhancing: int, edema: int) -> CaseEntry:
    return CaseEntry(
        case=case,
        patient=patient,
        images={},
        labels=None,
        shape=(240, 240, 155),
        affine=tuple(map(tuple, LPS.tolist())),
        spacing_mm=(1.0, 1.0, 1.0),
        orientation="LPS",
        brain_ml=1400.0,
        label_voxels={"necrotic": 0, "edema": edema, "enhancing": enhancing},
        attributes={},
        native=None,
    )


def catalogue(cohort: list[tuple[int, int, int]]) -> Catalogue:
    entries = [
        entry(f"P{number:03d}-{case}", f"P{number:03d}", enhancing + case, edema)
        for number, (count, enhancing, edema) in enumerate(cohort)
        for case in range(count)
    ]
    return Catalogue(cohort=brats.schema("-"), licence="", cases=tuple(entries), alike=())


def single(count: int, without: int = 0) -> Catalogue:
    """Patients of one case each, ever larger; some, evenly among them, without enhancing tumour."""
    return catalogue(
        [
            (1, 0 if number * without % count < without else 900, 1000 * number + 901)
            for number in range(count)
        ]
    )


def parts(made: Split) -> dict[str, tuple[str, ...]]:
    return {"train": made.train, "val": made.val, "test": made.test}


@often
@given(
    st.lists(patients, min_size=5, max_size=40), st.integers(0, 99), st.sampled_from([None, 0, 2])
)
def test_no_patient_is_in_two_parts_and_no_case_is_lost(cohort, seed, val_fold):
    whole = catalogue(cohort)
    made = assign(whole, DEFAULT.model_copy(update={"val_fold": val_fold, "folds": 3}), seed)
    made.check("split")
    owners = {name: {made.patients[case] for case in part} for name, part in parts(made).items()}
    assert sum(map(len, owners.values())) == len(cohort)
    assert sorted(made.train + made.val + made.test) == sorted(entry.case for entry in whole.cases)
    assert sorted(case for fold in made.folds for case in fold) == sorted(made.train + made.val)
    assert len(set.union(*({made.patients[case] for case in fold} for fold in made.folds))) == sum(
        len({made.patients[case] for case in fold}) for fold in made.folds
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_test_part_has_its_share_of_patients_without_enhancing_tumour(seed):
    whole = single(50, without=12)
    made = assign(whole, DEFAULT, seed)
    assert len(made.test) == 10
    without = sum(whole.entry(case).label_voxels["enhancing"] == 0 for case in made.test)
    assert without in (2, 3)  # of 12 * 10 / 50


def test_test_and_train_are_alike_in_tumour_volume():
    made = assign(single(60), DEFAULT, 3)
    mean_number = {
        name: sum(int(case[1:4]) for case in part) / len(part) for name, part in parts(made).items()
    }
    assert all(abs(number - 29.5) < 5 for number in mean_number.values())


def test_sizes_are_shares_of_the_patients():
    made = assign(single(40), DEFAULT, 1)
    assert {name: len(part) for name, part in parts(made).items()} == {
        "train": 26,
        "val": 6,
        "test": 8,
    }
    assert sorted(map(len, made.folds)) == [6, 6, 6, 7, 7]


def test_the_seed_decides_and_another_gives_another_split():
    whole = single(24)
    assert assign(whole, DEFAULT, 5) == assign(whole, DEFAULT, 5)
    assert len({assign(whole, DEFAULT, seed).test for seed in range(10)}) > 5


def test_every_patient_may_be_tested():
    tested = {
        case for seed in range(60) for case in assign(single(24, without=5), DEFAULT, seed).test
    }
    assert len(tested) == 24


def test_the_order_of_the_catalogue_changes_nothing():
    whole = catalogue(
        [(1 + number % 3, 0 if number % 4 == 0 else 700, 1000 * number + 1) for number in range(20)]
    )
    expected = assign(whole, DEFAULT, 1).model_dump_json()
    for seed in range(5):
        shuffled = random.Random(seed).sample(whole.cases, len(whole.cases))
        assert (
            assign(
                whole.model_copy(update={"cases": tuple(shuffled)}), DEFAULT, 1
            ).model_dump_json()
            == expected
        )


def test_a_fold_may_be_the_validation_part_and_the_test_part_stays():
    whole = single(30)
    plain = assign(whole, DEFAULT, 1)
    for number in range(5):
        made = assign(whole, DEFAULT.model_copy(update={"val_fold": number}), 1)
        assert made.test == plain.test
        assert made.folds == plain.folds
        assert made.val == made.folds[number]
        assert set(made.train) == {case for fold in made.folds for case in fold} - set(made.val)


def test_a_fold_that_is_not_there_is_named():
    with pytest.raises(ValidationError, match="must be one of the folds 0 to 4, all or null"):
        SplitParams.model_validate(DEFAULT.model_dump() | {"val_fold": 5})


@pytest.mark.parametrize(
    ("count", "change", "empty"),
    [
        (1, {}, "val"),
        (2, {}, "val"),
        (10, {"test_share": 0.0}, "test"),
        (10, {"val_share": 0.0}, "val"),
        (10, {"val_fold": 0, "folds": 1}, "train"),
    ],
)
def test_a_part_that_would_be_empty_is_rejected_with_a_remedy(count, change, empty):
    with pytest.raises(
        InputError,
        match=(
            rf"{count} patients cannot be assigned .*: {empty} would be empty\. Add cases, or"
            r" change params\.yaml"
        ),
    ):
        assign(single(count), DEFAULT.model_copy(update=change), 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"val_share": 0.5, "test_share": 0.5},
            r"params\.yaml: split: .*must leave patients to train, got 0\.5 and 0\.5",
        ),
        ({"val_share": 0.9, "test_share": 0.6}, "must leave patients to train"),
        ({"test_share": 1.0, "val_fold": 0}, "must leave patients to train"),
        ({"test_share": 1.2}, r"split\.test_share: .*less than or equal to 1"),
        ({"folds": 0}, r"split\.folds: .*greater than or equal to 1"),
        ({"folds": 1, "val_fold": "all"}, r"val_fold is all, which takes at least 2 folds, got 1"),
    ],
)
def test_shares_that_leave_nobody_to_train_are_refused(change, said, tmp_path):
    with pytest.raises(InputError, match=said):
        params.value(
            {"split": DEFAULT.model_dump() | change}, "split", SplitParams, tmp_path / "params.yaml"
        )


def test_with_all_folds_each_network_leaves_out_one_and_all_train_together():
    made = assign(single(24), DEFAULT.model_copy(update={"val_fold": "all"}), 1)
    made.check("split")
    assert not made.val
    assert len(made.members) == 5
    for (train, val), fold in zip(made.members, made.folds, strict=True):
        assert val == fold
        assert sorted(train + val) == sorted(made.train)
    one = assign(single(24), DEFAULT, 1)
    assert one.members == ((one.train, one.val),)
    assert one.test == made.test
    with pytest.raises(InputError, match=r"fold 4 would be empty"):
        assign(single(5), DEFAULT.model_copy(update={"val_fold": "all"}), 1)


def test_a_fold_as_validation_part_needs_no_room_for_the_share():
    DEFAULT.model_validate(DEFAULT.model_dump() | {"val_share": 0.9, "val_fold": 0})


def test_the_stage_writes_the_same_bytes_again(tmp_path):
    write_json(tmp_path / "catalogue.json", single(24))
    written = []
    for name in ("one.json", "two.json"):
        split(tmp_path / "catalogue.json", tmp_path / name, DEFAULT, 2026)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    read_json(tmp_path / "one.json", Split).check("one.json")


def test_published_folds_are_test_with_all_cases_of_their_patients():
    whole = catalogue([(2, 900, 1000 * number) for number in range(12)])
    entries = tuple(
        entry.model_copy(update={"attributes": {"fold": str(int(entry.patient[1:]) % 3 + 1)}})
        for entry in whole.cases
    )
    published = whole.model_copy(update={"cases": entries})
    made = assign(published, DEFAULT.model_copy(update={"test_folds": ("2",)}), 1)
    assert {case.split("-")[0] for case in made.test} == {"P001", "P004", "P007", "P010"}
    assert len(made.test) == 8
    with pytest.raises(
        InputError,
        match=r"test_folds has \['9'\], but the published folds of .* are \['1', '2', '3'\]",
    ):
        assign(published, DEFAULT.model_copy(update={"test_folds": ("9",)}), 1)
    with pytest.raises(
        InputError, match=r"12 patients cannot be assigned .*: train would be empty"
    ):
        assign(published, DEFAULT.model_copy(update={"test_folds": ("1", "2", "3")}), 1)


def test_cases_that_look_alike_are_one_patient_whatever_their_ids_say():
    whole = single(20).model_copy(
        update={"alike": (("P003-0", "P011-0", 0.95), ("P011-0", "P017-0", 0.9))}
    )
    for seed in range(8):
        made = assign(whole, DEFAULT, seed)
        parts = [
            part
            for part in (made.train, made.val, made.test)
            if {"P003-0", "P011-0", "P017-0"} & set(part)
        ]
        assert len(parts) == 1
        made.check_leakage(whole)
    assert {made.patients[case] for case in ("P003-0", "P011-0", "P017-0")} == {"P003"}


def test_the_gate_names_every_pair_that_leaks():
    whole = single(20)
    made = assign(whole, DEFAULT, 1)
    image = FileEntry(
        path="a",
        sha256="a",
        content_sha256="0123456789abcdef",
        dtype="int16",
        minimum=0,
        maximum=1,
        origin_sha256=None,
    )
    holders = {made.train[0], made.test[0]}
    cases = tuple(
        entry.model_copy(update={"images": {"t1n": image} if entry.case in holders else {}})
        for entry in whole.cases
    )
    leaking = whole.model_copy(
        update={"cases": cases, "alike": ((made.val[0], made.test[1], 0.97),)}
    )
    with pytest.raises(InputError) as refused:
        made.check_leakage(leaking)
    assert f"{min(holders)} in" in str(refused.value)
    assert "share the voxels 0123456789abcdef" in str(refused.value)
    assert (
        f"{made.val[0]} in val and {made.test[1]} in test look like one examination (similarity"
        " 0.97)" in str(refused.value)
    )
