"""Training: steps over batches that threads make ahead, validation after each epoch, exact
resumption.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit
from tqdm import tqdm

from ..core.confusion import confusion, dice_of_classes
from ..core.errors import InputError
from ..core.regions import outputs_to_classes
from ..core.schema import Schema
from . import checkpoint, optimizer
from .backend import compiles, keras
from .checkpoint import Checkpoint
from .losses import DiceCrossEntropy, level_weights
from .schedule import best_epoch, is_over

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Course:
    """How long training goes on and how its batches are made.

    Attributes
    ----------
    epochs, steps : int
        Number of epochs, and of steps in each.
    patience : int
        Epochs without a better validation score after which training ends, 0 for never.
    threads, ahead : int
        Threads that make batches, and batches that may wait to be used.
    learning_rate : callable
        From the step, counted over all epochs from 0, and the validation losses so far.
    """

    epochs: int
    steps: int
    patience: int
    threads: int
    ahead: int
    learning_rate: Callable[[int, Sequence[float]], float]


def fit(
    model: keras.Model,
    loss: DiceCrossEntropy,
    rule: keras.optimizers.Optimizer,
    course: Course,
    batch: Callable[[int, int], Batch],
    validation: Sequence[Batch],
    schema: Schema,
    path: Path,
    fingerprint: str,
    resumed: Checkpoint | None = None,
    on_epoch: Callable[[dict, dict], None] = lambda record, timing: None,
) -> list[dict]:
    """Train a network; in the end it has the weights of its best epoch.

    Parameters
    ----------
    model : keras.Model
        As `unet.build` makes it.
    loss : DiceCrossEntropy
    rule : keras.optimizers.Optimizer
        As `optimizer.build` makes it.
    course : Course
    batch : callable
        ``batch(epoch, step)``, epoch from 1 and step from 0, gives an image (B, *patch, C) float32
        and a target (B, *patch, O) of zeros and ones, uint8 or float32. Called from threads; a pure
        function of its arguments, or training does not repeat.
    validation : sequence of batches
        The same at every epoch.
    schema : Schema
        Names the regions and labels.
    path, fingerprint
        The checkpoint's file and what it says, see `pipeline.network.checkpoint`.
    resumed : Checkpoint, optional
        Where to go on.
    on_epoch : callable
        Called after each epoch, before its checkpoint, with its record (epoch, learning_rate, loss,
        val_loss, val_dice: the mean over regions, val_dice_<region or label>; all repeat exactly)
        and with its timing (seconds, waiting: the share of the time of the steps spent waiting for
        batches).

    Returns
    -------
    list of dict
        The records of all epochs, those before the resumption included.

    Raises
    ------
    InputError
        If the loss of a step is not finite.
    """
    compile_for_training(model, loss, rule)
    history, best = _resume(model, resumed) if resumed else ([], weights_of(model))
    with closing(_prefetch(batch, model, course, first=len(history) + 1)) as batches:
        while len(history) < course.epochs and not is_over(
            [score(record) for record in history], course.patience
        ):
            started = time.perf_counter()
            record, waiting = _train_epoch(model, course, batches, history)
            with averaged_weights(model):
                record |= validate(model, loss, validation, schema)
                history.append(record)
                if best_epoch([score(past) for past in history]) == len(history) - 1:
                    best = weights_of(model)
            on_epoch(record, {"seconds": time.perf_counter() - started, "waiting": waiting})
            state = Checkpoint(
                fingerprint, history, _values(model.variables), _values(rule.variables), best
            )
            checkpoint.save(path, state)
    model.set_weights(best)
    return history


def compile_for_training(
    model: keras.Model, loss: DiceCrossEntropy, rule: keras.optimizers.Optimizer
) -> None:
    """Join network, loss (at every supervised level) and optimizer."""
    levels = len(model.outputs)
    supervised = (
        {"loss": loss}
        if levels == 1
        else {"loss": [loss] * levels, "loss_weights": level_weights(levels)}
    )
    model.compile(optimizer=rule, jit_compile=compiles(), auto_scale_loss=False, **supervised)
    rule.build(model.trainable_variables)


def score(record: dict) -> float:
    """What makes an epoch the best: its mean region Dice or, where no region is present, less loss."""
    return -record["val_loss"] if math.isnan(record["val_dice"]) else record["val_dice"]


def weights_of(model: keras.Model) -> list[np.ndarray]:
    """Copies of the weights, which later steps leave alone."""
    return _values(model.weights)


def _values(variables) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _resume(model: keras.Model, state: Checkpoint):
    _assign(model.variables, state.variables)
    _assign(model.optimizer.variables, state.optimizer)
    return list(state.history), state.best


def _train_epoch(model, course, batches, history):
    """Take the steps of one epoch; its record so far, and the share of time spent waiting."""
    epoch, losses = len(history) + 1, [record["val_loss"] for record in history]
    total, waited, started = 0.0, 0.0, time.perf_counter()
    with tqdm(
        total=course.steps, desc=f"epoch {epoch}/{course.epochs}", unit="step", mininterval=1
    ) as bar:
        for step in range(course.steps):
            rate = course.learning_rate((epoch - 1) * course.steps + step, losses)
            model.optimizer.learning_rate = rate
            asked = time.perf_counter()
            image, target = next(batches)
            waited += time.perf_counter() - asked
            loss = float(model.train_on_batch(image, target, return_dict=True)["loss"])
            if not math.isfinite(loss):
                raise InputError(
                    f"params.yaml: the loss became {loss} at step {step + 1} of epoch {epoch}, so"
                    " the weights are lost. Lower train.learning_rate or train.clip_norm, or set"
                    " train.precision to float32."
                )
            total += loss
            bar.set_postfix_str(f"loss {total / (step + 1):.4f}", refresh=False)
            bar.update()
    record = {"epoch": epoch, "learning_rate": rate, "loss": total / course.steps}
    return record, waited / (time.perf_counter() - started)


def _prefetch(batch, model, course, first) -> Iterator[tuple]:
    """Batches in order from the first step of an epoch on, made by threads; closing it ends them."""
    levels = len(model.outputs)
    orders = (
        (epoch, step) for epoch in range(first, course.epochs + 1) for step in range(course.steps)
    )
    pool = ThreadPoolExecutor(course.threads, thread_name_prefix="batches")
    waiting = deque()
    try:
        for epoch, step in orders:
            waiting.append(pool.submit(_make, batch, epoch, step, levels))
            if len(waiting) > course.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _make(batch, epoch, step, levels):
    image, target = batch(epoch, step)
    return image, (target if levels == 1 else [coarser(target, level) for level in range(levels)])


def coarser(target: np.ndarray, level: int) -> np.ndarray:
    """Every 2**level-th voxel of a target (B, *patch, O) along each spatial axis."""
    stride = slice(None, None, 2**level)
    return np.ascontiguousarray(target[(slice(None), *[stride] * (target.ndim - 2))])


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Give the network the running average of its weights for a while, if its optimizer keeps one."""
    if not optimizer.averages(model.optimizer):
        yield
        return
    own = _values(model.trainable_variables)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    # As copies: on jax the weights would share the arrays of the average, and the next call of the
    # network frees its own.
    _assign(model.trainable_variables, _values(model.trainable_variables))
    try:
        yield
    finally:
        _assign(model.trainable_variables, own)


