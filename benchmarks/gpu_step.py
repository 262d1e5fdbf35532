"""Milliseconds of a training step as `train` takes it on a GPU, with a device feed.

    python -m benchmarks.gpu_step OUT [ROW ...] [--fast]

Medians over epochs of `training`, whose threads draw the recipes of the batches. `given`: the same
step on one batch that lies on the device already, so that the rest is the cost of data and
augmentation. The peak of memory is that of all rows of the process so far.
"""

import argparse
import os
import statistics
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from benchmarks import gpu_setup
from benchmarks.gpu_results import record
from benchmarks.gpu_setup import PATCH, TINY
from pipeline.network import architectures, backend, training
from pipeline.network.setup import Setup

CASES, CALL = (3, 2) if TINY else (16, 8)
EPOCHS = 1 if TINY else 3  # timed, after one that compiles
SPATIAL = {"rotation": {"probability": 0.5}, "scaling": {"probability": 0.5}}
EVERY = {name: {"probability": 0.2} for name in ("elastic", "blur", "low_resolution")}


class Row(NamedTuple):
    batch: int = 2
    precision: str = "mixed_bfloat16"
    given: bool = False
    on_the_fly: dict = SPATIAL  # beside the intensities of params.yaml
    slices: bool = False


ROWS = {
    "batch 2": Row(given=True),
    "batch 4": Row(4),
    "batch 8": Row(8),
    "every transform": Row(on_the_fly=SPATIAL | EVERY),
    "float32": Row(precision="float32"),
    "slices": Row(4 if TINY else 64, slices=True, given=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all without")
    parser.add_argument("--fast", action="store_true", help="not deterministic")
    parser.add_argument("--device", action="store_true", help="name the device, no rows")
    chosen = parser.parse_args()
    if chosen.device:
        device(chosen.out)
        return
    for name in chosen.rows or ROWS:
        part = "slices" if ROWS[name].slices else "step"
        name_of_row = name + ", not deterministic" * chosen.fast
        try:
            record(chosen.out, part, name_of_row, **measured(ROWS[name], chosen.fast))
        except Exception as error:
            said = f"{type(error).__name__}: {str(error)[:200]}"
            record(chosen.out, part, name_of_row, failed=said)


def device(out: Path) -> None:
    """What is measured on."""
    where = jax.devices()[0]
    query = ["nvidia-smi", "--query-gpu=driver_version,power.limit", "--format=csv,noheader"]
    said = "" if TINY else subprocess.run(query, capture_output=True, text=True).stdout.strip()
    versions = ", ".join(f"{name} {version}" for name, version in backend.versions().items())
    cores, flags = len(os.sched_getaffinity(0)), os.environ["XLA_FLAGS"]
    record(out, "device", where.device_kind, driver=said, versions=versions, cores=cores, xla=flags)


def measured(row: Row, fast: bool) -> dict:
    """Times of a row."""
    network, patch = dict(gpu_setup.VOLUMES), PATCH
    if row.slices:
        network |= {"dimensions": 2, "max_filters": 512, "deep_supervision": False}
        network |= {"depth": 2 if TINY else 5}
        patch = (16, 16) if TINY else (192, 160)
    about = {"batch_size": row.batch, "patch": patch, "precision": row.precision}
    calls = 1 if TINY else max(1, 10 // row.batch) if not row.slices else 5
    length = {"epochs": EPOCHS + 1, "steps_per_epoch": CALL * calls, "steps_per_call": CALL}
    made = gpu_setup.setup(network, about | length | {"deterministic": not fast}, row.on_the_fly)
    feed = made.feed(gpu_setup.noise(CASES))
    model = made.model()
    milliseconds, compiled = _timed(made, model, feed)
    found = {
        "batch": row.batch,
        "precision": row.precision,
        "weights": model.count_params(),
        "ms": milliseconds,
        "slices_s" if row.slices else "patches_s": 1e3 * row.batch / milliseconds,
        "compile_s": compiled,
        "peak_gb": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e9,
    }
    if row.given and not fast:
        image, target = jax.jit(lambda *given: feed.batch(*given))(
            feed.constants(1), feed.item(1, 0)
        )
        batch = {"image": image, "target": target}
        still = training.Feed(
            lambda epoch, step: np.zeros(1),
            lambda constants, item: (constants["image"], constants["target"]),
            lambda epoch: batch,
            CALL,
        )
        given, _ = _timed(made, model, still)
        found |= {"given_ms": given, "data_percent": 100 * (milliseconds / given - 1)}
    return found


def _timed(made: Setup, model, feed: training.Feed) -> tuple[float, float]:
    """Milliseconds of a step, and seconds that the first epoch took longer than the others."""
    rule = made.optimizer()
    rule.build(model.trainable_variables)
    factors = architectures.coarsening(model, made.train.patch)
    total = training.supervised(made.loss(), factors)
    steps = backend.steps(model, total, rule, feed.batch)
    schedule = made.schedule(workers=min(len(os.sched_getaffinity(0)), 8))
    history, seconds = [], []
    with closing(training._prefetch(feed, schedule, first=1)) as items:
        for _ in range(schedule.epochs):
            started = time.perf_counter()
            training._train_epoch(steps, feed, schedule, items, history)
            seconds.append(time.perf_counter() - started)
            history.append({"val_loss": 1.0})
    epoch = statistics.median(seconds[1:])
    return 1e3 * epoch / schedule.steps_per_epoch, seconds[0] - epoch


if __name__ == "__main__":
    main()
