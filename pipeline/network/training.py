"""Training: steps on batches prepared by threads, validation per epoch, exact resumption."""

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import expit
from tqdm import tqdm

from ..core.confusion import confusion, dice_of_classes
from ..core.errors import InputError
from ..core.regions import outputs_to_classes
from ..core.schema import Schema
from . import checkpoint
from .architectures import coarsening, has_type_head
from .backend import keras
from .checkpoint import Checkpoint
from .losses import TypeCrossEntropy, types_of
from .optimizer import averages
from .schedule import best_epoch, stops_early

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Schedule:
    """Length of a training, learning rate, and how many batches are prepared ahead.

    Attributes
    ----------
    patience : int
        Epochs without a better validation score after which training ends, 0 for never.
    learning_rate : callable
        From the step, counted over all epochs from 0, and the validation losses so far.
    workers : int
        Threads that prepare batches.
    max_queue_size : int
        Batches that may wait.
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
    batch: Callable[[int, int], Batch],
    validation: Sequence[Batch],
    schema: Schema,
    output: str,
    path: Path,
    fingerprint: str,
    resumed: Checkpoint | None = None,
    on_epoch: Callable[[dict, dict], None] = lambda record, timing: None,
    type_weight: float = 1.0,
) -> list[dict]:
    """Train a network; in the end it has the weights of its best epoch.

    Parameters
    ----------
    model, loss, optimizer
        As `build` of architectures, losses and optimizer returns them.
    schedule : Schedule
    batch : callable
        ``batch(epoch, step)``, epoch from 1 and step from 0, returns an image (B, *patch, C)
        float32 and a target (B, *patch, O) of zeros and ones, uint8 or float32. Called from
        threads; must be a pure function of its arguments for the training to be reproducible.
    validation : sequence of batches
        The same at every epoch.
    schema : Schema
    output : {"regions", "labels"}
        What the channels of the target are.
    path, fingerprint
        The checkpoint's file and identity, see `pipeline.network.checkpoint`.
    resumed : Checkpoint, optional
        The state to continue from.
    on_epoch : callable
        Called after each epoch, before its checkpoint, with its record (epoch, learning_rate, loss,
        val_loss, val_dice: the mean over regions, val_dice_<region or label>; all reproducible) and
        with its timing (seconds, waiting: the share of the time spent waiting for batches).
    type_weight : float
        Weight of the loss of a type head, if the network has one.

    Returns
    -------
    list of dict
        The records of all epochs, including those before the resumption.

    Raises
    ------
    InputError
        If the loss of a step is not finite.
    """
    compile_for_training(model, loss, optimizer, type_weight)
    history, best = [], _values(model.weights)
    if resumed:
        _assign(model.variables, resumed.variables)
        _assign(optimizer.variables, resumed.optimizer)
        history, best = list(resumed.history), resumed.best
    with closing(_prefetch(batch, model, schedule, first=len(history) + 1)) as batches:
        while len(history) < schedule.epochs and not stops_early(
            [score(record) for record in history], schedule.patience
        ):
            started = time.perf_counter()
            record, waiting = _train_epoch(model, schedule, batches, history)
            with averaged_weights(model):
                record |= validate(model, loss, validation, schema, output)
                history.append(record)
                if best_epoch([score(past) for past in history]) == len(history) - 1:
                    best = _values(model.weights)
            on_epoch(record, {"seconds": time.perf_counter() - started, "waiting": waiting})
            state = Checkpoint(
                fingerprint, history, _values(model.variables), _values(optimizer.variables), best
            )
            checkpoint.save(path, state)
    model.set_weights(best)
    return history


def compile_for_training(
    model: keras.Model,
    loss: keras.losses.Loss,
    optimizer: keras.optimizers.Optimizer,
    type_weight: float = 1.0,
) -> None:
    """Join network, loss (at every supervised level, and of a type head its own) and optimizer."""
    types = int(has_type_head(model))
    weights = level_weights(len(model.outputs) - types)
    model.compile(
        optimizer=optimizer,
        loss=[*[loss] * len(weights), *[TypeCrossEntropy()] * types],
        loss_weights=[*weights, *[type_weight] * types],
        jit_compile=keras.backend.backend() == "jax",  # XLA on TensorFlow's CPU is 10 times slower
        auto_scale_loss=False,
    )
    optimizer.build(model.trainable_variables)


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


def _train_epoch(model, schedule: Schedule, batches: Iterator[tuple], history: list[dict]):
    """Take the steps of one epoch; its record so far, and the share of time spent waiting."""
    epoch, losses = len(history) + 1, [record["val_loss"] for record in history]
    steps = schedule.steps_per_epoch
    total, rate, waited, started = 0.0, 0.0, 0.0, time.perf_counter()
    with tqdm(
        total=steps, desc=f"epoch {epoch}/{schedule.epochs}", unit="step", mininterval=1
    ) as bar:
        for step in range(steps):
            rate = schedule.learning_rate((epoch - 1) * steps + step, losses)
            model.optimizer.learning_rate = rate
            before = time.perf_counter()
            image, target = next(batches)
            waited += time.perf_counter() - before
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
    record = {"epoch": epoch, "learning_rate": rate, "loss": total / steps}
    return record, waited / (time.perf_counter() - started)


def _prefetch(
    batch: Callable[[int, int], Batch], model: keras.Model, schedule: Schedule, first: int
) -> Generator[tuple, None, None]:
    """Batches in order from epoch `first` on, prepared by threads; closing it ends them."""

    @cache
    def levels(patch: tuple[int, ...]) -> list[tuple[int, ...]]:
        return coarsening(model, patch)

    def supervised(epoch: int, step: int) -> tuple:
        image, target = batch(epoch, step)
        targets = [coarser(target, factors) for factors in levels(target.shape[1:-1])]
        return image, [*targets, types_of(target)] if has_type_head(model) else targets

    pool = ThreadPoolExecutor(schedule.workers, thread_name_prefix="batches")
    queue: deque[Future] = deque()
    try:
        for epoch, step in itertools.product(
            range(first, schedule.epochs + 1), range(schedule.steps_per_epoch)
        ):
            queue.append(pool.submit(supervised, epoch, step))
            if len(queue) > schedule.max_queue_size:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def coarser(target: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """A target (B, *patch, O) of every so many voxels along each spatial axis."""
    return np.ascontiguousarray(
        target[(slice(None), *[slice(None, None, factor) for factor in factors])]
    )


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Put the running average of the weights into the network for a while, if there is one."""
    if not averages(model.optimizer):
        yield
        return
    own = _values(model.trainable_variables)
    model.optimizer.finalize_variable_values(model.trainable_variables)
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
