"""The whole promise: `dvc repro` in a fresh clone, from nothing to held-out Dice, and again with
nothing to do.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, Figure, Watched, watched
from pipeline.runtime.tracking import store

REPEATS = 1
CORES = 2
AGAIN = 3
_STARTED = re.compile(r"^Running stage '(\w+)'")


def figures(repeats: int) -> Iterator[Figure]:
    """Minutes, seconds per stage, Dice, memory, waiting share, and seconds of a repetition without
    changes.
    """
    runs = [once() for _ in range(repeats)]

    def of(key: str) -> list[float]:
        return [run[key] for run in runs]

    yield Figure(
        "repro",
        "min",
        of("minutes"),
        at_most=10,
        note=f"commit {_head()}, {CORES} cores; {_uncommitted()}",
    )
    yield Figure("repro, processor", "cpu min", of("cpu_minutes"))
    for name in runs[0]["stages"]:
        yield Figure(
            f"repro: {name}",
            "s",
            [run["stages"][name] for run in runs],
            note="with what DVC does after it",
        )
    yield Figure(
        "repro, mean region Dice",
        "",
        of("dice"),
        at_least=0.75,
        note=f"{runs[0]['cases']} held-out phantoms",
    )
    yield Figure(
        "repro, memory",
        "GB",
        of("tree_gb"),
        at_most=8,
        note="all processes together; shared pages count more than once",
    )
    yield Figure(
        "repro, waiting for batches",
        "%",
        of("waiting"),
        at_most=5,
        note=f"mean over epochs, worst {max(of('worst')):.1f} %",
    )
    yield Figure(
        "repro again",
        "s",
        [again.seconds for run in runs for again in run["again"]],
        at_most=5,
        note="nothing has changed",
    )
    yield Figure(
        "repro again, processor",
        "cpu s",
        [again.cpu_seconds for run in runs for again in run["again"]],
    )


def once() -> dict[str, Any]:
    """Clone, reproduce, repeat; the clone is removed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        first = dvc_repro(clone)
        again = [dvc_repro(clone) for _ in range(AGAIN)]
        evaluation = json.loads((clone / "metrics/evaluate.json").read_text())
        waiting = _waiting_shares(clone)
        return {
            "minutes": first.seconds / 60,
            "cpu_minutes": first.cpu_seconds / 60,
            "tree_gb": first.tree_gb,
            "stages": _stage_seconds(first),
            "dice": evaluation["mean_region_dice"]["value"],
            "cases": evaluation["cases"],
            "waiting": 100 * statistics.mean(waiting),
            "worst": 100 * max(waiting),
            "again": again,
        }


def dvc_repro(clone: Path, *arguments: str, cores: int = CORES) -> Watched:
    """Run `dvc repro` in a clone: with this interpreter first on the path, no GPU, and nothing of
    an outer DVC or MLflow.
    """
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))
    }
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONUNBUFFERED": "1",
    }
    return watched(
        [sys.executable, "-m", "dvc", "repro", *arguments],
        cores,
        clone,
        kept | own | {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )


def _stage_seconds(ran: Watched) -> dict[str, float]:
    """From DVC's word that a stage runs to the next such word, or to the end."""
    starts = [(seconds, found[1]) for seconds, line in ran.lines if (found := _STARTED.match(line))]
    return {name: end - start for (start, name), (end, _) in pairwise([*starts, (ran.seconds, "")])}


def _waiting_shares(clone: Path) -> list[float]:
    """What `train` logged for every epoch: the share of the time of its steps spent waiting for
    batches.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    client = MlflowClient(store.url_of(clone / "mlflow.db"))
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()]
    )
    return [
        point.value
        for run in runs
        for point in client.get_metric_history(run.info.run_id, "time/waiting")
    ]


def _head() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def _uncommitted() -> str:
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return f"{len(changed)} uncommitted changes are not in it" if changed else "nothing uncommitted"
