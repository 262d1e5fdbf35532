"""A whole training on the device, of a cohort that `gpu_pack` packed, and its held-out scores.

    python -m benchmarks.gpu_training OUT COHORT.npz {flair,cheng} [--seconds 150] [--epochs 20] ...

Its length is either given or as many epochs as fit into so many seconds, scores included, by the
time of a second epoch. The weights of the epoch that was best on val segment the cases of test, on
the prepared grid.
"""

import argparse
import os
import statistics
import tempfile
import time
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import gpu_pack, gpu_setup
from benchmarks.gpu_results import record
from benchmarks.gpu_setup import TINY
from pipeline.core.confusion import confusion, dice_of_classes
from pipeline.core.regions import outputs_to_classes
from pipeline.network import architectures, predictor, training
from pipeline.network.card import Card
from pipeline.network.prediction import of_one_type
from pipeline.network.setup import Setup
from pipeline.preparation.shards import Shard

STRONG = {
    "rotation": {"probability": 0.3, "degrees": [-25.0, 25.0]},
    "scaling": {"probability": 0.3, "factors": [0.75, 1.3]},
    "elastic": {"probability": 0.2},
    "gamma": {"probability": 0.3},
    "contrast": {"probability": 0.2},
    "brightness": {"probability": 0.2},
    "blur": {"probability": 0.15},
    "low_resolution": {"probability": 0.15},
}
KINDS: dict[str, dict[str, Any]] = {
    "flair": {  # a brain at 2 mm is about 70 x 90 x 70 voxels
        "network": {"dimensions": 3, "max_filters": 320, "deep_supervision": True},
        "shape": {"depth": 5, "filters": 32},
        "train": {"foreground_share": 0.5, "val_batches": 6},
        "length": {"batch_size": 4, "patch": [80, 96, 80], "steps_per_epoch": 240},
        "on_the_fly": STRONG | {"mirror": {"x": 0.5, "y": 0.5, "z": 0.5}},
        "windows": 4,
        "mirror": True,
    },
    "cheng": {  # whole slices: the type shows in where a tumour sits
        "network": {"dimensions": 2, "max_filters": 512, "output": "labels", "type_head": True},
        "shape": {"depth": 6, "filters": 32},
        "train": {"foreground_share": 0.3, "val_batches": 8},
        "length": {"batch_size": 16, "patch": [256, 256], "steps_per_epoch": 600},
        "on_the_fly": STRONG,
        "windows": 1,
        "mirror": False,
    },
}
if TINY:
    for kind in KINDS.values():
        kind["shape"] |= {"depth": 2, "filters": 4}
        kind["length"] |= {"batch_size": 2, "steps_per_epoch": 4}
        kind["length"]["patch"] = [32] * kind["network"]["dimensions"]
        kind["train"]["val_batches"] = 1
        kind["on_the_fly"] = {}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seconds", type=float, default=150, help="of everything (150)")
    parser.add_argument("--epochs", type=int, help="in place of seconds")
    for option in ("batch-size", "steps-per-epoch", "depth", "filters"):
        parser.add_argument(f"--{option}", type=int)
    parser.add_argument("--patch", type=int, nargs="+")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--average", type=float, default=0.99, help="momentum of the weights'")
    parser.add_argument("--fast", action="store_true", help="not deterministic")
    chosen = parser.parse_args()
    started = time.perf_counter()
    cohort = gpu_pack.read(chosen.file)
    if TINY:
        cohort = cohort._replace(parts={part: few[:4] for part, few in cohort.parts.items()})
    epochs = chosen.epochs
    if epochs is None:
        seconds = fitted(chosen, cohort, 2)[2]
        # the rest is for the scores; the cache has the program, which is yet traced again
        left = 0.9 * chosen.seconds - 15 - (time.perf_counter() - started)
        left -= min(seconds[0] - seconds[1], 15)
        epochs = 2 if TINY else max(2, int(left / seconds[1]))
    made, model, seconds, history = fitted(chosen, cohort, epochs)
    steps = epochs * made.train.steps_per_epoch
    record(
        chosen.out,
        "training",
        chosen.kind,
        steps=steps,
        batch=made.train.batch_size,
        weights=model.count_params(),
        first_epoch_s=seconds[0],
        ms=statistics.median(seconds[1:]) / made.train.steps_per_epoch * 1e3,
        train_s=sum(seconds),
        best_val_dice=max(line["val_dice"] for line in history),
        history=history,
    )
    before = time.perf_counter()
    scores = scored(chosen, cohort, made, model)
    taken = time.perf_counter() - before
    record(chosen.out, "held-out cases", chosen.kind, steps=steps, **scores, seconds=taken)


