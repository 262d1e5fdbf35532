"""How the learning rate moves and when training ends: pure functions of the step and of past
results.

Nothing here remembers anything, so a resumed training continues exactly where it stood.
"""

import math
from collections.abc import Sequence
from typing import Literal

Schedule = Literal["constant", "cosine", "poly", "plateau"]

POLY_POWER = 0.9
PLATEAU_MARGIN = 1e-4


def learning_rate(
    schedule: Schedule,
    peak: float,
    step: int,
    steps: int,
    warmup_steps: int,
    losses: Sequence[float] = (),
    plateau_factor: float = 0.5,
    plateau_patience: int = 10,
) -> float:
    """Learning rate of one step: a linear warm-up to the peak, then the schedule.

    Parameters
    ----------
    schedule : {"constant", "cosine", "poly", "plateau"}
    peak : float
        Positive; reached at the end of the warm-up.
    step : int
        0 .. steps - 1, counted over all epochs.
    steps : int
        Steps of the whole training.
    warmup_steps : int
        Length of the warm-up, 0 for none.
    losses : sequence of float
        Validation losses of the epochs that are over; only "plateau" looks at them.
    plateau_factor, plateau_patience
        See `plateau`; used by it alone.

    Returns
    -------
    float
        In (0, peak].
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if schedule == "constant":
        return peak
    if schedule == "plateau":
        return peak * plateau(losses, plateau_factor, plateau_patience)
    progress = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return peak * {"cosine": cosine, "poly": poly}[schedule](progress)


def cosine(progress: float) -> float:
    """Factor of half a cosine period over progress in [0, 1) (Loshchilov and Hutter, SGDR, 2017,
    eq. 5).
    """
    return (1 + math.cos(math.pi * progress)) / 2


def poly(progress: float) -> float:
    """Factor (1 - progress) ** 0.9 for progress in [0, 1) (Chen et al., DeepLab, 2018, section 4.1;
    nnU-Net's).
    """
    return (1 - progress) ** POLY_POWER


def plateau(losses: Sequence[float], factor: float, patience: int) -> float:
    """Factor after the losses so far: reduced each time that `patience` epochs went by without
    progress.

    Parameters
    ----------
    losses : sequence of float
        Validation losses from the first epoch on; NaN is no progress.
    factor : float
        Of one reduction, in (0, 1).
    patience : int
        Epochs, at least 1.

    Returns
    -------
    float
        ``factor`` to the power of the number of reductions.
    """
    best, waited, reductions = math.inf, 0, 0
    for loss in losses:
        if loss < best - PLATEAU_MARGIN:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            waited, reductions = 0, reductions + 1
    return factor**reductions


def best_epoch(scores: Sequence[float]) -> int:
    """Position of the highest score, the earliest among equals. NaN never wins unless all are NaN
    (then 0).
    """
    return max(
        range(len(scores)),
        key=lambda epoch: (scores[epoch] == scores[epoch], scores[epoch], -epoch),
    )


def is_over(scores: Sequence[float], patience: int) -> bool:
    """Whether early stopping is due: the best of the scores is at least `patience` epochs old (0:
    never).
    """
    return bool(scores) and 0 < patience <= len(scores) - 1 - best_epoch(scores)
