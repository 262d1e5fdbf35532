"""Training: steps on what threads prepare, validation per epoch, exact resumption."""

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from ..core.confusion import confusion, dice_of_classes
from ..core.errors import InputError
from ..core.progress import Bar
from ..core.regions import outputs_to_classes
from ..core.schema import Schema
from . import backend, checkpoint
from .architectures import coarsening
from .backend import keras
from .checkpoint import Checkpoint
from .losses import TypeCrossEntropy, types_of
from .optimizer import averages
from .schedule import best_epoch, stops_early

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Feed:
    """What the steps are made of.

    Attributes
    ----------
    item : callable
        ``item(epoch, step)``, epoch from 1 and step from 0: arrays for a step, a tuple or dict of
        them. Called from threads; must be a pure function of its arguments for the training to be
        reproducible.
    batch : callable
        ``batch(constants, item)``: tensors image (B, *patch, C) float32 and target (B, *patch, O)
        of zeros and ones, uint8 or float32. Part of the compiled step.
    constants : callable
        ``constants(epoch)``: a dict of tensors on the device.
    steps_per_call : int
        Steps that one call of the compiled program takes, at most.
    """

    item: Callable[[int, int], Any]
    batch: Callable[[Any, Any], tuple] = lambda constants, item: item
    constants: Callable[[int], Any] = lambda epoch: {}
    steps_per_call: int = 1


@dataclass(frozen=True)
class Schedule:
    """Length of a training, learning rate, and how many items of its feed are prepared ahead.

    Attributes
    ----------
    patience : int
        Epochs without a better validation score after which training ends, 0 for never.
    learning_rate : callable
        From the step, counted over all epochs from 0, and the validation losses so far.
    workers : int
        Threads that prepare items.
    max_queue_size : int
        Items that may wait.
    """

    epochs: int
    steps_per_epoch: int
    patience: int
    learning_rate: Callable[[int, Sequence[float]], float]
    workers: int = 2
    max_queue_size: int = 16


def fit(
    model: keras.Model,
    loss: keras.losses.Loss,
    optimizer: keras.optimizers.Optimizer,
    schedule: Schedule,
    feed: Feed,
    validation: Sequence[Batch],
    schema: Schema,
    output: str,
    path: Path,
    fingerprint: str,
    resumed: Checkpoint | None = None,
    on_epoch: Callable[[dict, dict], None] | None = None,
    type_weight: float = 1.0,
    devices: int = 1,
) -> list[dict]:
    """Train a network; in the end it has the weights of its best epoch.

    Parameters
    ----------
    model, loss, optimizer
        As `build` of architectures, losses and optimizer returns them.
    schedule : Schedule
    feed : Feed
    validation : sequence of batches
        The same at every epoch.
    schema : Schema
    output : {"regions", "labels"}
        What the channels of the target are.
    path, fingerprint
        The checkpoint's file and identity, see `pipeline.network.checkpoint`.
    resumed : Checkpoint, optional
        The state to continue from.
    on_epoch : callable, optional
        Called after each epoch, before its checkpoint, with its record (epoch, learning_rate, loss,
        val_loss, val_dice: the mean over regions, val_dice_<region or label>; all reproducible) and
        with its timing (seconds, waiting: the share of the time spent waiting for the feed).
    devices : int
        Of this process, that share each batch; 0 for all.

    Returns
    -------
    list of dict
        The records of all epochs, including those before the resumption.

    Raises
    ------
    InputError
        If the loss of a step is not finite.
    """
    optimizer.build(model.trainable_variables)
    history, best = [], _values(model.weights)
    if resumed:
        _assign(model.variables, resumed.variables)
        _assign(optimizer.variables, resumed.optimizer)
        history, best = list(resumed.history), resumed.best
    factors = coarsening(model, validation[0][0].shape[1:-1])
    total = supervised(loss, factors, type_weight)
    steps = backend.steps(model, total, optimizer, feed.batch, devices)
    with closing(_prefetch(feed, schedule, first=len(history) + 1)) as items:
        while len(history) < schedule.epochs and not stops_early(
            [score(record) for record in history], schedule.patience
        ):
            started = time.perf_counter()
            record, waiting = _train_epoch(steps, feed, schedule, items, history)
            steps.pull()
            with averaged_weights(model, optimizer):
                record |= validate(model, loss, validation, schema, output)
                history.append(record)
                if best_epoch([score(past) for past in history]) == len(history) - 1:
                    best = _values(model.weights)
            if on_epoch:
                on_epoch(record, {"seconds": time.perf_counter() - started, "waiting": waiting})
            state = Checkpoint(
                fingerprint, history, _values(model.variables), _values(optimizer.variables), best
            )
            if backend.process()[0] == 0:
                checkpoint.save(path, state)
    model.set_weights(best)
    return history