def fitted(chosen: argparse.Namespace, cohort: gpu_pack.Cohort, epochs: int):
    """Setup, network, seconds of each epoch and records of a training."""
    kind = KINDS[chosen.kind]

    def overridden(section):
        given = {key: getattr(chosen, key) for key in section}
        return section | {key: value for key, value in given.items() if value is not None}

    train = kind["train"] | overridden(kind["length"])
    train |= {"epochs": epochs, "learning_rate": chosen.rate, "ema_momentum": chosen.average}
    train |= {"warmup_epochs": min(1.0, epochs / 10), "deterministic": not chosen.fast}
    train |= {"resident_dtype": "uint8", "early_stopping_epochs": 0}
    made = gpu_setup.setup(
        kind["network"] | overridden(kind["shape"]),
        train,
        kind["on_the_fly"],
        cohort.schema,
        cohort.spacing_mm,
    )
    model, seconds = made.model(), []
    with tempfile.TemporaryDirectory() as folder:
        history = training.fit(
            model,
            made.loss(),
            made.optimizer(),
            made.schedule(workers=min(len(os.sched_getaffinity(0)), 8)),
            made.feed(cohort.parts["train"]),
            made.validation(cohort.parts["val"]),
            made.schema,
            made.network.output,
            Path(folder) / "checkpoint.npz",
            "benchmark",
            on_epoch=lambda line, timing: seconds.append(timing["seconds"]),
            type_weight=made.train.type_weight,
        )
    return made, model, seconds, history


def scored(chosen: argparse.Namespace, cohort: gpu_pack.Cohort, made: Setup, model) -> dict:
    """Dice of the whole tumour, and of cases with types of their own label; of how many cases and
    patients the type is right: the label of the largest predicted volume.
    """
    cases, schema, mirror = cohort.parts["test"], cohort.schema, KINDS[chosen.kind]["mirror"]
    network = architectures.inference_network(model)
    card = Card.model_construct(cohort=schema, network=made.network, patch=made.train.patch)
    settings = predictor.Settings.model_construct(
        overlap=0.5, mirror=mirror, batch_size=KINDS[chosen.kind]["windows"], engine="keras"
    )
    largest = np.max([case.classes.shape for case in cases], axis=0)
    labels, whole, own, right = range(1, len(schema.labels) + 1), [], [], 0
    patients: dict[str, np.ndarray] = {}  # voxels of labels, in the reference and as predicted
    for case in cases:
        image, reference = _padded(case, largest)
        prediction = predictor.predict(network, card, settings, image)
        probabilities = prediction.probabilities
        if prediction.types is not None:
            probabilities = of_one_type(probabilities, prediction.types)
        found = outputs_to_classes(probabilities, schema, made.network.output)
        counts = confusion(reference, found, len(labels) + 1)
        dice = dice_of_classes(counts, labels)
        whole.append(1.0 if isnan(dice) else dice)
        if schema.types:
            kind = int(reference.max())
            own.append(dice_of_classes(counts, [kind]))
            voxels = np.stack([counts[1:].sum(axis=1), counts[:, 1:].sum(axis=0)])
            right += _same_type(voxels)
            patient = cohort.patients[case.name]
            patients[patient] = patients.get(patient, 0) + voxels
    return {
        "cases": len(cases),
        "dice_mean": statistics.mean(whole),
        "dice_median": statistics.median(whole),
        "dice_worst": min(whole),
        "below_half": sum(value < 0.5 for value in whole),
        **(
            {
                "own_type_dice": statistics.mean(own),
                "types": right / len(own),
                "patients": len(patients),
                "types_of_patients": statistics.mean(map(_same_type, patients.values())),
            }
            if own
            else {}
        ),
        "mirrored": mirror,
        "dice": sorted(whole),
    }


def _same_type(voxels: np.ndarray) -> bool:
    """Whether the label with most voxels is the same in both rows (2, K)."""
    reference, predicted = voxels
    return bool(predicted.any() and reference.argmax() == predicted.argmax())


def _padded(case: Shard, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image and classes in a box that is the same for all, so that programs are compiled once."""
    after = [(0, int(side - have)) for side, have in zip(shape, case.classes.shape, strict=True)]
    return np.pad(case.image, [*after, (0, 0)]), np.pad(case.classes, after)


if __name__ == "__main__":
    main()
