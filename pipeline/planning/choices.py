"""The values of params.yaml that follow from a fingerprint and a chosen training, with reasons."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..network.trial import Timing
from ..preparation.choosing import MOST_CASES
from .budget import OVERLAP, Budget, epochs_of, scale, val_batches
from .candidates import BATCH_PIXELS, Candidate
from .fingerprint import Fingerprint
from .search import Resident

FEW_CASES, MANY_CASES = 10, 200
ENOUGH_SAMPLES = 30
"""Cases and their copies that are aimed at."""
MOST_COPIES = 4
PASTED_SHARE = 0.5
"""Of the patches: better for 16 phantoms and for 79 patients (docs/results.md)."""
LONG_STEPS, VERY_LONG_STEPS = 10_000, 50_000
"""From here on AdamW's rate is lower, and nnU-Net's recipe is used: SGD, poly."""
AVERAGED_SHARE = 0.05
"""Of the steps, over which the running average of the weights reaches."""
WARMUP_SHARE, MOST_WARMUP = 0.04, 10.0
CLIP_PERCENTILES = (0.5, 99.5)
LEAST_ASKED = 10
"""With four phantoms to choose, the scores of others did not change (docs/how-to/folds.md)."""
LEARNED = ["thresholds", "min_component_ml", "min_innermost_ml", "fill_holes"]


@dataclass(frozen=True)
class Choice:
    """A key of params.yaml, its value, and why."""

    key: str
    value: Any
    reason: str


def copies_of(found: Fingerprint, on_device: bool) -> Choice:
    """Recorded copies of every training case."""
    cases = found.to_train
    if on_device:
        return Choice("augment.copies", 0, "the GPU rotates and scales every patch anew")
    if cases > MANY_CASES:
        return Choice("augment.copies", 0, f"{cases} training cases are variety enough")
    copies = min(max(math.ceil(ENOUGH_SAMPLES / cases) - 1, 1), MOST_COPIES)
    return Choice("augment.copies", copies, f"{cases} training cases, each with so many more forms")


def common(found: Fingerprint, on_device: bool) -> list[Choice]:
    """What does not depend on the training that is chosen."""
    types = found.cohort.types
    cases = found.to_train
    spatial = 0.2 if on_device else 0.3 if cases < FEW_CASES else 0.0
    why_spatial = (
        "of patches, on the GPU at next to no cost"
        if on_device
        else f"of patches: {cases} training cases need more variety"
        if spatial
        else "the recorded copies are rotated and scaled"
    )
    tail, name = max((tail, name) for name, tail in found.tails.items())
    skull = {True: "the skull is removed", False: "the skull is on", None: "of most cases unknown"}
    reason = "single slices" if found.cohort.dimensions == 2 else skull[found.stripped]
    return [
        Choice("preprocess.foreground", found.foreground, reason),
        Choice(
            "preprocess.clip_percentiles",
            list(CLIP_PERCENTILES),
            f"before the z-score; the brightest voxel of {name} lies {tail:.1f} sd above them",
        ),
        Choice("preprocess.dtype", "float16", "z-scores need no more"),
        Choice(
            "network.output",
            "labels" if types else "regions",
            "the labels are types, one per voxel" if types else "regions may lie in each other",
        ),
        Choice(
            "network.type_head",
            types,
            "a case has one type" if types else "the labels are not types",
        ),
        Choice("train.on_the_fly.rotation.probability", spatial, why_spatial),
        Choice("train.on_the_fly.scaling.probability", spatial, why_spatial),
        _copy_paste(cases, types),
        copies_of(found, on_device),
    ]


def _copy_paste(cases: int, types: bool) -> Choice:
    tried = FEW_CASES <= cases <= MANY_CASES and not types
    why = f"{cases} training cases; it was better with 15 and with 79"
    if types:
        why = "the type shows in where a tumour lies: 0.536 for 0.568 on Cheng's slices"
    key = "train.on_the_fly.copy_paste.probability"
    return Choice(key, PASTED_SHARE if tried else 0.0, why)


def of_network(candidate: Candidate, found: Fingerprint) -> Iterator[Choice]:
    """Grid, patch and network."""
    edges = " x ".join(f"{edge:.3g}" for edge in found.spacing_mm)
    raw = all(
        abs(own - edge) < 0.01 * edge
        for own, edge in zip(candidate.spacing_mm, found.spacing_mm, strict=True)
    )
    why = "the raw grid" if raw else f"coarser than the raw {edges} mm, for more steps in the time"
    yield Choice("preprocess.spacing_mm", list(candidate.spacing_mm), why)
    reasons = {
        "architecture": "the U-Net of nnU-Net",
        "dimensions": _why_dimensions(candidate, found),
        "depth": f"until the coarsest level has {_coarsest(candidate)} voxels",
        "filters": "the best expected Dice in the time, see above",
        "max_filters": "as in the presets",
        "slices": "no neighbours: two more slices made phantoms worse, 0.830 for 0.861",
        "strides": _why_strides(candidate),
        "kernels": _why_strides(candidate),
        "normalization": f"per image: batches of {candidate.batch} are small or differ much",
        "encoder": "the best expected Dice in the time, see above",
        "encoder_blocks": "as nnU-Net's ResEnc" if candidate.shape.blocks != 1 else "two layers",
        "decoder_convolutions": "as nnU-Net",
    }
    for name, value in candidate.values.items():
        yield Choice(f"network.{name}", _plain(value), reasons[name])


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _why_dimensions(candidate: Candidate, found: Fingerprint) -> str:
    if found.cohort.dimensions == 2:
        return "the cohort holds single slices"
    if candidate.dimensions == 3:
        return "volumes: there is time for enough steps"
    x, y, z = candidate.spacing_mm
    if z >= 2 * max(x, y):
        return f"slices are {z:g} mm apart, and steps on slices are faster"
    return "slices: steps on volumes would be too few in the time"


def _coarsest(candidate: Candidate) -> str:
    factors = [2 ** (candidate.depth - 1)] * candidate.dimensions
    if candidate.strides:
        factors = [math.prod(along) for along in zip(*candidate.strides, strict=True)]
    sides = zip(candidate.patch, factors, strict=True)
    return " x ".join(str(side // factor) for side, factor in sides)


def _why_strides(candidate: Candidate) -> str:
    edges = " x ".join(f"{edge:g}" for edge in candidate.spacing_mm[: candidate.dimensions])
    if candidate.strides:
        return f"an axis waits until the others are half as coarse ({edges} mm), as in nnU-Net"
    return f"the same along every axis: voxels are {edges} mm"


def of_training(
    candidate: Candidate,
    found: Fingerprint,
    precision: str,
    timing: Timing,
    steps: int,
    resident: Resident,
    on_device: bool,
) -> Iterator[Choice]:
    """The section `train`, and deep supervision."""
    each, epochs = epochs_of(steps)
    long = steps >= LONG_STEPS
    covered = f"a patch spans {candidate.coverage:.0%} of the brain's extent"
    yield Choice(
        "network.deep_supervision", long, f"{steps:,} steps are {'' if long else 'not '}long"
    )
    yield Choice("train.epochs", epochs, _why_steps(steps))
    yield Choice("train.steps_per_epoch", each, f"{each * timing.step_s:.3g} s, then a validation")
    pixels = f"about {BATCH_PIXELS:,} pixels" if candidate.dimensions == 2 else "as nnU-Net"
    yield Choice("train.batch_size", candidate.batch, f"{pixels}; {timing.peak_gb:.2g} GB measured")
    yield Choice("train.patch", list(candidate.patch), covered)
    share = 0.33 if long or found.cohort.dimensions == 2 else 0.5
    why = "a short training sees tumour in every other patch" if share == 0.5 else "as nnU-Net"
    yield Choice("train.foreground_share", share, why)
    yield Choice("train.val_batches", val_batches(each), "about a twentieth of the time")
    other = "float32" if precision == "mixed_bfloat16" else "mixed_bfloat16"
    yield Choice(
        "train.precision", precision, f"{timing.step_s:.3g} s a step; not slower than {other}"
    )
    yield from _optimizer(steps, epochs)
    yield Choice("train.early_stopping_epochs", 0, "the schedule ends with the budget")
    yield Choice("train.feed", "auto", "on the GPU" if on_device else "NumPy in threads")
    taken = f"{resident.taken_gb:.2g} GB of device memory" if on_device else "of no effect on a CPU"
    yield Choice("train.resident_gb", resident.gb, taken)
    yield Choice("train.resident_dtype", resident.dtype, taken)
    for axis in "xyz"[: candidate.dimensions]:
        left_right = axis == "x"
        probability = 0.5 if left_right or long else 0.0
        why = "left and right look alike" if left_right else f"{'' if long else 'not '}long enough"
        yield Choice(f"train.on_the_fly.mirror.{axis}", probability, why)
    if candidate.dimensions == 2:
        yield Choice("train.on_the_fly.mirror.z", 0.0, "slices have no third axis")


def _why_steps(steps: int) -> str:
    enough = steps >= scale()[-1]
    return f"{steps:,} steps in all, " + ("as nnU-Net's: enough" if enough else "within the budget")


def _optimizer(steps: int, epochs: int) -> Iterator[Choice]:
    very_long = steps >= VERY_LONG_STEPS
    recipe = "nnU-Net's recipe for long trainings" if very_long else "as the presets for a CPU"
    if very_long:
        values = {"optimizer": "sgd", "learning_rate": 1e-2, "weight_decay": 3e-5, "momentum": 0.99}
    else:
        rate = 3e-3 if steps < LONG_STEPS else 1e-3
        values = {
            "optimizer": "adamw",
            "learning_rate": rate,
            "weight_decay": 1e-4,
            "momentum": 0.9,
        }
    for name, value in values.items():
        yield Choice(f"train.{name}", value, f"{recipe}, {steps:,} steps")
    schedule = "poly" if very_long else "cosine"
    yield Choice("train.schedule", schedule, "falls to 0 at the end of the budget")
    warmup = min(max(round(2 * WARMUP_SHARE * epochs) / 2, 0.5), MOST_WARMUP)
    yield Choice("train.warmup_epochs", warmup, f"{WARMUP_SHARE:.0%} of {epochs} epochs")
    reach = AVERAGED_SHARE * steps
    momentum = min(round(1 - 1 / reach, 3), 0.999)
    yield Choice(
        "train.ema_momentum", momentum, f"an average over about {1 / (1 - momentum):.0f} steps"
    )


def of_evaluation(
    candidate: Candidate, timing: Timing, steps: int, budget: Budget, budget_s: float
) -> Iterator[Choice]:
    """The section `evaluate`."""
    overlap, images = budget.careful(candidate, timing, budget_s)
    takes = budget.seconds(candidate, timing, steps, overlap, images).evaluate
    cases = f"{takes / 60:.2g} minutes for {budget.found.to_test} test cases"
    why = "as nnU-Net" if overlap == OVERLAP else "half of the windows"
    yield Choice("evaluate.overlap", overlap, f"{why}: {cases}")
    if steps >= LONG_STEPS and budget.mirrors(candidate, timing, steps, overlap, budget_s):
        yield Choice("evaluate.mirror", True, "all axes were mirrored in training: there is time")
    else:
        mirrored = images > 1
        why = "as in training: there is time" if mirrored else "no time"
        yield Choice("evaluate.mirror", ["x"] if mirrored else False, why)
    yield Choice("evaluate.batch_size", candidate.batch, "as in training")
    asked = min(budget.found.unseen, MOST_CASES)
    enough = asked >= LEAST_ASKED
    why = f"{asked} cases that the network was not trained on{'' if enough else ' are too few'}"
    yield Choice("evaluate.choose", LEARNED if enough else [], why)
    for name in ("min_component_ml", "min_innermost_ml"):
        yield Choice(f"evaluate.postprocess.{name}", 0.0, "unless one is chosen")
