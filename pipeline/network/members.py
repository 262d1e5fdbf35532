"""The training of each network of an ensemble, or of the only one."""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.cores import usable_cores
from ..preparation.shards import Shard
from . import backend, checkpoint, training
from .backend import keras
from .card import Member
from .schedule import best_epoch
from .setup import Setup

log = logging.getLogger(__name__)

History = list[dict[str, Any]]


def trained(
    setup: Setup,
    trained_on: Sequence[Shard],
    validated_on: Sequence[Shard],
    path: Path,
    fingerprint: str,
    on_epoch: Callable[[dict, dict], None] | None,
) -> tuple[keras.Model, History]:
    """Train a network from its checkpoint, if there is one, to the end.

    Parameters
    ----------
    setup : Setup
    trained_on, validated_on : sequence of Shard
    path, fingerprint
        Of the checkpoint, see `pipeline.network.checkpoint`.
    on_epoch
        As in `training.fit`, and with each epoch before a resumption, without its timing.

    Returns
    -------
    network : keras.Model
        With the weights of its best epoch.
    history : list of dict
        As from `training.fit`.
    """
    train = setup.train
    backend.prepare(setup.seed, train.precision, train.deterministic)
    network, resumed = setup.model(), checkpoint.load(path, fingerprint)
    if resumed:
        log.info("resuming after epoch %d of an interrupted training", len(resumed.history))
        if on_epoch:
            for record in resumed.history:
                on_epoch(record, {})
    records = training.fit(
        network,
        setup.loss(),
        setup.optimizer(),
        setup.schedule(workers=min(usable_cores(), 8)),
        setup.feed(trained_on),
        setup.validation(validated_on),
        setup.schema,
        setup.network.output,
        path,
        fingerprint,
        resumed=resumed,
        on_epoch=on_epoch,
        type_weight=train.type_weight,
        devices=train.devices,
    )
    return network, records


def described(trained_on: Sequence[str], validated_on: Sequence[str], history: History) -> Member:
    """The entry of the card for a network."""
    best = _best(history)
    return Member(
        trained_on=tuple(trained_on),
        validated_on=tuple(validated_on),
        best_epoch=best["epoch"],
        val_dice=None if math.isnan(best["val_dice"]) else best["val_dice"],
    )


def rows_of(histories: Sequence[History]) -> History:
    """Rows of metrics/history.csv: the records of one network as they are; of several, their means
    epoch by epoch, then loss, val_loss and val_dice of each as ``fold_0_loss`` and so on.
    """
    if len(histories) == 1:
        return histories[0]
    rows = []
    for epoch in range(max(map(len, histories))):
        there = [history[epoch] for history in histories if epoch < len(history)]
        row = {name: _mean([record[name] for record in there]) for name in there[0]}
        row["epoch"] = epoch + 1
        for number, history in enumerate(histories):
            for name in ("loss", "val_loss", "val_dice"):
                value = history[epoch][name] if epoch < len(history) else math.nan
                row[f"fold_{number}_{name}"] = value
        rows.append(row)
    return rows


def summary_of(histories: Sequence[History]) -> dict[str, Any]:
    """Content of metrics/train.json: epochs, and of the best one its number and record; of several
    networks the means of the records, and each by itself as ``fold_0`` and so on.
    """
    each = [
        {"epochs": len(history), "best_epoch": _best(history)["epoch"], "best": _best(history)}
        for history in histories
    ]
    if len(each) == 1:
        return each[0]
    bests = [one["best"] for one in each]
    means = {name: _mean([best[name] for best in bests]) for name in bests[0] if name != "epoch"}
    folds = {f"fold_{number}": one for number, one in enumerate(each)}
    return {"epochs": max(one["epochs"] for one in each), "best": means} | folds


def _best(history: History) -> dict[str, Any]:
    return history[best_epoch([training.score(record) for record in history])]


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are not NaN."""
    there = [value for value in values if not math.isnan(value)]
    return float(np.mean(there)) if there else math.nan
