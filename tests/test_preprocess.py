"""The stage that makes shards: the same bytes whoever works on them, in whatever order, after
whatever happened before.
"""

import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.catalogue import Catalogue
from pipeline.core.cores import usable_cores
from pipeline.core.errors import InputError
from pipeline.core.records import write_json
from pipeline.formats import raw_cases
from pipeline.preparation import shards
from pipeline.preparation.params import PreprocessingConfig
from pipeline.preparation.preprocessing import prepare
from pipeline.preprocess import preprocess
from pipeline.verification import checks

pytestmark = pytest.mark.slow

CONFIG = PreprocessingConfig(
    spacing_mm=(2.0, 1.5, 1.0),
    foreground="nonzero",
    margin_voxels=2,
    clip_percentiles=(0.5, 99.5),
    dtype="float16",
)


def catalogued(cohort: Path) -> Catalogue:
    """Verify a cohort where it lies, as `download` does where it copies it."""
    schema, found = brats.find(cohort)
    catalogue = Catalogue(
        cohort=schema,
        licence="",
        cases=tuple(checks.verify(case, schema).entry for case in found),
        alike=(),
    )
    write_json(cohort / "catalogue.json", catalogue)
    return catalogue


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@contextmanager
def on_one_core():
    """What this process may run on decides the number of workers."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def test_every_case_becomes_an_image_its_classes_and_the_way_back(cohort, tmp_path):
    catalogue = catalogued(cohort)
    preprocess(cohort, tmp_path / "shards", CONFIG)
    kinds = ("classes.npy", "grid.json", "image.npy")
    assert list(contents(tmp_path / "shards")) == [
        f"{entry.case}.{kind}" for entry in catalogue.cases for kind in kinds
    ]
    entry = catalogue.cases[3]
    expected = prepare(raw_cases.read(raw_cases.found_in(cohort, entry), catalogue.cohort), CONFIG)
    shard = shards.read(tmp_path / "shards", entry.case)
    assert shard.image.dtype == np.float16
    np.testing.assert_array_equal(shard.image, expected.image)
    np.testing.assert_array_equal(shard.classes, expected.classes)
    assert np.unique(shard.classes).tolist() == [0, 1, 2, 3]
    assert shards.read_geometry(tmp_path / "shards", entry.case) == expected.geometry


def test_one_worker_and_several_make_the_same_bytes_in_any_order_of_cases(cohort, tmp_path):
    catalogue = catalogued(cohort)
    preprocess(cohort, tmp_path / "several", CONFIG)
    backwards = catalogue.model_copy(update={"cases": tuple(reversed(catalogue.cases))})
    write_json(cohort / "catalogue.json", backwards)
    with on_one_core():
        assert usable_cores() == 1
        preprocess(cohort, tmp_path / "one", CONFIG)
    assert contents(tmp_path / "one") == contents(tmp_path / "several")


def test_what_a_killed_run_left_is_made_anew(cohort, tmp_path):
    entries = catalogued(cohort).cases
    preprocess(cohort, tmp_path / "shards", CONFIG)
    expected = contents(tmp_path / "shards")
    image = tmp_path / f"shards/{entries[0].case}.image.npy"
    image.write_bytes(image.read_bytes()[:200])
    (tmp_path / f"shards/{entries[1].case}.grid.json").unlink()
    preprocess(cohort, tmp_path / "shards", CONFIG)
    assert contents(tmp_path / "shards") == expected


def test_a_missing_catalogue_is_named_with_what_makes_it(tmp_path):
    with pytest.raises(InputError, match=r"raw/catalogue\.json: cannot be read .*dvc repro"):
        preprocess(tmp_path / "raw", tmp_path / "shards", CONFIG)
    assert not (tmp_path / "shards").exists()


def test_a_catalogue_that_is_none_is_named(tmp_path):
    (tmp_path / "catalogue.json").write_text('{"cases": 3}')
    with pytest.raises(InputError, match=r"catalogue\.json\.cases: .*got 3"):
        preprocess(tmp_path, tmp_path / "shards", CONFIG)


def test_every_case_that_went_bad_since_it_was_verified_is_named(cohort, tmp_path):
    entries = catalogued(cohort).cases
    (cohort / entries[2].images["t1c"].path).unlink()
    (cohort / entries[5].images["t2f"].path).write_bytes(b"no volume")
    with pytest.raises(
        InputError,
        match=(
            r"(?s)00002_t1ce\.nii\.gz: cannot be read.*00005_flair\.nii\.gz.*2 of 8 cases rejected"
        ),
    ):
        preprocess(cohort, tmp_path / "shards", CONFIG)
