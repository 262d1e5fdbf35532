"""Preparing cases: seconds per case on two cores, as params.yaml says and on the raw
spacing.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import cohorts, nnunet
from benchmarks.measuring import ROOT, Figure, Watched, apart, stopwatch
from pipeline.core import params
from pipeline.core.catalogue import Catalogue
from pipeline.core.records import read_json
from pipeline.preparation.params import PreprocessingConfig
from pipeline.preprocess import preprocess

REPEATS = 3
CASES = 8


def figures(repeats: int) -> Iterator[Figure]:
    """Wall and processor seconds per case, memory of a worker, the start of the workers; a peer on
    the same cases.
    """
    generated = cohorts.phantoms(CASES)
    own_spacing_mm = params.read(ROOT / "params.yaml")["preprocess"]["spacing_mm"]
    if own_spacing_mm is not None:
        name = f"preprocess phantoms, {' x '.join(f'{length:g}' for length in own_spacing_mm)} mm"
        yield from _ours(
            name, [apart(once, str(generated), own_spacing_mm) for _ in range(repeats)]
        )
    yield from _beside_nnunet(generated, repeats)
    real = cohorts.real()
    if real is None:
        yield Figure(
            "preprocess real",
            "s/case",
            (),
            note=f"skipped: there is no ../{cohorts.REAL.relative_to(ROOT.parent)}",
        )
    else:
        yield from _ours(
            "preprocess real, raw spacing",
            [apart(once, str(real), None) for _ in range(repeats)],
            at_most=0.12,
        )


def _ours(
    name: str, runs: list[tuple[dict[str, float], Watched]], at_most: float = 0.5
) -> Iterator[Figure]:
    cases = runs[0][0]["cases"]
    yield Figure(
        name,
        "s/case",
        [run["seconds"] / cases for run, _ in runs],
        at_most=at_most,
        note=f"{cases} cases, 2 cores, workers running",
    )
    yield Figure(
        f"{name}, processor", "cpu s/case", [run["cpu_seconds"] / cases for run, _ in runs]
    )
    yield Figure(f"{name}, largest process", "GB", [ran.process_gb for _, ran in runs], at_most=1.5)
    yield Figure(
        f"{name}, start of two workers",
        "s",
        [run["start_seconds"] for run, _ in runs],
        note="once per stage",
    )


def _beside_nnunet(raw: Path, repeats: int) -> Iterator[Figure]:
    """Both on the raw spacing, by turns, so that they meet the same machine."""
    name = "preprocess phantoms, raw spacing"
    if not nnunet.installed():
        yield from _ours(name, [apart(once, str(raw), None) for _ in range(repeats)])
        yield Figure(f"{name}, nnU-Net", "s/case", (), note=nnunet.MISSING)
        return
    with nnunet.planned(raw) as preprocess_there:
        turns = [(apart(once, str(raw), None), preprocess_there()) for _ in range(repeats)]
    ours = list(_ours(name, [own for own, _ in turns]))
    yield from ours
    for figure, key in zip(ours, ("seconds", "cpu_seconds", "process_gb"), strict=False):
        theirs = [there[key] for _, there in turns]
        yield Figure(
            figure.name.replace(name, f"{name}, nnU-Net"),
            figure.unit,
            theirs,
            beside=(figure.median, "ours in the same run"),
        )


def once(raw: str, spacing_mm: list[float] | None) -> dict[str, float]:
    """Prepare all cases of a folder twice by the same workers; the first time tells what starting
    them takes.
    """
    config = params.value(
        params.read(ROOT / "params.yaml"), "preprocess", PreprocessingConfig, ROOT / "params.yaml"
    )
    config = PreprocessingConfig.model_validate(
        config.model_dump() | {"spacing_mm": spacing_mm and tuple(spacing_mm)}
    )
    with tempfile.TemporaryDirectory() as shards:
        with stopwatch() as first:
            preprocess(Path(raw), Path(shards), config)
        with stopwatch() as second:
            preprocess(Path(raw), Path(shards), config)
    cases = len(read_json(Path(raw) / "catalogue.json", Catalogue).cases)
    return second | {"cases": cases, "start_seconds": first["seconds"] - second["seconds"]}
