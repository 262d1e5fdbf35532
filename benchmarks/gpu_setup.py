"""What the GPU benchmarks share: a training of params.yaml with changes, and cases of noise."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.measuring import ROOT
from pipeline.core import params
from pipeline.core.schema import Schema
from pipeline.network import backend
from pipeline.network.params import NetworkParams
from pipeline.network.setup import Setup
from pipeline.network.train_params import TrainParams, fitted
from pipeline.preparation.shards import Shard

TINY = bool(os.environ.get("GPU_TINY"))  # shapes that a CPU can do, to try the script
SCHEMA = Schema(
    cohort="noise",
    dimensions=3,
    modalities=("t1n", "t1c", "t2w", "t2f"),
    labels={"ED": 2, "NCR": 1, "ET": 3},
    regions={"WT": ("ED", "NCR", "ET"), "TC": ("NCR", "ET"), "ET": ("ET",)},
    empty_rule="brats",
)
VOLUMES = {  # of the U-Net that nnU-Net plans for BraTS
    "dimensions": 3,
    "depth": 2 if TINY else 6,
    "filters": 4 if TINY else 32,
    "max_filters": 320,
    "deep_supervision": True,
}
PATCH = (16, 16, 16) if TINY else (128, 128, 128)


def setup(
    network: Mapping[str, Any],
    train: Mapping[str, Any],
    on_the_fly: Mapping[str, Mapping[str, Any]],
    schema: Schema = SCHEMA,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Setup:
    """The training of params.yaml with a device feed and these changes of its sections.

    Sets up the arithmetic, so that it comes before anything that runs on the device.
    """
    path = ROOT / "params.yaml"
    values = params.read(path)
    values["network"] |= network
    values["train"] |= {"feed": "device"} | dict(train)
    for name, ranges in on_the_fly.items():
        values["train"]["on_the_fly"][name] |= ranges
    chosen = params.value(values, "train", TrainParams, path)
    shape = params.value(values, "network", NetworkParams, path)
    backend.prepare(0, chosen.precision, chosen.deterministic)
    shape = fitted(shape, chosen, schema, spacing_mm)
    return Setup(shape, chosen, schema, "pipeline/__init__.py", 0, spacing_mm)


def ellipsoid(shape: tuple[int, int, int], halves: tuple[int, int, int]) -> np.ndarray:
    """Squared distance (X, Y, Z) from the middle, 1 on the surface of an ellipsoid."""
    axes = [
        ((np.arange(side) - side / 2) / half).astype(np.float32) ** 2
        for side, half in zip(shape, halves, strict=True)
    ]
    return axes[0][:, None, None] + axes[1][:, None] + axes[2]


def noise(count: int) -> list[Shard]:
    """Cases of BraTS's size at 1 mm, cropped: a brain of noise with three nested labels in it."""
    shape = (20, 24, 18) if TINY else (144, 176, 144)
    square = ellipsoid(shape, tuple(side // 2 for side in shape))
    values = np.random.default_rng(0).standard_normal((*shape, 4), dtype=np.float32)
    values = np.where((square < 1)[..., None], values, 0).astype(np.float16)
    classes = np.digitize(-square, [-0.12, -0.06, -0.02]).astype(np.uint8)
    return [
        Shard(f"case{number}", np.roll(values, number, 0), np.roll(classes, number, 0))
        for number in range(count)
    ]
