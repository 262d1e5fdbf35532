"""Verifying raw cases: every byte and voxel read, hashed, compared with the schema, and described
for the cohort.
"""

import statistics
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from benchmarks import cohorts
from benchmarks.measuring import ROOT, Figure, apart, stopwatch
from pipeline.core.catalogue import Catalogue
from pipeline.core.records import read_json
from pipeline.formats import raw_cases
from pipeline.runtime import parallel
from pipeline.verification import checks

REPEATS = 3
CASES = 8
AT_MOST = 0.6
"""Seconds per case on one core, or three times what reading the voxels takes, whichever is more."""


def figures(repeats: int) -> Iterator[Figure]:
    """Seconds per case on one core, beside SimpleITK's readers, and on two."""
    generated, real = cohorts.phantoms(CASES), cohorts.real()
    yield from _on_one_core("phantoms", generated, repeats)
    if real is None:
        yield Figure(
            "verify real",
            "cpu s/case",
            (),
            note=f"skipped: there is no ../{cohorts.REAL.relative_to(ROOT.parent)}",
        )
    else:
        yield from _on_one_core("real", real, repeats)
    runs = [apart(on_two_cores, str(generated)) for _ in range(repeats)]
    seconds = [run["seconds"] / CASES for run, _ in runs]
    yield Figure(
        "verify phantoms, two workers", "s/case", seconds, note=f"{CASES} cases, workers running"
    )
    yield Figure(
        "verify phantoms, two workers, processor",
        "cpu s/case",
        [run["cpu_seconds"] / CASES for run, _ in runs],
    )
    yield Figure(
        "verify phantoms, two workers, largest process", "GB", [ran.process_gb for _, ran in runs]
    )


def _on_one_core(kind: str, raw: Path, repeats: int) -> Iterator[Figure]:
    runs = [apart(on_one_core, str(raw), cores=1)[0] for _ in range(repeats)]
    theirs = statistics.median(run["simpleitk"] for run in runs)
    ours = [run["ours"] for run in runs]
    beside = (theirs, "cpu s by SimpleITK")
    reading = statistics.median(run["reading"] for run in runs)
    note = (
        f"{runs[0]['cases']} cases of five files, cached; {reading:.2f} s of it reading; wall"
        f" {min(run['wall'] for run in runs):.2f} s"
    )
    yield Figure(
        f"verify {kind}, one core",
        "cpu s/case",
        ours,
        at_most=max(AT_MOST, 3 * theirs),
        beside=beside,
        note=note,
    )


def on_one_core(raw: str) -> dict[str, float]:
    """Medians over the cases: verifying, only reading, and SimpleITK's reading, by turns, after one
    case that does not count.
    """
    catalogue = read_json(Path(raw) / "catalogue.json", Catalogue)
    found = [raw_cases.found_in(Path(raw), entry) for entry in catalogue.cases]
    taken = {"ours": [], "wall": [], "reading": [], "simpleitk": []}
    for case in [found[0], *found]:
        wall, started = time.perf_counter(), time.process_time()
        checks.verify(case, catalogue.cohort)
        taken["wall"].append(time.perf_counter() - wall)
        verified = time.process_time()
        raw_cases.read(case, catalogue.cohort)
        read = time.process_time()
        for path in (*case.images.values(), case.labels):
            sitk.ReadImage(str(path))
        taken["simpleitk"].append(time.process_time() - read)
        taken["reading"].append(read - verified)
        taken["ours"].append(verified - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()} | {
        "cases": len(found)
    }


def on_two_cores(raw: str) -> dict[str, float]:
    """Verify all cases of a folder twice by the same workers; the second time counts."""
    catalogue = read_json(Path(raw) / "catalogue.json", Catalogue)
    found = [raw_cases.found_in(Path(raw), entry) for entry in catalogue.cases]
    for _ in range(2):
        with stopwatch() as taken:
            parallel.over_cases(partial(checks.verify, schema=catalogue.cohort), found, "verify")
    return taken
