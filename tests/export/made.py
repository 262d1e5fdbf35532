"""Folders of small networks, and the cases they are tried on."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cohorts import brats
from pipeline.core.records import sha256, write_json
from pipeline.core.schema import Schema
from pipeline.network import backend, ensemble
from pipeline.network.backend import keras
from pipeline.network.card import Card, Member
from pipeline.network.layers.exchange import fast
from pipeline.network.settings import Settings
from pipeline.preparation.params import Postprocess, PreprocessingConfig
from tests.network.conftest import TINY, take_steps, tiny

AFFINE = np.array([[-1.0, 0, 0, 5], [0, -1.5, 0, 3], [0, 0, 2.0, 1], [0, 0, 0, 1]])
MODALITIES = ("t1n", "t1c", "t2w", "t2f")
TYPES = Schema(
    cohort="types",
    dimensions=2,
    modalities=("t1c",),
    labels={"meningioma": 1, "glioma": 2, "pituitary": 3},
    regions={"MEN": ("meningioma",), "GLI": ("glioma",), "PIT": ("pituitary",)},
    empty_rule="nan",
    types=True,
)


def image(shape: tuple[int, int, int] = (34, 26, 14), channels: int = 4) -> np.ndarray:
    """A smooth brain (X, Y, Z, C) int16 that is 0 outside of an ellipsoid."""
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, side) for side in shape], indexing="ij"), -1)
    brain = np.square(places).sum(axis=-1) < 0.9
    waves = np.sin(7 * places @ np.random.default_rng(0).normal(size=(3, channels)))
    noise = np.random.default_rng(1).normal(0, 20, (*shape, channels))
    return (brain[..., None] * np.clip(400 + 200 * waves + noise, 1, None)).astype(np.int16)


def tumour(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A brain (X, Y, Z, 4) int16 with a tumour of three nested regions, each brighter than what is
    around it, and their masks (X, Y, Z, 3) bool.
    """
    drawn, shape = np.random.default_rng(seed), (48, 48, 12)
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, side) for side in shape], indexing="ij"), -1)
    brain = np.linalg.norm(places, axis=-1) < 1.1
    centre = drawn.uniform(-0.15, 0.15, 3)
    regions = np.linalg.norm(places - centre, axis=-1)[..., None] < np.array([0.9, 0.75, 0.55])
    bright = 400 + 300 * regions.sum(axis=-1) + drawn.normal(0, 15, (4, *shape))
    return (brain * bright).astype(np.int16).transpose(1, 2, 3, 0), regions & brain[..., None]


def model(
    folder: Path, members: int = 1, precision: str = "float32", shift: float = 0.0, **changes: Any
) -> Path:
    """Write a folder like models/ with networks whose weights are drawn, all logits shifted.

    `changes` are of the network; or `cohort`, `preprocess`, `settings`, `postprocess`, `patch`,
    `dropout`, the probability of modality dropout, and `steps` of training on cases of `tumour`.
    """
    cohort: Schema = changes.pop("cohort", brats.schema("_"))
    preprocess = changes.pop("preprocess", {})
    settings, postprocess = changes.pop("settings", {}), changes.pop("postprocess", {})
    dropout, steps = changes.pop("dropout", 0.0), changes.pop("steps", 0)
    dimensions = changes.get("dimensions", 2)
    patch = changes.pop("patch", (16, 16, 8)[:dimensions])
    shape = TINY.model_copy(update=changes)
    labels = changes.get("output") == "labels"
    outputs = len(cohort.labels) + 1 if labels else len(cohort.regions)
    channels = len(cohort.modalities) * shape.slices
    backend.prepare(0, precision)
    networks = [tiny(channels, outputs, **changes) for _ in range(members)]
    networks = [
        _trained(network, steps) if steps else _drawn(network, seed, shift)
        for seed, network in enumerate(networks)
    ]
    path = folder / "network.keras"
    ensemble.save(networks, path)
    spacing = tuple(preprocess.get("spacing_mm") or (1.0, 1.5, 2.0))
    member = Member(trained_on=("a",), validated_on=("b",), best_epoch=1, val_dice=None)
    write_json(
        folder / "card.json",
        Card(
            format_version=4,
            cohort=cohort,
            preprocess=PreprocessingConfig(
                **{
                    "spacing_mm": None,
                    "foreground": "nonzero",
                    "margin_voxels": 2,
                    "clip_percentiles": (0.5, 99.5),
                    "dtype": "float16",
                }
                | preprocess
            ),
            network=shape,
            patch=patch,
            spacing_mm=spacing,
            seed=0,
            train={
                "precision": precision,
                "on_the_fly": {"modality_dropout": {"probability": dropout}},
            },
            members=(member,) * members,
            weights=0,
            data_hash="0",
            network_sha256=sha256(path),
            backend=backend.name(),
            versions={},
            use="Research use only, not for diagnosis.",
            stripped=True,
        ),
    )
    nothing = {"thresholds": {}, "temperature": 1.0, "min_component_ml": 0.0}
    nothing |= {"fill_holes": False, "min_innermost_ml": 0.0} | postprocess
    plain = {"overlap": 0.5, "mirror": ("x",), "batch_size": 4, "engine": "keras"} | settings
    write_json(folder / "inference.json", Settings(**plain, postprocess=Postprocess(**nothing)))
    return folder


def _trained(network: keras.Model, steps: int) -> keras.Model:
    """After steps on one slice each, of batches of 1."""
    network, batches = fast(network), []
    for step in range(steps):
        voxels, masks = tumour(1000 + step)
        brain = voxels[..., :1] > 0
        scaled = (voxels - voxels[brain[..., 0]].mean(0)) / voxels[brain[..., 0]].std(0) * brain
        level = step % voxels.shape[2]
        batches.append(
            (
                scaled[None, :, :, level].astype(np.float32),
                masks[None, :, :, level].astype(np.uint8),
            )
        )
    take_steps(network, keras.optimizers.Adam(0.01), batches)
    return network


def _drawn(network: keras.Model, seed: int, shift: float) -> keras.Model:
    """With all weights drawn, the same for every backend; without a shift all labels occur."""
    drawn = np.random.default_rng(seed)
    for layer in network.layers:
        layer.set_weights([_weight(drawn, variable) for variable in layer.weights])
    kernel, bias = network.get_layer("logits_0").get_weights()
    network.get_layer("logits_0").set_weights([kernel, bias + shift])
    return network


def _weight(drawn: np.random.Generator, variable: keras.Variable) -> np.ndarray:
    noise = drawn.normal(size=variable.shape)
    if noise.ndim > 1:
        return noise * np.sqrt(2 / noise[..., 0].size)
    return np.abs(1 + 0.3 * noise) if variable.name in ("gamma", "moving_variance") else 0.3 * noise
