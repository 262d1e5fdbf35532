"""The page in the browser with the network of models/: from dropped files to the mask, its memory
over many cases, and how soon its pages answer.

What is sent is what the page sends: one tar archive of four .nii.gz files of a BraTS case, or of a
phantom where there are none beside the repository, over HTTP on loopback. TUMORFLOW_SERVED_CASES
names another number of cases for the memory.
"""

import gc
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks import cohorts
from benchmarks.measuring import ROOT, Figure, apart, chosen_cores, memory_of, resident_gb
from tests.browser import CHROMIUM, Browser
from tests.serving.served import WORKED_ON, Served, packed, serving

REPEATS = 5
CASES = int(os.environ.get("TUMORFLOW_SERVED_CASES", "200"))
MODELS = ROOT / "models"
MODALITIES = ("t1", "t1ce", "t2", "flair")
KEPT = 5  # cases that stay on the page while others come and go
_LOOK_S = 0.05
_WARM_UP = 20  # cases after which memory is expected to be flat


def figures(repeats: int) -> Iterator[Figure]:
    """Seconds from drop to mask, memory, and seconds to interactive, all on two cores."""
    if not (MODELS / "inference.json").is_file():
        yield Figure("serve", "s", (), note="skipped: models/ holds no evaluated network")
        return
    cases = _cases()
    with _served() as served:
        _drop(served, cases[0])  # compiles the network for the shape of its windows
        drops = [_drop(served, cases[0]) for _ in range(repeats)]
        pages = _interactive(served, repeats) if CHROMIUM else {}
    (alone, command), _ = apart(predicted, [str(file) for file in cases[0]], repeats)
    for name, number, at_most, beside in (
        ("first picture", 0, 3, None),
        ("mask", 1, 12, (float(np.median(alone)), "in Python, model loaded")),
    ):
        seconds = [drop[number] for drop in drops]
        note = f"{_size(cases[0])}; the command predict takes {command:.1f} s" if beside else ""
        yield Figure(f"drop to {name}", "s", seconds, at_most=at_most, beside=beside, note=note)
    for name in ("list", "case", "case, with its viewer drawn"):
        note = "" if CHROMIUM else "skipped: no chromium on PATH"
        yield Figure(f"interactive: {name}", "s", pages.get(name, ()), at_most=2, note=note)
    yield from _memory(cases)


def _cases() -> list[list[Path]]:
    """The files of each case, one per modality."""
    if cohorts.REAL.is_dir():
        folders = sorted(path for path in cohorts.REAL.iterdir() if path.is_dir())
    else:
        folders = sorted(path for path in cohorts.phantoms(8).iterdir() if path.is_dir())
    files = [sorted(folder.glob("*.nii.gz")) for folder in folders]
    return [[file for file in case if "seg" not in file.name] for case in files]


def _size(case: Sequence[Path]) -> str:
    return f"{case[0].parent.name}, {sum(file.stat().st_size for file in case) / 1e6:.0f} MB"


def _served() -> Iterator[Served]:
    raise NotImplementedError


def _drop(served: Served, case: Sequence[Path]) -> tuple[float, float]:
    """Seconds until the first picture of a case has arrived, and until its mask has."""
    raise NotImplementedError


def _interactive(served: Served, repeats: int) -> dict[str, list[float]]:
    raise NotImplementedError


def _memory(cases):
    raise NotImplementedError


def predicted(files: list[str], repeats: int) -> tuple[list[float], float]:
    raise NotImplementedError
