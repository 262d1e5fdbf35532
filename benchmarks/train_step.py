"""Seconds per training step, as `train` runs it: batches made by its threads, network, loss,
optimizer, running average; beside it, by turns in the same process, the same network of Keras's own
layers through `train_on_batch`, fed by the same batches.

    python benchmarks/train_step.py                # the table, each row in a process of its own
    python benchmarks/train_step.py --cores 2 --rows "2D 96" "3D 64"

Processor seconds of a process that is pinned to one core hardly depend on what else the machine
does; wall seconds do. The ratio is the median over pairs of steps that followed each other.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROWS = {
    "2D 192": {"patch": (192, 192), "batch": 8, "filters": 32, "max_filters": 512},
    "3D 96": {"patch": (96, 96, 96), "batch": 1, "filters": 16, "max_filters": 256},
    "2D 96": {"patch": (96, 96), "batch": 16, "filters": 16, "max_filters": 256},
    "3D 64": {"patch": (64, 64, 64), "batch": 2, "filters": 16, "max_filters": 256},
}
DEPTH, MODALITIES, REGIONS = 5, 4, 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument(
        "--normalization", choices=["instance", "group", "batch"], default="instance"
    )
    parser.add_argument(
        "--steps", type=int, default=5, help="timed steps, after two that are not (default: 5)"
    )
    parser.add_argument(
        "--cores", type=int, default=1, help="cores that each process may use (default: 1)"
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(
            json.dumps(
                measure(chosen.rows[0], chosen.precisions[0], chosen.normalization, chosen.steps)
            )
        )
        return
    print(
        f"{'shape':8} {'precision':15} {'batch':>5} {'parameters':>11} {'cpu s/step':>11}"
        f" {'wall s/step':>12} {'of Keras':>9} {'peak GB':>8}"
    )
    for row in chosen.rows:
        for precision in chosen.precisions:
            found = in_a_process(row, precision, chosen)
            figures = (
                f"{found['parameters']:>11,} {found['cpu']:>11.3f} {found['wall']:>12.3f}"
                f" {found['ratio']:>9.2f} {found['peak_gb']:>8.2f}"
            )
            print(f"{row:8} {precision:15} {ROWS[row]['batch']:>5} {figures}", flush=True)


def in_a_process(row: str, precision: str, chosen: argparse.Namespace) -> dict:
    cores = sorted(os.sched_getaffinity(0))[-chosen.cores :]
    command = [sys.executable, __file__, "--one", "--rows", row, "--precisions", precision]
    command += ["--normalization", chosen.normalization, "--steps", str(chosen.steps)]
    ran = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return json.loads(ran.stdout.splitlines()[-1])


def measure(row: str, precision: str, normalization: str, steps: int) -> dict:
    """Medians over steps on random numbers: the arithmetic does not depend on them."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from pipeline.core import params
    from pipeline.network import backend, training, unet
    from pipeline.network.layers.exchange import fast
    from pipeline.network.losses import DiceCrossEntropy
    from pipeline.network.params import NetworkParams

    settings = ROWS[row]
    backend.prepare(0, precision)
    path = Path(__file__).parent.parent / "params.yaml"
    changes = {name: settings[name] for name in ("filters", "max_filters")}
    changes |= {"dimensions": len(settings["patch"]), "depth": DEPTH}
    shape = params.value(params.read(path), "network", NetworkParams, path)
    shape = shape.model_copy(update=changes | {"normalization": normalization})
    own = unet.build(shape, MODALITIES, REGIONS)
    loss, parameters = DiceCrossEntropy("regions", 1.0, 1.0), own.count_params()
    own.compile(_adam(), loss, jit_compile=False, auto_scale_loss=False)
    ours, adam = fast(own), _adam()
    adam.build(ours.trainable_variables)
    total = training.supervised(loss, [(1,) * shape.dimensions])
    taken = backend.steps(ours, total, adam, lambda constants, item: item)
    schedule = training.Schedule(1, 2 * (steps + 2), 0, lambda step, losses: 1e-3)
    batches = training._prefetch(_feed(settings), schedule, 1)
    rate, turns = np.full(1, 1e-3, np.float32), {"ours": [], "keras": []}

    def our_step():
        image, target = next(batches)
        float(taken.run({}, (image[None], target[None]), rate)[0])

    for _ in range(steps + 2):
        for name, step in (
            ("ours", our_step),
            ("keras", lambda: own.train_on_batch(*next(batches))),
        ):
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            turns[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    cpus, walls = zip(*turns["ours"][2:], strict=True)
    pairs = zip(turns["ours"][2:], turns["keras"][2:], strict=True)
    return {
        "parameters": parameters,
        "cpu": statistics.median(cpus),
        "wall": statistics.median(walls),
        "ratio": statistics.median(one[0] / other[0] for one, other in pairs),
        "keras_cpu": statistics.median(cpu for cpu, _ in turns["keras"][2:]),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def _adam():
    from pipeline.network import optimizer

    return optimizer.build(
        "adam", weight_decay=0.0, momentum=0.0, clip_norm=12.0, ema_momentum=0.99
    )


def _feed(settings: dict):
    """Batches as params.yaml augments them, of cases of noise in memory."""
    from pipeline.augmentation.on_the_fly import OnTheFly
    from pipeline.cohorts import brats
    from pipeline.core import params
    from pipeline.network.batches.host import HostBatches
    from pipeline.network.batches.recipes import Recipes
    from pipeline.network.training import Feed
    from pipeline.preparation.shards import Shard

    path, numbers = Path(__file__).parent.parent / "params.yaml", np.random.default_rng(0)
    grid = (*(max(side, 100) for side in settings["patch"]), 100)[:3]
    brain = np.indices(grid).sum(axis=0) > 40
    image = (numbers.normal(size=(*grid, MODALITIES)) * brain[..., None]).astype(np.float16)
    classes = (numbers.integers(0, 4, grid) * brain).astype(np.uint8)
    ranges = params.value(params.read(path), "train.on_the_fly", OnTheFly, path)
    schema = brats.schema("_")
    recipes = Recipes(
        [Shard("noise", image, classes)],
        len(schema.labels),
        settings["patch"],
        settings["batch"],
        0.5,
        0,
        (1.0, 1.0, 1.0),
        ranges,
        [[0]],
    )
    return Feed(HostBatches(recipes, schema, "regions").training)


if __name__ == "__main__":
    main()