def validate(
    model: keras.Model, loss: DiceCrossEntropy, validation: Sequence[Batch], schema: Schema
) -> dict[str, float]:
    """Loss and Dice of the present weights.

    Parameters
    ----------
    model, loss, validation, schema
        As in `fit`. Only the finest logits count.

    Returns
    -------
    dict
        val_loss: mean over batches; val_dice_<name> for each region and label: of the hard
        prediction, over the voxels of all batches together, NaN where neither reference nor
        prediction has any; val_dice: mean over the regions that are not NaN.
    """
    losses, counts = [], 0
    for image, target in validation:
        logits = model.predict_on_batch(image)
        logits = logits[0] if isinstance(logits, list) else logits
        losses.append(float(loss(target, logits)))
        reference = outputs_to_classes(target, schema, loss.output)
        predicted = outputs_to_classes(
            expit(logits), schema, loss.output
        )  # of labels the most probable too: it only grows
        counts = counts + confusion(reference, predicted, len(schema.labels) + 1)
    regions = {name: dice_of_classes(counts, schema.classes_of(name)) for name in schema.regions}
    labels = {name: dice_of_classes(counts, [index]) for index, name in enumerate(schema.labels, 1)}
    present = [value for value in regions.values() if not math.isnan(value)]
    mean = float(np.mean(present)) if present else math.nan
    named = {f"val_dice_{name}": value for name, value in (regions | labels).items()}
    return {"val_loss": float(np.mean(losses)), "val_dice": mean, **named}
