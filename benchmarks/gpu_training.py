"""A whole training on the device in use, and the scores of its held-out cases.

    python -m benchmarks.gpu_training OUT CLONE NAME [--epochs 16] [--steps-per-epoch 50]

CLONE is a clone of this repository in which a preset was applied and `dvc repro augment` ran. The
stages `train` and `evaluate` run with its params, into a temporary folder and without MLflow.
"""

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from benchmarks import gpu_network
from benchmarks.gpu_results import record
from pipeline import evaluate, train
from pipeline.core import params
from pipeline.core.records import read_csv
from pipeline.runtime import stage, tracking
from pipeline.runtime.errors import reported_errors


class Run:
    """Stands for the MLflow run: keeps what the stages log."""

    def __init__(self) -> None:
        self.epochs: list[dict] = []

    def log_epoch(self, figures: dict) -> None:
        """Keep an epoch's record and timing."""
        self.epochs.append(figures)

    def log_case(self, number: int, figures: dict) -> None:
        """Cases are read from the stage's table instead."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("clone", type=Path)
    parser.add_argument("name")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--steps-per-epoch", type=int)
    parser.add_argument("--filters", type=int)
    parser.add_argument("--depth", type=int)
    parser.add_argument(
        "--layers",
        choices=["present", "best"],
        default="present",
        help="of the network, see gpu_network.py",
    )
    parser.add_argument(
        "--scores", action="store_true", help="also segment and score the held-out cases"
    )
    chosen = parser.parse_args()
    run = Run()

    @contextmanager
    def kept(*_parts, **_settings):
        yield run

    tracking.run = kept
    with tempfile.TemporaryDirectory() as folder:
        record(chosen.out, "training", chosen.name, **trained(chosen, Path(folder), run))
        if chosen.scores:
            record(chosen.out, "held-out cases", chosen.name, **scored(chosen, Path(folder)))


def trained(chosen: argparse.Namespace, folder: Path, run: Run) -> dict:
    """Run the stage `train`; its times, and hashes that show whether two runs are equal."""
    values = params.read(chosen.clone / "params.yaml")
    for section, key in (
        ("train", "epochs"),
        ("train", "steps_per_epoch"),
        ("network", "filters"),
        ("network", "depth"),
    ):
        if getattr(chosen, key) is not None:
            values[section][key] = getattr(chosen, key)
    if chosen.layers == "best":
        values["network"]["architecture"] = f"{gpu_network.__name__}:{gpu_network.best.__name__}"
        values["own_code"]["train"] = gpu_network.__file__
    data = chosen.clone / "data"
    typed = _typed(values, train.train, chosen.clone)
    settings = typed["params"]
    started = time.perf_counter()
    train.train(
        data / "raw/catalogue.json",
        data / "split.json",
        data / "shards",
        data / "augmented",
        folder / "network.keras",
        folder / "card.json",
        folder / "history.csv",
        folder / "train.json",
        **typed,
    )
    taken = time.perf_counter() - started
    seconds = [figures["seconds"] for figures in run.epochs]
    later = run.epochs[1:] or run.epochs
    return {
        "flags": os.environ.get("XLA_FLAGS", ""),
        "steps": settings.epochs * settings.steps_per_epoch,
        "wall_s": taken,
        "first_epoch_s": seconds[0],
        "epoch_s": statistics.median(figures["seconds"] for figures in later),
        "waiting_share": statistics.median(figures["waiting"] for figures in later),
        "best_val_dice": max(figures["val_dice"] for figures in run.epochs),
        "epoch_1_sha256": hashlib.sha256(
            repr(run.epochs[0]["loss"]).encode() + repr(run.epochs[0]["val_loss"]).encode()
        ).hexdigest()[:12],
        "network_sha256": hashlib.sha256((folder / "network.keras").read_bytes()).hexdigest()[:16],
        "val_dice": [figures["val_dice"] for figures in run.epochs],
        "losses": [figures["loss"] for figures in run.epochs],
        "seconds": seconds,
    }


def scored(chosen: argparse.Namespace, folder: Path) -> dict:
    """Run the stage `evaluate`; Dice of the outermost region over the held-out cases."""
    values = params.read(chosen.clone / "params.yaml")
    started = time.perf_counter()
    evaluate.evaluate(
        chosen.clone / "data/raw",
        chosen.clone / "data/split.json",
        chosen.clone / "data/shards",
        folder,
        folder / "history.csv",
        folder / "predictions",
        folder / "cases.csv",
        folder / "tables",
        folder / "evaluate.json",
        folder / "headline.json",
        folder / "inference.json",
        **_typed(values, evaluate.evaluate, chosen.clone),
    )
    taken = time.perf_counter() - started
    rows = [row for row in read_csv(folder / "cases.csv") if row["kind"] == "region"]
    dice = sorted(float(row["dice"]) for row in rows if row["name"] == rows[0]["name"])
    return {
        "cases": len(dice),
        "dice_mean": statistics.mean(dice),
        "dice_median": statistics.median(dice),
        "dice_worst": dice[0],
        "below_half": sum(value < 0.5 for value in dice),
        "wall_s": taken,
        "dice": dice,
    }


def _typed(values: dict, function: Callable, clone: Path) -> dict:
    """What a stage takes from params.yaml, by the names of its arguments."""
    return {
        name: params.value(values, key, kind, clone / "params.yaml")
        for name, (key, kind) in stage.keys(function).items()
    }


if __name__ == "__main__":
    with reported_errors():
        main()
