"""Phantoms are put into a folder whole, and made again when seed or code differ."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import phantom
from pipeline.formats import raw_cases
from pipeline.verification import checks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two phantoms of seed 1."""
    raw = tmp_path_factory.mktemp("raw")
    return raw, phantom.generate(raw, 2, seed=1)


def contents(raw: Path) -> dict[str, bytes]:
    return {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*.nii.gz")}


def test_a_phantom_is_a_case_in_brats_naming_on_the_brats_grid(two):
    _, found = two
    entry = checks.verify(found[0], phantom.SCHEMA).entry
    assert entry.shape == (240, 240, 155)
    assert entry.spacing_mm == (1, 1, 1)
    assert entry.orientation == "LPS"
    assert {path.name for path in found[0].images.values()} == {
        f"Phantom_001_{name}.nii.gz" for name in ("t1", "t1ce", "t2", "flair")
    }
    assert entry.region_ml(phantom.SCHEMA, "WT") > 20


def test_two_phantoms_are_two_people(two):
    _, (one, other) = two
    images = [raw_cases.read(found, phantom.SCHEMA).image[..., 0] for found in (one, other)]
    brains = [image > 0 for image in images]
    assert 0.7 < (brains[0] & brains[1]).sum() / (brains[0] | brains[1]).sum() < 0.99
    assert np.corrcoef(*(image[brains[0] & brains[1]] for image in images))[0, 1] < 0.95


def test_a_phantom_with_files_missing_or_cut_is_made_again_and_the_others_are_kept(two):
    raw, found = two
    before, time_ns = contents(raw), found[0].labels.stat().st_mtime_ns
    cut = found[1].images["t2f"]
    cut.write_bytes(cut.read_bytes()[:-1000])
    found[1].images["t1c"].unlink()
    phantom.generate(raw, 2, seed=1)
    assert contents(raw) == before
    assert found[0].labels.stat().st_mtime_ns == time_ns


def test_a_phantom_of_another_seed_takes_the_place_of_the_old_one(two, tmp_path):
    raw, found = two
    for path in (raw, raw.with_name(f".{raw.name}-made-by")):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    phantom.generate(tmp_path / raw.name, 1, seed=2)
    (labels,) = (tmp_path / raw.name).glob("*/*_seg.nii.gz")
    assert labels.name == found[0].labels.name
    assert labels.read_bytes() != found[0].labels.read_bytes()


def test_a_generation_killed_while_it_wrote_ends_with_the_same_bytes(two, tmp_path):
    program = (
        "import pathlib, pipeline.cohorts.phantom as phantom;"
        f" phantom.generate(pathlib.Path({str(tmp_path)!r}), 1, seed=1)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not (tmp_path / ".partial-Phantom_001").exists():
        assert running.poll() is None, "nothing was half written at any time"
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert (tmp_path / ".partial-Phantom_001").exists()
    assert not (tmp_path / "Phantom_001").exists()
    phantom.generate(tmp_path, 1, seed=1)
    assert contents(tmp_path) == {
        name: stored for name, stored in contents(two[0]).items() if "Phantom_001" in name
    }


def test_one_case_of_every_five_does_not_enhance():
    for seed in (1, 2, 2026):
        enhancing = [phantom._enhances(number, seed) for number in range(25)]
        assert [sum(enhancing[first : first + 5]) for first in range(0, 25, 5)] == [4] * 5
