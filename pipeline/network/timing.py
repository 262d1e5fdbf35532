"""Time a few real training steps, in a process of its own that reads and writes JSON.

    python -m pipeline.network.timing < trial.json    # a `Trial`; prints a `Timing`
    python -m pipeline.network.timing --device        # prints a `Device`

A trial that needs more memory than there is ends this process, not the one that asked.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from ..core.cores import usable_cores
from ..core.rng import generator
from ..preparation.shards import Shard
from . import backend, training
from .setup import Setup
from .trial import Device, Timing, Trial

CASES = 2
STEPS, EPOCHS = 4, 3
"""Steps of an epoch on a CPU (a GPU takes those of one call), and epochs at most; the first, which
compiles, is not timed."""
ENOUGH_S = 6.0
"""After so many seconds beyond the first epoch no further one is taken."""


@dataclass(frozen=True)
class Lap:
    """Seconds between two moments: by the clock, of this process on all cores, of idle cores."""

    wall_s: float
    cpu_s: float
    idle_s: float

    def quiet_s(self, cores: int) -> float:
        """Seconds by the clock if nothing else had run: all that was not idle would have been ours.

        Without other work this is `wall_s` itself.
        """
        free = cores - self.idle_s / max(self.wall_s, 1e-9)
        return min(self.wall_s, self.cpu_s / max(free, 0.5))


class Stopwatch:
    """Laps from the moment that it is made."""

    def __init__(self) -> None:
        self._last = self._now()

    def lap(self) -> Lap:
        """The time since the last lap."""
        now, before = self._now(), self._last
        self._last = now
        return Lap(*(late - early for late, early in zip(now, before, strict=True)))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        import psutil

        cores = getattr(os, "sched_getaffinity", lambda _: None)(0)
        times = enumerate(psutil.cpu_times(percpu=True))
        idle = sum(one.idle for number, one in times if cores is None or number in cores)
        return time.perf_counter(), time.process_time(), idle


class _EnoughError(Exception):
    """Ends a training that was timed."""


def measure(trial: Trial) -> Timing:
    """Train for a few steps, as `train` does, on cases of noise.

    On a CPU the seconds are those of a machine without other work (`Lap.quiet_s`).
    """
    backend.prepare(0, trial.train.precision, trial.train.deterministic)
    on_cpu = not backend.on_accelerator()
    steps = STEPS if on_cpu else trial.train.steps_per_call
    params = trial.train.model_copy(
        update={"epochs": EPOCHS, "steps_per_epoch": steps, "val_batches": 1, "warmup_epochs": 0.0}
    )
    watch, laps = Stopwatch(), list[Lap]()
    setup = Setup(trial.network, params, trial.cohort, trial.code, 0, trial.spacing_mm)
    shards = [_made(trial, number) for number in range(CASES)]
    model, loss, validation = setup.model(), setup.loss(), setup.validation(shards)
    feed = setup.feed(shards)

    def begun(epoch: int) -> object:
        if epoch > 1:
            watch.lap()  # leaves out the checkpoint of the epoch before
        return feed.constants(epoch)

    def ended(record: dict, timing: dict) -> None:
        laps.append(watch.lap())
        if sum(lap.wall_s for lap in laps[1:]) > ENOUGH_S:
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        training.fit(
            model,
            loss,
            setup.optimizer(),
            setup.schedule(workers=min(usable_cores(), 8)),
            replace(feed, constants=begun),
            validation,
            trial.cohort,
            trial.network.output,
            Path(folder) / "checkpoint.npz",
            "",
            on_epoch=ended,
            type_weight=params.type_weight,
            devices=params.devices,
        )
    watch.lap()
    for _ in range(STEPS):
        training.validate(model, loss, validation, trial.cohort, trial.network.output)
    batch_s = _seconds([watch.lap()], on_cpu) / STEPS
    epoch_s = _seconds(laps[1:], on_cpu) / len(laps[1:])
    return Timing(
        first_s=max(_seconds(laps[:1], on_cpu) - epoch_s, 0.0),
        step_s=max(epoch_s - batch_s, 0.1 * epoch_s) / steps,
        batch_s=batch_s,
        peak_gb=_peak_gb(),
    )


def _seconds(laps: Sequence[Lap], on_cpu: bool) -> float:
    """Of laps together."""
    whole = Lap(*(sum(parts) for parts in zip(*map(astuple, laps), strict=True)))
    return whole.quiet_s(usable_cores()) if on_cpu else whole.wall_s


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


def _peak_gb() -> float:
    """Most memory so far, of the device if it says, else of this process."""
    peak = backend.peak_memory() if backend.on_accelerator() else None
    if peak is None:
        import psutil

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
