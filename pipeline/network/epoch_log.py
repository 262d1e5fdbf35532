"""What a training says and keeps after every epoch: a line, and the table of the epochs so far."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import median_low
from typing import Any

from ..core.records import write_csv
from . import members, training
from .schedule import best_epoch

log = logging.getLogger(__name__)

_RECENT = 5
"""Epochs whose seconds foretell those to come."""


class EpochLog:
    """Follows the training of one network, or of one after the other.

    Parameters
    ----------
    table : Path or None
        metrics/history.csv, written after every epoch; None where this process trains a part.
    epochs : int
        Of each network.
    patience : int
        As of `training.Schedule`: with it, a training may end before.
    networks : int
    """

    def __init__(self, table: Path | None, epochs: int, patience: int, networks: int):
        self._table, self._epochs, self._patience = table, epochs, patience
        self._histories: list[members.History] = [[] for _ in range(networks)]
        self._seconds: list[float] = []

    def add(self, number: int, record: dict[str, Any], timing: Mapping[str, float]) -> None:
        """Keep the record of an epoch of a network, and say how its training stands; of an epoch
        before a resumption, which has no timing, only the former.
        """
        history = self._histories[number]
        history.append(record)
        if self._table:
            write_csv(self._table, members.rows_of(self._histories))
        if timing:
            self._seconds.append(timing["seconds"])
            fold = f"fold {number}  " if len(self._histories) > 1 else ""
            log.info("%s%s%s", fold, line(history, self._epochs), self._left(number))

    def _left(self, number: int) -> str:
        later = self._epochs * (len(self._histories) - 1 - number) if self._table else 0
        epochs = self._epochs - len(self._histories[number]) + later
        most = "at most " if self._patience else ""
        seconds = epochs * median_low(self._seconds[-_RECENT:])
        return f"  {most}{duration(seconds)} left" if epochs else ""


def line(history: members.History, epochs: int) -> str:
    """How a training stands after the last of its epochs: losses, validation Dice, and the best
    validation so far, which is that of the smallest val_loss where no case has a region.
    """
    last = history[-1]
    best = history[best_epoch([training.score(record) for record in history])]
    without = math.isnan(best["val_dice"])
    of_best = f"val_loss {best['val_loss']:.4f}" if without else f"{best['val_dice']:.4f}"
    values = "  ".join(f"{key} {last[key]:.4f}" for key in ("loss", "val_loss", "val_dice"))
    number = f"{last['epoch']:>{len(str(epochs))}}/{epochs}"
    return f"epoch {number}  {values}  best {of_best} in epoch {best['epoch']}"


def duration(seconds: float) -> str:
    """A time in the unit in which it is read: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
