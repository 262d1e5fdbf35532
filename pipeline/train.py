"""Stage 5: train the network, or one for each fold.

Reads raw/catalogue.json (the cohort schema), split.json, shards/<case>.*.npy of train and val, and
the augmented copies of train. Writes models/network.keras (weights of the best epoch; of several
networks as one, see `ensemble`; deterministic bytes), models/card.json (`Card`),
metrics/history.csv (one row per epoch, written after each), metrics/train.json. Keeps
models/checkpoint.npz of each network after every epoch until the end, so that an interrupted
training resumes exactly; a checkpoint of other params, data or code is ignored. Logs every epoch to
MLflow, to a nested run for each fold. Where there are several GPUs, the folds are trained side by
side, on one each.
"""

import logging
import platform
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .core import extensions
from .core.catalogue import Catalogue
from .core.errors import InputError
from .core.folds import Split
from .core.progress import Bar
from .core.records import read_json, sha256, write_csv, write_json
from .network import backend, checkpoint, ensemble, members
from .network.card import Card, data_hash
from .network.epoch_log import EpochLog
from .network.params import NetworkParams
from .network.setup import Setup
from .network.train_params import TrainParams, fitted
from .preparation import shards as shard_files
from .preparation.params import PreprocessingConfig
from .runtime import costs, gpus, stage
from .runtime.code import code_hash
from .runtime.tracking import reproduction
from .runtime.tracking.datasets import data_of
from .runtime.tracking.parts import model_part
from .runtime.tracking.run import Run

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
    fold: Annotated[int | None, stage.Option("train only this fold, up to its checkpoint")] = None,
) -> None:
    """Train every network on its training cases and copies; keep the weights of its best epoch."""
    cohort, parts = read_json(catalogue, Catalogue), read_json(split, Split)
    parts.check(str(split))
    spacing_mm = shard_files.median_spacing_mm(shards, parts.train)
    network = fitted(network, params, cohort.cohort, spacing_mm)
    of_data = data_hash(catalogue, split)
    fingerprint = checkpoint.fingerprint(
        *(of_data, sha256(augmented / "table.csv"), seed, config, network, params),
        *(backend.versions(), code_hash(*CODE), extensions.sha256_of(augment_code, train_code)),
    )
    copies = shard_files.read_copies(augmented, parts.train)
    read = partial(shard_files.read, shards)
    setup = Setup(network, params, cohort.cohort, train_code, seed, spacing_mm)
    count = len(parts.members)
    first = backend.process()[0] == 0  # of several, the one that writes
    table = history if first and fold is None else None
    epochs = EpochLog(table, params.epochs, params.early_stopping_epochs, count)

    def trained(number: int, own: Run | None) -> tuple[Any, members.History]:
        """The network of a fold and its records."""
        trained_on, validated_on = parts.members[number]
        return members.trained(
            replace(setup, seed=seed + number),
            [*map(read, trained_on), *(one for one in copies if one.case in trained_on)],
            [*map(read, validated_on)],
            _state(model, number),
            fingerprint,
            partial(_log, epochs, number, own) if first else None,
        )

    if fold is not None:
        if fold not in range(count):
            raise InputError(f"--fold is {fold}, but {split} has the folds 0 to {count - 1}.")
        trained(fold, None)
        return
    if count > 1 and params.devices == 1 and backend.process() == (0, 1):
        _train_side_by_side(count)
    tags = {"data_hash": of_data, "code_hash": code_hash(*CODE), "keras_backend": backend.name()}
    alone = count == 1
    past = checkpoint.history(_state(model, 0), fingerprint) if alone else []
    data, part = data_of(cohort, parts), model_part(model, card, history)
    with reproduction.run(tags, data, part, past=past) if first else nullcontext() as run:
        networks, described, histories = [], [], []
        for number in range(count):
            with nullcontext(run) if alone or not run else run.child(f"fold {number}") as own:
                built, records = trained(number, own)
            networks.append(built)
            histories.append(records)
            described.append(members.described(*parts.members[number], records))
        if not run:
            return
        ensemble.save(networks, model)
        weights = sum(_count(network) for network in networks)
        entry = Card(
            format_version=4,
            cohort=cohort.cohort,
            preprocess=config,
            network=network,
            patch=params.patch,
            spacing_mm=spacing_mm,
            seed=seed,
            train=setup.values,
            members=tuple(described),
            weights=weights,
            data_hash=of_data,
            network_sha256=sha256(model),
            backend=backend.name(),
            versions=backend.versions()
            | {"python": platform.python_version(), "numpy": np.__version__},
            use="Research use only, not for diagnosis.",
            stripped=cohort.stripped(parts.train),
        )
        write_json(card, entry)
        write_csv(history, members.rows_of(histories))
        summary = members.summary_of(histories)
        write_json(metrics, summary | {"weights": weights})
        log.info("%s: %s", model, _said(summary))
    for number in range(len(described)):
        _state(model, number).unlink(missing_ok=True)


def _train_side_by_side(folds: int) -> None:
    """Train the folds up to their checkpoints, by this command for each of them, if there are
    several GPUs.
    """
    cards = gpus.visible()
    if len(cards) < 2:
        return
    command = [sys.executable, "-m", "pipeline.train", *sys.argv[1:], "--fold"]
    codes = gpus.side_by_side([[*command, str(fold)] for fold in range(folds)], cards)
    failed = [
        str(fold) for fold, code in enumerate(Bar(codes, "train", folds, unit="fold")) if code
    ]
    if failed:
        raise InputError(
            f"Training of fold {', '.join(failed)} failed, as said above. What all folds have"
            " trained is kept in models/checkpoint*.npz: after a correction, dvc repro goes on."
        )


def _log(epochs: EpochLog, number: int, run: Run | None, record: dict, timing: dict) -> None:
    epochs.add(number, record, timing)
    if run:
        run.log_epoch(record | timing)


def _said(summary: dict[str, Any]) -> str:
    """How good the networks were on their validation cases."""
    found = f"val_dice {summary['best']['val_dice']:.4f}"
    if "best_epoch" in summary:
        return f"{found}, weights of epoch {summary['best_epoch']} of {summary['epochs']} trained"
    return f"{found}, mean over the best epochs of the folds"


def _count(network: Any) -> int:
    return int(sum(np.prod(weight.shape) for weight in network.trainable_weights))


def _state(model: Path, number: int) -> Path:
    """The checkpoint of a network."""
    return model.with_name(f"checkpoint_{number}.npz" if number else "checkpoint.npz")


if __name__ == "__main__":
    part_of_another = backend.process()[0] or "--fold" in sys.argv
    stage.main(train, recorded=nullcontext if part_of_another else costs.recorded)
