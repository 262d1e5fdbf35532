"""Whole trainings with the cohort, the batches and the steps on the device.

    python -m benchmarks.gpu_resident_training pack CLONE COHORT.npz
    python -m benchmarks.gpu_resident_training train COHORT.npz OUT NAME [--steps 4000] ...

CLONE is a clone of this repository in which a preset of one region was applied and `dvc repro
preprocess split` ran. Its shards are packed into one file of 8-bit codes, which a GPU machine
without the cohort can read. Scores are Dice on the prepared grid, over the held-out cases.
"""

import argparse
import functools
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import gpu_network, gpu_resident, gpu_step
from benchmarks.gpu_results import record
from pipeline.network import architectures, backend, inference
from pipeline.preparation import shards

PART = "resident training"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    packer = parts.add_parser("pack")
    packer.add_argument("clone", type=Path)
    packer.add_argument("file", type=Path)
    trainer = parts.add_parser("train")
    trainer.add_argument("file", type=Path)
    trainer.add_argument("out", type=Path)
    trainer.add_argument("name")
    for option, value in {
        "steps": 4000,
        "batch": 2,
        "patch": 64,
        "filters": 16,
        "depth": 4,
        "call": 50,
        "seed": 0,
    }.items():
        trainer.add_argument(f"--{option}", type=int, default=value)
    trainer.add_argument("--rate", type=float, default=3e-3)
    trainer.add_argument("--average", type=float, default=0.98, help="momentum of the weights")
    trainer.add_argument("--spatial", choices=["mirror", "affine"], default="affine")
    chosen = parser.parse_args()
    if chosen.part == "pack":
        pack(chosen.clone, chosen.file)
    else:
        train(chosen)


def pack(clone: Path, file: Path) -> None:
    """Write every case of the split, padded to one shape, as codes of `gpu_resident.Cohort`."""
    split = json.loads((clone / "data/split.json").read_text())
    parts = {part: split[part] for part in ("train", "val", "test")}
    cases = [shards.read(clone / "data/shards", name) for names in parts.values() for name in names]
    sides = np.max([case.classes.shape for case in cases], axis=0)
    images = np.zeros((len(cases), *sides, cases[0].image.shape[-1]), np.uint8)
    classes = np.zeros((len(cases), *sides), np.uint8)
    for number, case in enumerate(cases):
        inside = tuple(slice(side) for side in case.classes.shape)
        values = np.asarray(case.image, np.float32)
        codes = np.clip(np.round(gpu_resident.LEVELS * values) + 128, 1, 255)
        images[number][inside] = np.where(values == 0, 0, codes)
        classes[number][inside] = case.classes
    part = np.repeat(list(parts), [len(names) for names in parts.values()])
    np.savez_compressed(file, images=images, classes=classes, part=part)


def train(chosen: argparse.Namespace) -> None:
    """Train, then segment the cases of validation and test; record times and scores."""
    with np.load(chosen.file, allow_pickle=False) as packed:
        images, classes, part = (packed[name] for name in ("images", "classes", "part"))
    patch = (chosen.patch,) * 3
    short = [(0, max(0, side - have)) for side, have in zip(patch, classes.shape[1:], strict=True)]
    images = np.pad(images, ((0, 0), *short, (0, 0)))
    classes = np.pad(classes, ((0, 0), *short))
    learned = part == "train"
    numbers = np.random.default_rng(chosen.seed)
    voxels = [numbers.choice(np.argwhere(case), 512).astype(np.int16) for case in classes[learned]]
    cohort = gpu_resident.Cohort(
        *jax.device_put((images[learned], classes[learned], np.stack(voxels)))
    )
    backend.prepare(chosen.seed, "mixed_bfloat16")
    settings = gpu_step.NETWORK.model_copy(
        update={"depth": chosen.depth, "filters": chosen.filters, "deep_supervision": False}
    )
    network = gpu_network.build(settings, images.shape[-1], 1, *gpu_step.FASTEST)
    seconds, losses, averaged = _fitted(chosen, network, cohort, patch)
    for variable, value in zip(network.trainable_variables, averaged, strict=True):
        variable.assign(value)
    scores = {
        name: _scores(network, images[part == name], classes[part == name], patch)
        for name in ("val", "test")
    }
    record(
        chosen.out,
        PART,
        chosen.name,
        steps=chosen.steps,
        weights=network.count_params(),
        first_call_s=seconds[0],
        seconds=sum(seconds),
        ms=statistics.median(seconds[1:]) / chosen.call * 1e3,
        loss_first=losses[0],
        loss_last=losses[-1],
        **{
            f"{name}_{key}": value
            for name, dice in scores.items()
            for key, value in {
                "mean": statistics.mean(dice),
                "median": statistics.median(dice),
                "worst": min(dice),
                "below_half": sum(value < 0.5 for value in dice),
            }.items()
        },
        dice={name: sorted(dice) for name, dice in scores.items()},
    )


def _fitted(chosen, network, cohort, patch):
    """Seconds of each call of so many steps, its mean loss, and the averaged weights."""
    rule = gpu_step._optimizer()
    rule.build(network.trainable_variables)
    rule.ema_momentum = chosen.average
    groups = (network.trainable_variables, network.non_trainable_variables, rule.variables)
    state = jax.tree.map(jnp.copy, tuple([variable.value for variable in g] for g in groups))
    place = next(i for i, v in enumerate(rule.variables) if v.path == rule._learning_rate.path)
    step = gpu_step._step_function(network, rule)

    def body(cohort, state, number):
        key = jax.random.fold_in(jax.random.key(chosen.seed), number)
        batch = gpu_resident.draw_batch(key, cohort, chosen.batch, patch, 1, chosen.spatial)
        warm = jnp.minimum(1.0, (number + 1) / (0.06 * chosen.steps))
        state[2][place] = chosen.rate * warm * (1 + jnp.cos(jnp.pi * number / chosen.steps)) / 2
        return step(state, *batch)

    @functools.partial(jax.jit, donate_argnums=0)
    def call(state, cohort, first):
        return jax.lax.scan(functools.partial(body, cohort), state, first + jnp.arange(chosen.call))

    seconds, losses = [], []
    for first in range(0, chosen.steps, chosen.call):
        started = time.perf_counter()
        state, loss = call(state, cohort, jnp.int32(first))
        losses.append(float(jnp.mean(loss)))
        seconds.append(time.perf_counter() - started)
    averages = [
        value
        for variable, value in zip(rule.variables, state[2], strict=True)
        if "average" in variable.path
    ]
    return seconds, losses, averages


def _scores(network, images, classes, patch) -> list[float]:
    """Dice of each case on the prepared grid; 1 where reference and prediction are empty."""
    network = architectures.inference_network(network)
    found = []
    for codes, reference in zip(images, classes, strict=True):
        values = np.where(codes > 0, (codes.astype(np.float32) - 128) / gpu_resident.LEVELS, 0)
        probabilities = inference.predict_probabilities(
            network, values.astype(np.float16), patch, 0.5, False, 8, "sigmoid"
        )
        predicted, expected = probabilities[..., 0] > 0.5, reference > 0
        total = predicted.sum() + expected.sum()
        found.append(float(2 * (predicted & expected).sum() / total) if total else 1.0)
    return found


if __name__ == "__main__":
    main()
