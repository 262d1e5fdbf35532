"""Stage 5: train the network.

Reads raw/catalogue.json (the cohort schema), split.json, shards/<case>.*.npy of train and val, and
the augmented copies of train. Writes models/network.keras (weights of the best epoch; deterministic
bytes), models/card.json (`Card`), metrics/history.csv (one row per epoch), metrics/train.json.
Keeps models/checkpoint.npz after every epoch until the end, so that an interrupted training resumes
exactly; a checkpoint of other params, data or code is ignored. Logs every epoch to MLflow.
"""

import hashlib
import logging
import math
import platform
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .augmentation.transform import load_own
from .core import extensions
from .core.catalogue import Catalogue
from .core.errors import InputError
from .core.folds import Split
from .core.records import read_csv, read_json, sha256, write_csv, write_json
from .network import (
    architectures,
    backend,
    checkpoint,
    losses,
    optimizer,
    registry,
    saving,
    training,
)
from .network.batches import Sampler
from .network.card import Card
from .network.params import NetworkParams
from .network.schedule import best_epoch, learning_rate
from .network.train_params import TrainParams, check
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


def train(
    catalogue: Path,
    split: Path,
    shards: Path,
    augmented: Path,
    model: Path,
    card: Path,
    history: Path,
    metrics: Path,
    config: Annotated[PreprocessingConfig, stage.Key("preprocess")],
    network: Annotated[NetworkParams, stage.Key("network")],
    params: Annotated[TrainParams, stage.Key("train")],
    augment_code: Annotated[str, stage.Key("own_code.augment")],
    train_code: Annotated[str, stage.Key("own_code.train")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Train the network on the training cases and copies; keep the weights of the best epoch."""
    cohort, parts = read_json(catalogue, Catalogue), read_json(split, Split)
    schema = cohort.cohort
    check(network, params, schema)
    parts.check(str(split))
    trained_on = _shards(shards, parts.train) + _copies(augmented, parts.train)
    validated_on = _shards(shards, parts.val)
    data_hash = hashlib.sha256(catalogue.read_bytes() + split.read_bytes()).hexdigest()
    state_path = model.with_name("checkpoint.npz")
    fingerprint = _fingerprint(
        data_hash, augmented, config, network, params, augment_code, train_code, seed
    )
    resumed = checkpoint.load(state_path, fingerprint)
    if resumed:
        log.info("resuming after epoch %d of an interrupted training", len(resumed.history))

    backend.prepare(seed, params.precision)
    values = params.model_dump(mode="json")
    spacing_mm = _median_spacing_mm(shards, parts.train)
    sampler = partial(
        Sampler,
        schema=schema,
        output=network.output,
        patch=params.patch,
        batch_size=params.batch_size,
        foreground_share=params.foreground_share,
        seed=seed,
        spacing_mm=spacing_mm,
        own=load_own(params.on_the_fly.own, "train.on_the_fly.own", train_code),
    )
    outputs = len(schema.regions) if network.output == "regions" else len(schema.labels) + 1
    built = architectures.build(network, params.patch, len(schema.modalities), outputs, train_code)
    tags = {"data_hash": data_hash, "code_hash": code_hash(*CODE), "keras_backend": backend.name()}
    with tracking.run(
        tags, tracking.model_part(model, card, history), past=resumed.history if resumed else ()
    ) as run:
        records = training.fit(
            built,
            losses.build(network.output, values, train_code),
            optimizer.build(
                params.optimizer,
                params.weight_decay,
                params.momentum,
                params.clip_norm,
                params.ema_momentum,
                train_code,
            ),
            _schedule(params, values, train_code),
            partial(sampler(trained_on).training, on_the_fly=params.on_the_fly),
            sampler(validated_on).validation(params.val_batches),
            schema,
            network.output,
            state_path,
            fingerprint,
            resumed=resumed,
            on_epoch=lambda record, timing: run.log_epoch(record | timing),
        )
        saving.save_model(built, model)
        best = best_epoch([training.score(record) for record in records])
        val_dice = records[best]["val_dice"]
        described = Card(
            format_version=2,
            cohort=schema,
            preprocess=config,
            network=network,
            patch=params.patch,
            spacing_mm=spacing_mm,
            seed=seed,
            train=values,
            trained_on=parts.train,
            validated_on=parts.val,
            best_epoch=best + 1,
            val_dice=None if math.isnan(val_dice) else val_dice,
            weights=int(sum(np.prod(weight.shape) for weight in built.trainable_weights)),
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
        summary = {"epochs": len(records), "best_epoch": best + 1, "weights": described.weights}
        write_json(metrics, summary | {"best": records[best]})
    state_path.unlink(missing_ok=True)


def _shards(folder: Path, cases: tuple[str, ...]) -> list[shards.Shard]:
    return [shards.read(folder, case) for case in cases]


def _copies(folder: Path, cases: tuple[str, ...]) -> list[shards.Shard]:
    """Augmented copies; a copy of a case outside of train would leak."""
    rows = read_csv(folder / "table.csv")
    foreign = sorted({row["case"] for row in rows} - set(cases))
    if foreign:
        raise InputError(
            f"{folder / 'table.csv'}: holds copies of {foreign}, which are not in train. Run `dvc"
            " repro augment`."
        )
    return _shards(folder, tuple(row["name"] for row in rows))


def _median_spacing_mm(folder: Path, cases: tuple[str, ...]) -> tuple[float, float, float]:
    x, y, z = np.median([shards.read_geometry(folder, case).spacing_mm for case in cases], axis=0)
    return float(x), float(y), float(z)


def _fingerprint(
    data_hash: str,
    augmented: Path,
    config: PreprocessingConfig,
    network: NetworkParams,
    params: TrainParams,
    augment_code: str,
    train_code: str,
    seed: int,
) -> str:
    """Hash of everything that the weights depend on."""
    parts = [data_hash, sha256(augmented / "table.csv"), str(seed), str(backend.versions())]
    parts += [record.model_dump_json() for record in (config, network, params)]
    parts += [code_hash(*CODE)]
    for own in sorted({augment_code, train_code} - {extensions.NONE}):
        parts += [sha256(file) for file in sorted(Path(own).rglob("*.py")) or [Path(own)]]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _schedule(params: TrainParams, values: dict[str, Any], code: str) -> training.Schedule:
    factor = registry.load(registry.SCHEDULES, params.schedule, "train.schedule", code)
    return training.Schedule(
        epochs=params.epochs,
        steps_per_epoch=params.steps_per_epoch,
        patience=params.early_stopping_epochs,
        learning_rate=partial(learning_rate, factor, values),
        workers=min(usable_cores(), 8),
    )


if __name__ == "__main__":
    stage.main(train, recorded=costs.recorded)
