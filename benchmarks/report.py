"""The report of 200 cases, three of them pictured at the size of BraTS: what it takes to draw, how
large it is, how soon it answers.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import cohorts
from benchmarks.measuring import Figure, apart
from pipeline.core.params import read
from pipeline.runtime import parallel
from tests.browser import CHROMIUM, Browser

REPEATS = 3
CASES = 200
PICTURED = 3


def figures(repeats: int) -> Iterator[Figure]:
    """Seconds and memory of drawing, on two cores, then seconds in a headless browser."""
    raw, seconds, memory, interactive = cohorts.phantoms(PICTURED), [], [], []
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        for _ in range(repeats):
            size, ran = apart(drawn, str(raw), str(page), cores=2)
            seconds.append(ran.seconds)
            memory.append(ran.tree_gb)
        if CHROMIUM:
            with Browser() as browser:
                for _ in range(repeats):
                    opened = browser.open(page)
                    interactive.append(opened.seconds_to_interactive())
                    opened.close()
    note = f"{PICTURED} cases of 240 x 240 x 155 pictured and in the viewer; made scores"
    yield Figure(f"report of {CASES} cases", "s", seconds, at_most=60, note=note)
    yield Figure("memory of all its processes", "GB", memory, at_most=2)
    yield Figure("size of the page", "MB", [size / 1e6], at_most=25)
    yield Figure(
        "interactive in a browser",
        "s",
        interactive,
        at_most=3,
        note="" if CHROMIUM else "skipped: no chromium on PATH",
    )


def drawn(raw: str, page: str) -> int:
    """Draw and write the report; its bytes."""
    from functools import partial

    from pipeline.core.catalogue import Catalogue
    from pipeline.core.records import read_json
    from pipeline.report.page.report import report_page
    from pipeline.report.plots.figures import figures_of
    from tests.report.made_runs import made_run

    catalogue = read_json(Path(raw) / "catalogue.json", Catalogue)
    shown = parallel.over_cases(partial(pictured, raw=raw), range(PICTURED), "picture")
    pictures, volumes = zip(*shown, strict=True)
    run = made_run(catalogue.cohort, CASES, pictured=pictures, volumes=volumes)
    Path(page).write_text(report_page(run, figures_of(run, _params()["dpi"])), encoding="utf-8")
    return Path(page).stat().st_size


def pictured(number: int, raw: str) -> tuple:
    """Pictures and volumes of a case, under the name of a made one, whose prediction is its
    reference two voxels aside.
    """
    from pipeline.core.catalogue import Catalogue
    from pipeline.core.records import read_json
    from pipeline.formats import raw_cases
    from pipeline.report.plots.animation import animation
    from pipeline.report.plots.overlays import overlay
    from pipeline.report.plots.planes import view_of
    from pipeline.report.plots.viewer_volumes import viewer_volumes
    from pipeline.report.results import Pictured

    catalogue = read_json(Path(raw) / "catalogue.json", Catalogue)
    case = raw_cases.read(raw_cases.found_in(Path(raw), catalogue.cases[number]), catalogue.cohort)
    view, params = (
        view_of(case, np.roll(case.classes, 2, axis=0), catalogue.cohort.modalities),
        _params(),
    )
    film = animation(view, catalogue.cohort, params["frames"], params["seconds_per_frame"])
    return Pictured(
        f"Made_{number:05d}", overlay(view, catalogue.cohort, "", params["dpi"]), film
    ), viewer_volumes(view, catalogue.cohort)


def _params() -> dict:
    return read(Path("params.yaml"))["visualize"]
