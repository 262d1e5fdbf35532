"""The stage that makes copies: of train alone, recorded so that every byte can be made again."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.augment import augment
from pipeline.augmentation.copies import Draw, Ranges, apply
from pipeline.augmentation.params import AugmentParams
from pipeline.core import extensions, params
from pipeline.core.errors import InputError
from pipeline.core.folds import Split
from pipeline.core.records import read_csv, write_json
from pipeline.preparation import shards
from pipeline.preparation.params import PreprocessingConfig
from pipeline.preprocess import preprocess
from tests.test_preprocess import catalogued, contents

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
CASES = [f"BraTS2021_{number:05d}" for number in range(8)]
PARTS = Split(
    train=tuple(CASES[:4]),
    val=tuple(CASES[4:6]),
    test=tuple(CASES[6:]),
    folds=(tuple(CASES[:3]), tuple(CASES[3:6])),
    patients={case: case for case in CASES},
)
CONFIG = PreprocessingConfig(
    spacing_mm=None,
    foreground="nonzero",
    margin_voxels=1,
    clip_percentiles=(0.5, 99.5),
    dtype="float16",
)


@pytest.fixture
def data(cohort, tmp_path) -> Path:
    """A folder with catalogue, shards and split; copies go beside them."""
    write_json(tmp_path / "raw/catalogue.json", catalogued(cohort))
    preprocess(cohort, tmp_path / "shards", CONFIG)
    write_json(tmp_path / "split.json", PARTS)
    return tmp_path


def ranges() -> dict:
    """The ranges of params.yaml, every transform acting more often than not."""
    section = params.read(ROOT / "params.yaml")["augment"]["ranges"]
    return {
        name: span | {"probability": 0.8} if "probability" in span else span
        for name, span in section.items()
    }


def copied(data: Path, name: str, copies: int, seed: int = 7) -> dict[str, bytes]:
    section = params.value(
        {"augment": {"copies": copies, "ranges": ranges(), "own": []}},
        "augment",
        AugmentParams,
        ROOT / "params.yaml",
    )
    augment(
        data / "raw/catalogue.json",
        data / "split.json",
        data / "shards",
        data / name,
        section,
        extensions.NONE,
        seed,
    )
    return contents(data / name)


def test_copies_are_made_of_every_training_case_and_of_no_other(data):
    made = copied(data, "augmented", 2)
    names = [f"{case}~{copy}" for case in PARTS.train for copy in (1, 2)]
    assert sorted(made) == sorted(
        [f"{name}.{kind}.npy" for name in names for kind in ("image", "classes")] + ["table.csv"]
    )
    rows = read_csv(data / "augmented/table.csv")
    assert [row["name"] for row in rows] == names
    assert [row["case"] for row in rows] == [case for case in PARTS.train for _ in (1, 2)]
    assert len({row["seed"] for row in rows}) == 8


def test_copies_have_the_shape_and_dtype_of_the_shard_and_differ_from_it_and_from_each_other(data):
    made = copied(data, "augmented", 2)
    assert len({made[f"{case}~{copy}.image.npy"] for case in PARTS.train for copy in (1, 2)}) == 8
    for case in PARTS.train:
        shard = shards.read(data / "shards", case)
        for copy in (1, 2):
            copied_shard = shards.read(data / "augmented", f"{case}~{copy}")
            assert (copied_shard.image.shape, copied_shard.image.dtype) == (
                shard.image.shape,
                shard.image.dtype,
            )
            assert not np.array_equal(copied_shard.image, shard.image)
            assert set(np.unique(copied_shard.classes)) <= {0, 1, 2, 3}


def test_the_same_seed_makes_the_same_bytes_and_another_others(data):
    once = copied(data, "once", 1)
    assert copied(data, "again", 1) == once
    assert copied(data, "once", 1) == once  # over what is there already
    assert copied(data, "other", 1, seed=8)["table.csv"] != once["table.csv"]


def test_the_first_copy_stays_when_more_are_asked_for(data):
    one, three = copied(data, "one", 1), copied(data, "three", 3)
    assert {name: made for name, made in three.items() if "~1" in name} == {
        name: made for name, made in one.items() if "~1" in name
    }


def test_a_row_of_the_table_makes_its_copy_again(data):
    made = copied(data, "augmented", 1)
    transforms = Ranges.model_validate_json(json.dumps(ranges())).transforms()
    for row in read_csv(data / "augmented/table.csv"):
        shard = shards.read(data / "shards", row["case"])
        spacing_mm = shards.read_geometry(data / "shards", row["case"]).spacing_mm
        shards.write(
            data / "replayed",
            row["name"],
            *apply(Draw.from_row(row), transforms, shard.image, shard.classes, spacing_mm),
        )
    assert contents(data / "replayed") == {
        name: copy for name, copy in made.items() if name != "table.csv"
    }


def test_no_copies_leave_an_empty_table_that_reads_as_one(data):
    assert list(copied(data, "augmented", 0)) == ["table.csv"]
    assert read_csv(data / "augmented/table.csv") == []


def test_a_split_that_leaks_is_rejected_before_anything_is_written(data):
    write_json(data / "split.json", PARTS.model_copy(update={"test": (*PARTS.test, CASES[0])}))
    with pytest.raises(
        InputError, match=r"split\.json: patient BraTS2021_00000 is in train .* and in test"
    ):
        copied(data, "augmented", 1)
    assert not (data / "augmented").exists()


def test_a_training_case_without_a_shard_is_named(data):
    (data / f"shards/{CASES[1]}.image.npy").unlink()
    with pytest.raises(
        InputError, match=r"BraTS2021_00001\.image\.npy: is not a readable \.npy array"
    ):
        copied(data, "augmented", 1)
