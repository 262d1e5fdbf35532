"""The page in the browser with the network of models/: from dropped files to the mask, its memory
over many cases, and how soon its pages answer.

What is sent is what the page sends: one tar archive of four .nii.gz files of a BraTS case, or of a
phantom where there are none beside the repository, over HTTP on loopback. TUMORFLOW_SERVED_CASES
names another number of cases for the memory.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
DRAWN = """document.querySelector(".viewer-where")?.textContent
  && !document.querySelector(".viewer[aria-busy]")"""
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
        ("all downloads", 2, None, None),
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


@contextmanager
def _served() -> Iterator[Served]:
    """A server on two cores that has loaded its network."""
    with tempfile.TemporaryDirectory() as folder:
        on_two = {
            "preexec_fn": lambda: os.sched_setaffinity(0, chosen_cores(2)),
            "stdout": subprocess.DEVNULL,
        }
        kept = ("--corrections", str(Path(folder) / "corrected"))
        with serving(MODELS, Path(folder) / "store", *kept, **on_two) as served:
            yield served


def _drop(served: Served, case: Sequence[Path]) -> tuple[float, float, float]:
    """Seconds until the first picture of a case has arrived, until its mask has, and until all of
    its downloads can be had.
    """
    started, pictured = time.perf_counter(), None
    sent = served.upload(packed(case, case[0].parents[1]), case[0].parent.name)
    while (state := served.state(sent))["status"] in WORKED_ON:
        if pictured is None and state["series"]:
            served.ask("GET", f"/api/cases/{sent}/thumbnails/0.png")
            pictured = time.perf_counter() - started
        time.sleep(_LOOK_S)
    if state["status"] != "done":
        raise RuntimeError(f"{case[0].parent.name} is {state['status']}: {state['message']}")
    served.ask("GET", f"/api/cases/{sent}/scene/prediction.nii.gz")
    masked = time.perf_counter() - started
    while not served.state(sent)["downloads"]["is_complete"]:
        time.sleep(_LOOK_S)
    return pictured or masked, masked, time.perf_counter() - started


def _interactive(served: Served, repeats: int) -> dict[str, list[float]]:
    """Seconds of the list of cases and of a case that is done, each opened in a new tab."""
    case = served.ask("GET", "/api/cases").json()[0]["id"]
    found: dict[str, list[float]] = {}
    with Browser() as browser:
        for _ in range(repeats):
            for name, path in (("list", "/"), ("case", f"/cases/{case}")):
                page = browser.open(f"{served.address}{path}")
                found.setdefault(name, []).append(page.seconds_to_interactive())
                if name == "case":
                    page.wait_for(DRAWN)
                    drawn = page.evaluate("performance.now()") / 1000
                    found.setdefault(f"{name}, with its viewer drawn", []).append(drawn)
                page.close()
    return found


def _memory(cases: Sequence[list[Path]]) -> Iterator[Figure]:
    """Resident memory of a new server and its processes, after each case and at most; the oldest
    cases are deleted.
    """
    sizes, most = [], islice(cycle(cases), CASES)
    with _served() as served, memory_of(served.pid) as memory:
        for case in most:
            _drop(served, case)
            for old in served.ask("GET", "/api/cases").json()[KEPT:]:
                served.ask("DELETE", f"/api/cases/{old['id']}")
            sizes.append(resident_gb(served.pid) * 1000)
    later = np.array(sizes[_WARM_UP:])
    slope, _ = np.polyfit(np.arange(len(later)), later, 1)
    note = f"{len(sizes)} cases; a straight line through those after {_WARM_UP}: "
    note += f"{later[0]:.0f} MB, then {later[-1]:.0f} MB"
    yield Figure("memory, growth", "MB/case", [float(slope)], at_most=0.25, note=note)
    note = "server and both processes together; pages they share count more than once"
    yield Figure("memory, most", "GB", [memory.tree_gb], at_most=3, note=note)


def predicted(files: list[str], repeats: int) -> tuple[list[float], float]:
    """Seconds of segmenting and writing a case in this process, after one that compiles; and of the
    command, which loads the network.
    """
    from pipeline import api

    case, model, seconds = Path(files[0]).parent, api.load(MODELS), []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats + 1):
            started = time.perf_counter()
            model.segment(case).save(Path(folder) / f"{number}.nii.gz")
            seconds.append(time.perf_counter() - started)
        command = ["predict", str(case), "--model", str(MODELS), "--out", folder]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pipeline", *command], cwd=ROOT, check=True)
    return seconds[1:], time.perf_counter() - started
