"""Phantoms are put into a folder whole, kept when they are there, and made anew when seed or code differ."""

import numpy as np
import pytest

from pipeline.io import cases
from pipeline.sources import phantom


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two phantoms of seed 1."""
    raw = tmp_path_factory.mktemp("raw")
    return raw, phantom.generate(raw, 2, seed=1)


def files(raw) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in raw.rglob("*.nii.gz")}


def test_a_phantom_is_a_case_in_brats_naming_on_the_brats_grid(two):
    _, found = two
    entry = cases.verify(found[0], phantom.SCHEMA)
    assert entry.shape == (240, 240, 155)
    assert entry.spacing_mm == (1, 1, 1)
    assert entry.orientation == "LPS"
    assert {path.name for path in found[0].images.values()} == {f"Phantom_001_{name}.nii.gz" for name in ("t1", "t1ce", "t2", "flair")}
    assert entry.region_ml(phantom.SCHEMA, "WT") > 20


def test_two_phantoms_are_two_people(two):
    _, (one, other) = two
    images = [cases.read(found, phantom.SCHEMA).image[..., 0] for found in (one, other)]
    brains = [image > 0 for image in images]
    assert 0.7 < (brains[0] & brains[1]).sum() / (brains[0] | brains[1]).sum() < 0.99
    assert np.corrcoef(*(image[brains[0] & brains[1]] for image in images))[0, 1] < 0.95


def test_phantoms_that_are_there_are_kept_and_the_missing_ones_made(two):
    raw, found = two
    before = files(raw)
    found[1].labels.unlink()
    phantom.generate(raw, 2, seed=1)
    after = files(raw)
    assert {name for name in after if after[name] != before[name]} == {name for name in before if "002" in name}


def test_a_phantom_of_another_seed_takes_the_place_of_the_old_one(two, tmp_path):
    raw, found = two
    before = found[0].labels.read_bytes()
    phantom.generate(raw, 1, seed=2)
    assert found[0].labels.read_bytes() != before
    phantom.generate(raw, 1, seed=1)
    assert found[0].labels.read_bytes() == before


def test_one_case_of_every_five_does_not_enhance():
    for seed in (1, 2, 2026):
        enhancing = [phantom._enhances(number, seed) for number in range(25)]
        assert [sum(enhancing[first : first + 5]) for first in range(0, 25, 5)] == [4] * 5
