"""Learning rate and early stopping, as pure functions of the step and of past results.

Nothing here has a state, so a resumed training continues exactly.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

POLY_POWER = 0.9
PLATEAU_MARGIN = 1e-4

Factor = Callable[[float, Sequence[float], Mapping[str, Any]], float]
"""A schedule: ``(progress, losses, train) -> factor`` of the peak learning rate after the warm-up.

`progress` in [0, 1) is the share of the steps after the warm-up that are over, `losses` are the
validation losses of the past epochs, and `train` is the section of params.yaml as plain values. Add
one here and to `registry.SCHEDULES`.
"""


def learning_rate(
    factor: Factor, train: Mapping[str, Any], step: int, losses: Sequence[float] = ()
) -> float:
    """Learning rate of one step: a linear warm-up to the peak, then the schedule.

    `step` counts over all epochs, from 0; `train` and `losses` are as in `Factor`.
    """
    peak, steps = train["learning_rate"], train["epochs"] * train["steps_per_epoch"]
    warmup_steps = round(train["warmup_epochs"] * train["steps_per_epoch"])
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return peak * factor(progress, losses, train)


def constant(progress: float, losses: Sequence[float], train: Mapping[str, Any]) -> float:
    """Always 1."""
    return 1.0


def cosine(progress: float, losses: Sequence[float], train: Mapping[str, Any]) -> float:
    """Half a cosine period from 1 to 0 (Loshchilov and Hutter, SGDR, 2017, eq. 5)."""
    return (1 + math.cos(math.pi * progress)) / 2


def poly(progress: float, losses: Sequence[float], train: Mapping[str, Any]) -> float:
    """(1 - progress) ** 0.9, nnU-Net's (Chen et al., DeepLab, 2018, section 4.1)."""
    return (1 - progress) ** POLY_POWER


def plateau(progress: float, losses: Sequence[float], train: Mapping[str, Any]) -> float:
    """`plateau_factor` to the power of the number of reductions.

    The rate is reduced each time that `plateau_patience` epochs pass without a lower validation
    loss; NaN is not lower.
    """
    best, waited, reductions = math.inf, 0, 0
    for loss in losses:
        if loss < best - PLATEAU_MARGIN:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == train["plateau_patience"]:
            waited, reductions = 0, reductions + 1
    return train["plateau_factor"] ** reductions


def best_epoch(scores: Sequence[float]) -> int:
    """Position of the highest score, the earliest among equals; 0 if all are NaN."""
    return max(
        range(len(scores)),
        key=lambda epoch: (scores[epoch] == scores[epoch], scores[epoch], -epoch),
    )


def stops_early(scores: Sequence[float], patience: int) -> bool:
    """Whether the best of the scores is at least `patience` epochs old; never for patience 0."""
    return bool(scores) and 0 < patience <= len(scores) - 1 - best_epoch(scores)
