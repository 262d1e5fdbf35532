"""Stage 5: train the U-Net.

Reads raw/catalogue.json (the cohort schema), split.json, shards/<case>.*.npy of train and val, and the
augmented copies of train. Writes models/unet.keras (weights of the best epoch; deterministic bytes),
models/card.json (`Card`), metrics/history.csv (one row per epoch), metrics/train.json. Keeps
models/checkpoint.npz after every epoch until the end, so that a killed training goes on where it stood;
a checkpoint of other params, data or code is not taken. Logs every epoch to MLflow.
"""

import hashlib
import math
import platform
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pipeline import stage, tracking
from pipeline.domain.augmentation_patch import OnTheFly
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import InputError
from pipeline.domain.folds import Split
from pipeline.domain.preparation import Recipe
from pipeline.domain.schedule import Schedule, best_epoch, learning_rate
from pipeline.domain.strict import Strict
from pipeline.io import costs, shards
from pipeline.io.records import read_csv, read_json, sha256, write_csv, write_json
from pipeline.nn import archive, backend, checkpoint, fitting, optimizer, unet
from pipeline.nn.architecture import Architecture
from pipeline.nn.batches import Sampler
from pipeline.nn.card import Card
from pipeline.nn.losses import DiceCrossEntropy
from pipeline.params import Count, Positive, Share

