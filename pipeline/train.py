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
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np

from .core import extensions
from .core.catalogue import Catalogue
from .core.cores import usable_cores
from .core.folds import Split
from .core.records import read_json, sha256, write_csv, write_json
from .network import backend, checkpoint, saving, training
from .network.card import Card
from .network.params import NetworkParams
from .network.schedule import best_epoch
from .network.setup import Setup
from .network.train_params import TrainParams, fitted
from .preparation import shards as shard_files
from .preparation.preprocessing import PreprocessingConfig
from .runtime import costs, stage, tracking
from .runtime.code import code_hash

log = logging.getLogger(__name__)

ROOMS = ("core", "formats", "preparation", "augmentation", "network")
CODE = (*ROOMS, "preprocess.py", "augment.py", "train.py")
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
    parts.check(str(split))
    spacing_mm = shard_files.median_spacing_mm(shards, parts.train)
    network = fitted(network, params, schema, spacing_mm)
    trained_on = [shard_files.read(shards, case) for case in parts.train]
    trained_on += shard_files.read_copies(augmented, parts.train)
    validated_on = [shard_files.read(shards, case) for case in parts.val]
    data_hash = hashlib.sha256(catalogue.read_bytes() + split.read_bytes()).hexdigest()
    state_path = model.with_name("checkpoint.npz")
    fingerprint = checkpoint.fingerprint(
        *(data_hash, sha256(augmented / "table.csv"), seed, config, network, params),
        *(backend.versions(), code_hash(*CODE), extensions.sha256_of(augment_code, train_code)),
    )
    resumed = checkpoint.load(state_path, fingerprint)
    past = resumed.history if resumed else []
    if resumed:
        log.info("resuming after epoch %d of an interrupted training", len(past))

    backend.prepare(seed, params.precision, params.deterministic)
    setup = Setup(network, params, schema, train_code, seed, spacing_mm)
    built = setup.model()
    feed, validation = setup.feed(trained_on), setup.validation(validated_on)
    tags = {"data_hash": data_hash, "code_hash": code_hash(*CODE), "keras_backend": backend.name()}
    first = backend.process()[0] == 0  # of several, the one that writes
    part = tracking.model_part(model, card, history)
    with tracking.run(tags, part, past=past) if first else nullcontext() as run:
        records = training.fit(
            built,
            setup.loss(),
            setup.optimizer(),
            setup.schedule(workers=min(usable_cores(), 8)),
            feed,
            validation,
            schema,
            network.output,
            state_path,
            fingerprint,
            resumed=resumed,
            on_epoch=(lambda record, timing: run.log_epoch(record | timing)) if run else None,
            type_weight=params.type_weight,
            devices=params.devices,
        )
        if not run:
            return
        saving.save_model(built, model)
        best = best_epoch([training.score(record) for record in records])
        val_dice = records[best]["val_dice"]
        described = Card(
            format_version=3,
            cohort=schema,
            preprocess=config,
            network=network,
            patch=params.patch,
            spacing_mm=spacing_mm,
            seed=seed,
            train=setup.values,
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


if __name__ == "__main__":
    stage.main(train, recorded=nullcontext if backend.process()[0] else costs.recorded)
