"""Seconds per training step of the U-Net, as `train` runs it: network, loss, optimizer, running
average.

    python benchmarks/train_step.py                      # the table, each row in a process of its
    own python benchmarks/train_step.py --cores 2 --rows "2D 128" "3D 64"

Processor seconds of a process that is pinned to one core hardly depend on what else the machine
does; wall seconds do.
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

ROWS = {
    "2D 192": {"patch": (192, 192), "batch": 8, "filters": 32, "max_filters": 512},
    "3D 96": {"patch": (96, 96, 96), "batch": 1, "filters": 16, "max_filters": 256},
    "2D 128": {"patch": (128, 128), "batch": 16, "filters": 16, "max_filters": 256},
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
        f" {'wall s/step':>12} {'peak GB':>8}"
    )
    for row in chosen.rows:
        for precision in chosen.precisions:
            found = in_a_process(row, precision, chosen)
            figures = (
                f"{found['parameters']:>11,} {found['cpu']:>11.3f} {found['wall']:>12.3f}"
                f" {found['peak_gb']:>8.2f}"
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
    import numpy as np

    from pipeline.network import backend, optimizer, training, unet
    from pipeline.network.losses import DiceCrossEntropy
    from pipeline.network.params import NetworkParams

    settings = ROWS[row]
    backend.prepare(0, precision)
    shape = NetworkParams(
        architecture="unet",
        options={},
        dimensions=len(settings["patch"]),
        depth=DEPTH,
        filters=settings["filters"],
        max_filters=settings["max_filters"],
        normalization=normalization,
        slices=1,
        strides=None,
        kernels=None,
        encoder="plain",
        encoder_blocks=1,
        decoder_convolutions=2,
        deep_supervision=False,
        dropout=0.0,
        output="regions",
        type_head=False,
    )
    model = unet.build(shape, MODALITIES, REGIONS)
    adam = optimizer.build(
        "adam", weight_decay=0.0, momentum=0.0, clip_norm=12.0, ema_momentum=0.99
    )
    training.compile_for_training(model, DiceCrossEntropy("regions", 1.0, 1.0), adam)
    numbers = np.random.default_rng(0)
    image = numbers.normal(size=(settings["batch"], *settings["patch"], MODALITIES)).astype(
        np.float32
    )
    target = (numbers.random((settings["batch"], *settings["patch"], REGIONS)) < 0.1).astype(
        np.uint8
    )
    walls, cpus = [], []
    for _ in range(steps + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        model.train_on_batch(image, target)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "parameters": model.count_params(),
        "cpu": statistics.median(cpus[2:]),
        "wall": statistics.median(walls[2:]),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


if __name__ == "__main__":
    main()
