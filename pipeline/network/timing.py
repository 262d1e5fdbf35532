"""Time a few real training steps, in a process of its own that reads and writes JSON.

    python -m pipeline.network.timing < trial.json    # a `Trial`; prints a `Timing`
    python -m pipeline.network.timing --device        # prints a `Device`

A trial that needs more memory than there is ends this process, not the one that asked.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from ..core.rng import generator
from ..preparation.shards import Shard
from . import backend, training
from .setup import Setup
from .trial import Device, Timing, Trial

CASES = 2
STEPS, EPOCHS = 2, 4
"""Steps of an epoch on a CPU (a GPU takes those of one call), and epochs at most; the first, which
compiles, is not timed."""
ENOUGH_S = 12.0
"""After so many seconds beyond the first epoch no further one is taken."""


class _EnoughError(Exception):
    """Ends a training that was timed."""


def measure(trial: Trial) -> Timing:
    """Train for a few steps, as `train` does, on cases of noise."""
    seconds: list[float] = []
    started = time.perf_counter()
    backend.prepare(0, trial.train.precision, trial.train.deterministic)
    steps = trial.train.steps_per_call if backend.on_accelerator() else STEPS
    params = trial.train.model_copy(
        update={"epochs": EPOCHS, "steps_per_epoch": steps, "val_batches": 1, "warmup_epochs": 0.0}
    )
    setup = Setup(trial.network, params, trial.cohort, trial.code, 0, trial.spacing_mm)
    shards = [_made(trial, number) for number in range(CASES)]
    model, loss, validation = setup.model(), setup.loss(), setup.validation(shards)

    def timed(record: dict, timing: dict) -> None:
        seconds.append(timing["seconds"])
        if sum(seconds[1:]) > ENOUGH_S:
            raise _EnoughError

    built_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        training.fit(
            model,
            loss,
            setup.optimizer(),
            setup.schedule(workers=2),
            setup.feed(shards),
            validation,
            trial.cohort,
            trial.network.output,
            Path(folder) / "checkpoint.npz",
            "",
            on_epoch=timed,
            type_weight=params.type_weight,
            devices=params.devices,
        )
    batch_s = min(
        _seconds_of(
            lambda: training.validate(model, loss, validation, trial.cohort, trial.network.output)
        )
        for _ in range(2)
    )
    epoch_s = min(seconds[1:])
    return Timing(
        first_s=built_s + max(seconds[0] - epoch_s, 0.0),
        step_s=max(epoch_s - batch_s, 0.1 * epoch_s) / steps,
        batch_s=batch_s,
        peak_gb=_peak_gb(),
    )


def device() -> Device:
    """What networks run on here."""
    memory = backend.device_memory()
    return Device(
        backend=", ".join(f"{name} {version}" for name, version in backend.versions().items()),
        accelerator=backend.on_accelerator(),
        memory_gb=None if memory is None else memory / 1e9,
    )


def _made(trial: Trial, number: int) -> Shard:
    """A prepared case of noise with a block of every label in its middle."""
    drawn = generator(0, "trial", number)
    shape = (*trial.shape, len(trial.cohort.modalities))
    image = drawn.standard_normal(shape, np.float32).astype(np.float16)
    classes = np.zeros(trial.shape, np.uint8)
    middle = tuple(slice(side // 3, side // 3 + max(side // 3, 1)) for side in trial.shape)
    block = classes[middle]
    block[:] = drawn.integers(1, len(trial.cohort.labels) + 1, block.shape, np.uint8)
    return Shard(f"made-{number}", image, classes)


def _seconds_of(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _peak_gb() -> float:
    """Most memory so far, of the device if it says, else of this process."""
    peak = backend.peak_memory() if backend.on_accelerator() else None
    if peak is None:
        used = psutil.Process().memory_info()
        peak = getattr(used, "peak_wset", used.rss)
        status = Path("/proc/self/status")  # Linux
        if status.is_file():
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            peak = int(fields["VmHWM"].split()[0]) * 1024
    return peak / 1e9


if __name__ == "__main__":
    if "--device" in sys.argv:
        print(device().model_dump_json())
    else:
        print(json.dumps(measure(Trial.model_validate_json(sys.stdin.read())).model_dump()))
