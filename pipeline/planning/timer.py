"""Seconds of training steps, measured once per machine and kept in a table."""

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from ..core.errors import InputError
from ..core.records import write_json
from ..network.trial import Device, Timing, Trial
from ..runtime.code import code_hash
from .machine import Machine

STEPS_OF_AN_OCTAVE = 4
"""Measured seconds are rounded up to powers of 2^(1/4), so that noise rarely changes a plan."""
LONGEST_S = 900.0
"""A trial that takes longer is too slow to be planned."""
_MODULE = f"{__package__.partition('.')[0]}.network.timing"
_MEMORY_SIGNS = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OOM", "out of memory", "MemoryError")

Timer = Callable[[Trial], Timing | None]
"""Measures a trial; None if it does not fit into memory or is too slow."""


def rounded(timing: Timing) -> Timing:
    """A timing with seconds and memory rounded up to a coarse scale."""
    return Timing(**{name: _rounded_up(value) for name, value in timing.model_dump().items()})


def _rounded_up(value: float) -> float:
    if value <= 0:
        return 0.0
    exponent = math.ceil(STEPS_OF_AN_OCTAVE * math.log2(value) - 1e-3)
    return float(f"{2 ** (exponent / STEPS_OF_AN_OCTAVE):.4g}")


class MeasuredTimer:
    """Measures trials in processes of their own, and remembers them.

    Parameters
    ----------
    table : Path
        JSON file of what was measured: machine and trial to timing. A line of another machine, of
        other versions or of other code of the networks is not used.
    machine : Machine
    again : bool
        Whether to measure anew what the table holds.
    say : callable
        Called with a text before a trial is measured.
    """

    def __init__(self, table: Path, machine: Machine, again: bool, say: Callable[[str], None]):
        self.table, self.machine, self.again, self.say = table, machine, again, say
        self._code = code_hash("network", "augmentation", "preparation", "core")
        self._known: dict[str, dict | None] = {} if again else _read(table)

    def __call__(self, trial: Trial) -> Timing | None:
        """The rounded timing of a trial."""
        key = self._key(trial)
        if key not in self._known:
            self.say(_described(trial))
            measured = measured_in_a_process(trial)
            self._known[key] = rounded(measured).model_dump() if measured else None
            write_json(self.table, _read(self.table) | self._known)
        kept = self._known[key]
        return None if kept is None else Timing(**kept)

    def _key(self, trial: Trial) -> str:
        whole = f"{self._code}\0{self.machine.model_dump_json()}\0{trial.model_dump_json()}"
        digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
        return f"{self.machine.line}: {_described(trial)}, {digest}"


def _described(trial: Trial) -> str:
    network, train = trial.network, trial.train
    sides = " x ".join(map(str, train.patch))
    return (
        f"{train.batch_size} patches of {sides} voxels, {network.depth} levels from"
        f" {network.filters} filters, {network.encoder}, {train.precision}"
    )


def _read(table: Path) -> dict[str, dict | None]:
    """What a table holds; nothing if it is missing or is no table."""
    try:
        found = json.loads(table.read_text(encoding="utf-8"))
        return {
            key: None if value is None else Timing(**value).model_dump()
            for key, value in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def measured_in_a_process(trial: Trial) -> Timing | None:
    """Run `pipeline.network.timing`; None if the trial runs out of memory or time.

    Raises
    ------
    InputError
        If it fails for any other reason.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", _MODULE],
            input=trial.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return None
    out_of_memory = any(sign in done.stderr for sign in _MEMORY_SIGNS)
    if done.returncode < 0 or (done.returncode and out_of_memory):
        return None
    return Timing.model_validate(_answer(done))


def device_in_a_process() -> Device:
    """What networks run on, as the backend says; InputError if it does not start."""
    command = [sys.executable, "-m", _MODULE, "--device"]
    return Device.model_validate(_answer(subprocess.run(command, capture_output=True, text=True)))


def _answer(done: subprocess.CompletedProcess) -> dict:
    try:
        if done.returncode:
            raise ValueError
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError, ValidationError):
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
        raise InputError(
            f"training steps cannot be timed: {reason}\n`python -m pipeline doctor` checks this"
            " machine."
        ) from None
