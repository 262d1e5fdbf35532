"""Stage 5: train the U-Net.

Reads raw/catalogue.json (the cohort schema), split.json, shards/<case>.*.npy of train and val, and
the augmented copies of train. Writes models/network.keras (weights of the best epoch; deterministic
bytes), models/card.json (`Card`), metrics/history.csv (one row per epoch), metrics/train.json.
Keeps models/checkpoint.npz after every epoch until the end, so that a killed training goes on where
it stood; a checkpoint of other params, data or code is not taken. Logs every epoch to MLflow.
"""

import hashlib
import logging
import math
import platform
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from .augmentation.on_the_fly import OnTheFly
from .core.catalogue import Catalogue
from .core.errors import InputError
from .core.folds import Split
from .core.params import Count, Positive, Share
from .core.records import read_csv, read_json, sha256, write_csv, write_json
from .core.strict import Strict
from .network import backend, checkpoint, optimizer, saving, training, unet
from .network.architecture import Architecture
from .network.batches import Sampler
from .network.losses import DiceCrossEntropy
from .network.metadata import Card
from .network.schedule import Schedule, best_epoch, learning_rate
from .preparation import shards
from .preparation.preprocessing import PreprocessingConfig
from .runtime import costs, stage, tracking
from .runtime.code import code_hash
from .runtime.parallel import usable_cores

log = logging.getLogger(__name__)

CODE = (
    "core",
    "formats",
    "preparation",
    "augmentation",
    "network",
    "preprocess.py",
    "augment.py",
    "train.py",
)
"""Code that the weights depend on: that of this stage and of those that make shards and copies."""

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
    recipe: Annotated[PreprocessingConfig, stage.Key("preprocess")],
    architecture: Annotated[Architecture, stage.Key("unet")],
    params: Annotated[Params, stage.Key("train")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Train the U-Net on the training cases and their copies; keep the weights of the best epoch."""
    _check_patch(architecture, params)
    _check_precision(architecture, params)
    cohort, parts = read_json(catalogue, Catalogue), read_json(split, Split)
    if architecture.dimensions > cohort.cohort.dimensions:
        raise InputError(
            f"params.yaml: unet.dimensions is 3, but cohort {cohort.cohort.cohort} holds single"
            " slices. Set it to 2."
        )
    parts.check(str(split))
    trained_on = _shards(shards, parts.train) + _copies(augmented, parts.train)
    validating = _shards(shards, parts.val)
    data_hash = hashlib.sha256(catalogue.read_bytes() + split.read_bytes()).hexdigest()
    fingerprint = _fingerprint(data_hash, augmented, recipe, architecture, params, seed)
    state_path = model.with_name("checkpoint.npz")
    resumed = checkpoint.load(state_path, fingerprint)
    if resumed:
        log.info("going on after epoch %d of an interrupted training", len(resumed.history))

    backend.prepare(seed, params.precision)
    schema = cohort.cohort
    sampler = partial(
        Sampler,
        schema=schema,
        output=architecture.output,
        patch=params.patch,
        batch_size=params.batch_size,
        seed=seed,
    )
    sampler = partial(sampler, foreground_share=params.foreground_share)
    outputs = len(schema.regions) if architecture.output == "regions" else len(schema.labels) + 1
    network = unet.build(architecture, len(schema.modalities), outputs)
    tags = {"data_hash": data_hash, "code_hash": code_hash(*CODE), "keras_backend": backend.name()}
    with tracking.run(
        tags, tracking.model_part(model, card, history), past=resumed.history if resumed else ()
    ) as run:
        records = training.fit(
            network,
            DiceCrossEntropy(architecture.output, params.dice_weight, params.cross_entropy_weight),
            optimizer.build(
                params.optimizer,
                params.weight_decay,
                params.momentum,
                params.clip_norm,
                params.ema_momentum,
            ),
            _course(params),
            partial(sampler(trained_on).training, on_the_fly=params.on_the_fly),
            sampler(validating).validation(params.val_batches),
            schema,
            state_path,
            fingerprint,
            resumed=resumed,
            on_epoch=lambda record, timing: run.log_epoch(record | timing),
        )
        saving.save_model(network, model)
        best = best_epoch([training.score(record) for record in records])
        described = Card(
            format_version=2,
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
            network_sha256=sha256(model),
            backend=backend.name(),
            versions=backend.versions()
            | {"python": platform.python_version(), "numpy": np.__version__},
            use="Research use only, not for diagnosis.",
            stripped=cohort.stripped(parts.train),
        )
        write_json(card, described)
        write_csv(history, records)
        write_json(
            metrics,
            {
                "epochs": len(records),
                "best_epoch": best + 1,
                "weights": described.weights,
                "best": records[best],
            },
        )
    state_path.unlink(missing_ok=True)


def _check_patch(architecture: Architecture, params: Params) -> None:
    wrong = [side for side in params.patch if side % architecture.divisor]
    if len(params.patch) != architecture.dimensions or wrong:
        raise InputError(
            f"params.yaml: train.patch is {list(params.patch)}, but a network with unet.dimensions"
            f" {architecture.dimensions} and unet.depth {architecture.depth} needs"
            f" {architecture.dimensions} sides, each a multiple of {architecture.divisor}."
        )


def _check_precision(architecture: Architecture, params: Params) -> None:
    """TensorFlow 2.21 with oneDNN gives wrong bfloat16 gradients of 3D convolutions on maps of 2
    voxels a side.
    """
    coarsest = [side // architecture.divisor for side in params.patch]
    if architecture.dimensions == 3 and params.precision == "mixed_bfloat16" and min(coarsest) < 4:
        raise InputError(
            f"params.yaml: with train.patch {list(params.patch)} and unet.depth"
            f" {architecture.depth} the coarsest level is {coarsest} voxels, too few for"
            " train.precision mixed_bfloat16. Take a larger patch, a smaller depth, or float32."
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
        raise InputError(
            f"{folder / 'table.csv'}: holds copies of {strangers}, which are not in train. Run `dvc"
            " repro augment`."
        )
    return [shards.read(folder, row["name"]) for row in rows]


def _fingerprint(
    data_hash: str,
    augmented: Path,
    recipe: PreprocessingConfig,
    architecture: Architecture,
    params: Params,
    seed: int,
) -> str:
    """Hash of everything that the weights depend on."""
    parts = [data_hash, sha256(augmented / "table.csv"), str(seed), str(backend.versions())]
    parts += [record.model_dump_json() for record in (recipe, architecture, params)]
    parts += [code_hash(*CODE)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _course(params: Params) -> training.Course:
    rate = partial(
        learning_rate,
        params.schedule,
        params.learning_rate,
        steps=params.epochs * params.steps_per_epoch,
        warmup_steps=round(params.warmup_epochs * params.steps_per_epoch),
        plateau_factor=params.plateau_factor,
        plateau_patience=params.plateau_patience,
    )
    return training.Course(
        epochs=params.epochs,
        steps=params.steps_per_epoch,
        patience=params.early_stopping_epochs,
        threads=min(usable_cores(), 8),
        ahead=16,
        learning_rate=lambda step, losses: rate(step=step, losses=losses),
    )


if __name__ == "__main__":
    stage.main(train, recorded=costs.recorded)