AtLeastOne = Annotated[int, Field(ge=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


class Params(Strict):
    """The section `train`; every key is explained in params.yaml."""

    epochs: AtLeastOne
    steps_per_epoch: AtLeastOne
    batch_size: AtLeastOne
    patch: tuple[AtLeastOne, ...]
    foreground_share: Share
    val_batches: AtLeastOne
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    dice_weight: NotNegative
    cross_entropy_weight: NotNegative
    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: Positive
    weight_decay: NotNegative
    momentum: BelowOne
    clip_norm: NotNegative
    schedule: Schedule
    warmup_epochs: NotNegative
    plateau_factor: Annotated[float, Field(gt=0, lt=1)]
    plateau_patience: AtLeastOne
    ema_momentum: BelowOne
    early_stopping_epochs: Count
    on_the_fly: OnTheFly

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.dice_weight + self.cross_entropy_weight == 0:
            raise ValueError("dice_weight and cross_entropy_weight must not both be 0")
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("adam has no weight decay: choose adamw, or set weight_decay to 0")
        return self


def train(
    catalogue: Path,
    split: Path,
    shards: Path,
    augmented: Path,
    model: Path,
    card: Path,
    history: Path,
    metrics: Path,
    recipe: Annotated[Recipe, stage.Key("preprocess")],
    architecture: Annotated[Architecture, stage.Key("unet")],
    params: Annotated[Params, stage.Key("train")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Train the U-Net on the training cases and their copies; keep the weights of the best epoch."""
    _check_patch(architecture, params)
    _check_precision(architecture, params)
    cohort, parts = read_json(catalogue, Catalogue), read_json(split, Split)
    if architecture.dimensions > cohort.cohort.dimensions:
        raise InputError(f"params.yaml: unet.dimensions is 3, but cohort {cohort.cohort.cohort} holds single slices. Set it to 2.")
    parts.check(str(split))
    training = _shards(shards, parts.train) + _copies(augmented, parts.train)
    validating = _shards(shards, parts.val)
    data_hash = hashlib.sha256(catalogue.read_bytes() + split.read_bytes()).hexdigest()
    fingerprint = _fingerprint(data_hash, augmented, recipe, architecture, params, seed)
    state_path = model.with_name("checkpoint.npz")
    resumed = checkpoint.load(state_path, fingerprint)
    if resumed:
        stage.log.info("going on after epoch %d of an interrupted training", len(resumed.history))

    backend.prepare(seed, params.precision)
    schema = cohort.cohort
    sampler = partial(Sampler, schema=schema, output=architecture.output, patch=params.patch, batch_size=params.batch_size, seed=seed)
    sampler = partial(sampler, foreground_share=params.foreground_share)
    outputs = len(schema.regions) if architecture.output == "regions" else len(schema.labels) + 1
    network = unet.build(architecture, len(schema.modalities), outputs)
    code_hash = stage.code_hash("pipeline.train")
    tags = {"data_hash": data_hash, "code_hash": code_hash, "keras_backend": backend.name()}
    with tracking.run(tags, tracking.model_part(model, card, history), past=resumed.history if resumed else ()) as run:
        records = fitting.fit(
            network,
            DiceCrossEntropy(architecture.output, params.dice_weight, params.cross_entropy_weight),
            optimizer.build(params.optimizer, params.weight_decay, params.momentum, params.clip_norm, params.ema_momentum),
            _course(params),
            partial(sampler(training).training, on_the_fly=params.on_the_fly),
            sampler(validating).validation(params.val_batches),
            schema,
            state_path,
            fingerprint,
            resumed=resumed,
            on_epoch=lambda record, timing: run.log_epoch(record | timing),
        )
        archive.save_model(network, model)
        best = best_epoch([fitting.score(record) for record in records])
        described = Card(
            cohort=schema,
            recipe=recipe,
            architecture=architecture,
            patch=params.patch,
            spacing_mm=_median_spacing_mm(shards, parts.train),
            seed=seed,
            train=params.model_dump(mode="json"),
            trained_on=parts.train,
            validated_on=parts.val,
            best_epoch=best + 1,
            val_dice=None if math.isnan(records[best]["val_dice"]) else records[best]["val_dice"],
            weights=int(sum(np.prod(weight.shape) for weight in network.trainable_weights)),
            data_hash=data_hash,
            code_hash=code_hash,
            network_sha256=sha256(model),
            backend=backend.name(),
            versions=backend.versions() | {"python": platform.python_version(), "numpy": np.__version__},
            use="Research use only, not for diagnosis.",
            stripped=cohort.stripped(parts.train),
        )
        write_json(card, described)
        write_csv(history, records)
        write_json(metrics, {"epochs": len(records), "best_epoch": best + 1, "weights": described.weights, "best": records[best]})
    state_path.unlink(missing_ok=True)


def _check_patch(architecture: Architecture, params: Params) -> None:
    wrong = [side for side in params.patch if side % architecture.divisor]
    if len(params.patch) != architecture.dimensions or wrong:
        raise InputError(
            f"params.yaml: train.patch is {list(params.patch)}, but a network with unet.dimensions {architecture.dimensions} "
            f"and unet.depth {architecture.depth} needs {architecture.dimensions} sides, each a multiple of {architecture.divisor}."
        )


def _check_precision(architecture: Architecture, params: Params) -> None:
    """TensorFlow 2.21 with oneDNN gives wrong bfloat16 gradients of 3D convolutions on maps of 2 voxels a side."""
    coarsest = [side // architecture.divisor for side in params.patch]
    if architecture.dimensions == 3 and params.precision == "mixed_bfloat16" and min(coarsest) < 4:
        raise InputError(
            f"params.yaml: with train.patch {list(params.patch)} and unet.depth {architecture.depth} "
            f"the coarsest level is {coarsest} voxels, too few for train.precision mixed_bfloat16. "
            "Take a larger patch, a smaller depth, or float32."
        )


def _shards(folder: Path, cases: tuple[str, ...]) -> list[shards.Shard]:
    return [shards.read(folder, case) for case in cases]


def _median_spacing_mm(folder: Path, cases: tuple[str, ...]) -> tuple[float, float, float]:
    edges = np.median([shards.read_geometry(folder, case).spacing_mm for case in cases], axis=0)
    return tuple(float(edge) for edge in edges)


def _copies(folder: Path, cases: tuple[str, ...]) -> list[shards.Shard]:
    """Augmented copies; a copy of a case outside of train would leak."""
    rows = read_csv(folder / "table.csv")
    strangers = sorted({row["case"] for row in rows} - set(cases))
    if strangers:
        raise InputError(f"{folder / 'table.csv'}: holds copies of {strangers}, which are not in train. Run `dvc repro augment`.")
    return [shards.read(folder, row["name"]) for row in rows]


def _fingerprint(data_hash: str, augmented: Path, recipe: Recipe, architecture: Architecture, params: Params, seed: int) -> str:
    """Hash of everything that the weights depend on."""
    parts = [data_hash, sha256(augmented / "table.csv"), str(seed), str(backend.versions())]
    parts += [record.model_dump_json() for record in (recipe, architecture, params)]
    parts += [stage.code_hash(f"pipeline.{name}") for name in ("preprocess", "augment", "train")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _course(params: Params) -> fitting.Course:
    rate = partial(
        learning_rate,
        params.schedule,
        params.learning_rate,
        steps=params.epochs * params.steps_per_epoch,
        warmup_steps=round(params.warmup_epochs * params.steps_per_epoch),
        plateau_factor=params.plateau_factor,
        plateau_patience=params.plateau_patience,
    )
    return fitting.Course(
        epochs=params.epochs,
        steps=params.steps_per_epoch,
        patience=params.early_stopping_epochs,
        threads=min(stage.usable_cores(), 8),
        ahead=16,
        learning_rate=lambda step, losses: rate(step=step, losses=losses),
    )


if __name__ == "__main__":
    stage.main(train, recorded=costs.recorded)
