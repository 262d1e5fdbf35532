"""Verifying raw cases: every byte and voxel read, hashed, compared with the schema."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import cohorts
from benchmarks.measuring import Figure, apart, stopwatch
from pipeline import stage
from pipeline.domain.catalogue import Catalogue
from pipeline.io import cases
from pipeline.io.records import read_json

REPEATS = 3
CASES = 8


def figures(repeats: int) -> Iterator[Figure]:
    """Wall and processor seconds per case on two cores."""
    raw = cohorts.phantoms(CASES)
    runs = [apart(once, str(raw))[0] for _ in range(repeats)]
    yield Figure("verify", "s/case", [run["seconds"] / CASES for run in runs], note=f"{CASES} phantoms, 2 cores, workers running")
    yield Figure("verify, processor", "cpu s/case", [run["cpu_seconds"] / CASES for run in runs])


def once(raw: str) -> dict[str, float]:
    """Verify all cases of a folder twice by the same workers; the second time counts."""
    catalogue = read_json(Path(raw) / "catalogue.json", Catalogue)
    found = [cases.found_in(Path(raw), entry) for entry in catalogue.cases]
    for _ in range(2):
        with stopwatch() as taken:
            stage.over_cases(partial(cases.verify, schema=catalogue.cohort), found, "verify")
    return taken