def supervised(
    loss: keras.losses.Loss, factors: Sequence[Sequence[int]], type_weight: float = 1.0
) -> Callable[[Any, Any], Any]:
    """The function from the outputs of a network, one or a list of supervised levels and of types,
    and a target to the loss: the weighted sum over the levels, and over types by `type_weight`.

    `factors` are those of `architectures.coarsening`.
    """
    of_types = TypeCrossEntropy()

    def total(outputs, target):
        found = outputs if isinstance(outputs, list) else [outputs]
        levels, types = found[: len(factors)], found[len(factors) :]
        weights = level_weights(len(levels))
        found_loss = sum(
            weight * loss(coarser(target, strides), logits)
            for weight, strides, logits in zip(weights, factors, levels, strict=True)
        )
        for logits in types:
            found_loss = found_loss + type_weight * of_types(types_of(target), logits)
        return found_loss

    return total


def level_weights(levels: int) -> list[float]:
    """Loss weights of supervised outputs: halved at each coarser level, sum 1 (nnU-Net)."""
    return [2.0**-level / (2 - 2.0 ** (1 - levels)) for level in range(levels)]


def score(record: dict) -> float:
    """Score that selects the best epoch: mean region Dice, or -val_loss if no region is present."""
    return -record["val_loss"] if math.isnan(record["val_dice"]) else record["val_dice"]


def _values(variables) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _train_epoch(steps: Any, feed: Feed, schedule: Schedule, items: Iterator, history: list[dict]):
    """Take the steps of one epoch; its record so far, and the share of time spent waiting."""
    epoch, losses = len(history) + 1, [record["val_loss"] for record in history]
    count, size = schedule.steps_per_epoch, _call_size(schedule, feed)
    first = (epoch - 1) * count
    rates = [schedule.learning_rate(first + step, losses) for step in range(count)]
    found: list[float] = []
    running: deque = deque()
    waited, started = 0.0, time.perf_counter()
    constants = feed.constants(epoch)
    described = f"epoch {epoch}/{schedule.epochs}"
    with Bar(total=count, desc=described, unit="step", leave=False) as bar:
        for step in range(0, count, size):
            before = time.perf_counter()
            given = _stacked([next(items) for _ in range(size)])
            waited += time.perf_counter() - before
            call = np.array(rates[step : step + size], np.float32)
            running.append(steps.run(constants, given, call))
            if len(running) > 1:  # the device has its next call before it is asked for results
                _finish(steps.fetch(running.popleft()), epoch, found, bar)
        while running:
            _finish(steps.fetch(running.popleft()), epoch, found, bar)
    record = {"epoch": epoch, "learning_rate": rates[-1], "loss": sum(found) / count}
    return record, waited / (time.perf_counter() - started)


def _call_size(schedule: Schedule, feed: Feed) -> int:
    """Steps a call: the most that divide an epoch, since another number is another program."""
    most = min(feed.steps_per_call, schedule.steps_per_epoch)
    return next(size for size in range(most, 0, -1) if schedule.steps_per_epoch % size == 0)


