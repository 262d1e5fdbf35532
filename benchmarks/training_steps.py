"""A training step, beside nnU-Net's network on the same shapes and beside earlier figures of plain
Keras on another machine.
"""

import argparse
from collections.abc import Iterator

from benchmarks import nnunet, train_step
from benchmarks.measuring import Figure

REPEATS = 3
STEPS = 3
EARLIER = "Keras 3.15, TensorFlow 2.21, one Zen 4 core"
CPU_SECONDS = {
    ("2D 192", "float32"): 3.99,
    ("2D 192", "mixed_bfloat16"): 2.52,
    ("3D 96", "float32"): 4.11,
    ("3D 96", "mixed_bfloat16"): 2.64,
}


BESIDE_KERAS = ("2D 96", "3D 64")
AT_MOST = 0.9


def figures(repeats: int) -> Iterator[Figure]:
    """Processor seconds per step of a process pinned to one core."""
    chosen = argparse.Namespace(cores=1, normalization="instance", steps=STEPS)
    for (shape, precision), earlier in CPU_SECONDS.items():
        name, settings = f"train-step {shape[:2]} {precision}", train_step.ROWS[shape]
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(train_step.in_a_process(shape, precision, chosen))
            if nnunet.installed():
                theirs.append(nnunet.training_step(settings, precision, STEPS))
        note = "patch {patch}, batch {batch}, {filters}..{max_filters} filters".format_map(settings)
        note += (
            f"; wall {min(run['wall'] for run in ours):.2f} s,"
            f" {max(run['peak_gb'] for run in ours):.1f} GB; target: {EARLIER}"
        )
        own = Figure(name, "cpu s/step", [run["cpu"] for run in ours], at_most=earlier, note=note)
        yield own
        beside = (own.median, "ours in the same run")
        note = (
            f"PyTorch, wall {min(run['wall'] for run in theirs):.2f} s"
            if theirs
            else nnunet.MISSING
        )
        yield Figure(
            f"{name}, nnU-Net's network",
            "cpu s/step",
            [run["cpu"] for run in theirs],
            beside=beside,
            note=note,
        )
    yield from _beside_keras(repeats)


def _beside_keras(repeats: int) -> Iterator[Figure]:
    """Steps of the presets, augmentation included, over those of Keras's own layers and
    `train_on_batch` in the same process.
    """
    chosen = argparse.Namespace(cores=1, normalization="instance", steps=4 * STEPS)
    for shape in BESIDE_KERAS:
        runs = [train_step.in_a_process(shape, "mixed_bfloat16", chosen) for _ in range(repeats)]
        settings = "patch {patch}, batch {batch}".format_map(train_step.ROWS[shape])
        yield Figure(
            f"train-step {shape}, ours over Keras's layers and train_on_batch",
            "times",
            [run["ratio"] for run in runs],
            at_most=AT_MOST,
            note=f"{settings}, mixed_bfloat16; ours {min(run['cpu'] for run in runs):.2f} cpu s",
        )