def _stacked(items: list) -> Any:
    if isinstance(items[0], dict):
        return {name: _stacked([item[name] for item in items]) for name in items[0]}
    if isinstance(items[0], tuple):
        return tuple(_stacked(list(arrays)) for arrays in zip(*items, strict=True))
    return items[0][None] if len(items) == 1 else np.stack(items)


def _finish(losses: list[float], epoch: int, found: list[float], bar: Bar) -> None:
    """Note the losses of a call.

    Raises
    ------
    InputError
        If one is not finite.
    """
    for loss in losses:
        found.append(loss)
        if not math.isfinite(loss):
            raise InputError(
                f"params.yaml: the loss became {loss} at step {len(found)} of epoch {epoch}, so the"
                " weights are lost. Lower train.learning_rate or train.clip_norm, or set"
                " train.precision to float32."
            )
        bar.set_postfix_str(f"loss {sum(found) / len(found):.4f}", refresh=False)
        bar.update()


def _prefetch(feed: Feed, schedule: Schedule, first: int) -> Generator[Any, None, None]:
    """Items in order from epoch `first` on, prepared by threads; closing it ends them."""
    pool = ThreadPoolExecutor(schedule.workers, thread_name_prefix="batches")
    queue: deque[Future] = deque()
    try:
        for epoch, step in itertools.product(
            range(first, schedule.epochs + 1), range(schedule.steps_per_epoch)
        ):
            queue.append(pool.submit(feed.item, epoch, step))
            if len(queue) > schedule.max_queue_size:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def coarser(target: Any, factors: Sequence[int]) -> Any:
    """A target (B, *patch, O), array or tensor, of every so many voxels along each spatial axis."""
    if max(factors) == 1:
        return target
    return target[(slice(None), *[slice(None, None, factor) for factor in factors])]


@contextmanager
def averaged_weights(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Put the running average of the weights into the network for a while, if there is one."""
    if not averages(optimizer):
        yield
        return
    own = _values(model.trainable_variables)
    optimizer.finalize_variable_values(model.trainable_variables)
    # As copies: on JAX the weights would share the arrays of the average, and the next step frees
    # its own.
    _assign(model.trainable_variables, _values(model.trainable_variables))
    try:
        yield
    finally:
        _assign(model.trainable_variables, own)


def validate(
    model: keras.Model,
    loss: keras.losses.Loss,
    validation: Sequence[Batch],
    schema: Schema,
    output: str,
) -> dict[str, float]:
    """Loss and Dice of the present weights, from the finest logits alone.

    Returns
    -------
    dict
        val_loss: mean over batches; val_dice_<name> for each region and label: of the hard
        prediction, over the voxels of all batches together, NaN where neither reference nor
        prediction has any; val_dice: mean over the regions that are not NaN.
    """
    losses, counts = [], np.zeros((len(schema.labels) + 1,) * 2, np.int64)
    for image, target in validation:
        logits = model.predict_on_batch(image)
        logits = logits[0] if isinstance(logits, list) else logits
        losses.append(float(loss(target, logits)))
        reference = outputs_to_classes(target, schema, output)
        # the sigmoid is monotonic: it keeps the most probable label too
        prediction = outputs_to_classes(expit(logits), schema, output)
        counts += confusion(reference, prediction, len(counts))
    regions = {name: dice_of_classes(counts, schema.classes_of(name)) for name in schema.regions}
    labels = {name: dice_of_classes(counts, [index]) for index, name in enumerate(schema.labels, 1)}
    present = [value for value in regions.values() if not math.isnan(value)]
    mean = float(np.mean(present)) if present else math.nan
    named = {f"val_dice_{name}": value for name, value in (regions | labels).items()}
    return {"val_loss": float(np.mean(losses)), "val_dice": mean, **named}
