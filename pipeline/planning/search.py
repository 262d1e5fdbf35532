"""The search for the best candidate: what seems best is timed, until the best has been timed."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from ..core.errors import InputError
from ..network.params import NetworkParams
from ..network.train_params import TrainParams
from ..network.trial import Timing, Trial
from . import work
from .budget import Budget
from .candidates import Candidate
from .shortfall import Shortfall, shortfall
from .timer import STEPS_OF_AN_OCTAVE, Timer

MOST_TRIALS = 8
RATES = {False: 1.1e11, True: 1.0e14}
"""`work` a second before anything is timed: of a core, and of a GPU."""
CALL_S = {False: 0.06, True: 0.003}
"""Of a step whatever its work."""
FIRST_S = {False: 10.0, True: 25.0}
BATCH_SHARE = 0.35
"""Seconds of a validated batch over those of a step, before it is timed."""
RESIDENT_SHARE = 0.6
"""Of a GPU's memory that training cases may take (`network.batches.resident`)."""
RESIDENT_VOXELS = 2**31 - 1
LEAST_PART_GB = 1.0
COPIED_GB_S, COPIED_SHARE = 1.0, 0.05
"""Parts of a cohort are copied to a GPU at so many GB a second, in so much of an epoch's time."""

Storage = Literal["float16", "uint8"]


@dataclass(frozen=True)
class Tried:
    """A candidate that was timed; None where it did not fit."""

    candidate: Candidate
    precision: str
    timing: Timing | None
    steps: int
    shortfall: Shortfall | None


@dataclass(frozen=True)
class Resident:
    """How training cases lie in the memory of a GPU: `train.resident_gb` and `resident_dtype`."""

    gb: float
    dtype: Storage
    taken_gb: float


@dataclass
class Search:
    """Finds the candidate with the smallest expected shortfall.

    Attributes
    ----------
    listed : list of Candidate
    budget : Budget
    budget_s : float
    timer : Timer
    sections : mapping
        `network` and `train` of params.yaml with what the plan sets for every candidate, and
        `own_code.train` under ``code``.
    tried : list of Tried
        What was timed, in order.
    """

    listed: list[Candidate]
    budget: Budget
    budget_s: float
    timer: Timer
    sections: Mapping[str, Any]
    tried: list[Tried] = field(default_factory=list)
    _timed: dict[tuple[Candidate, str], Timing | None] = field(default_factory=dict)
    _networks: dict[Candidate, NetworkParams] = field(default_factory=dict)
    _works: dict[Candidate, float] = field(default_factory=dict)

    def best(self, precision: str) -> tuple[Candidate, Timing, int]:
        """The candidate, its timing and the number of its steps.

        Raises
        ------
        InputError
            If nothing fits into memory, or into the budget; names the smallest that works.
        """
        fitting = list(self._fitting(precision))
        while fitting:
            candidate, steps = self._leader(fitting, precision)
            if (candidate, precision) in self._timed:
                timing = self._timed[candidate, precision]
                assert timing
                if not steps:
                    self._refuse(self.budget.least_s(candidate, timing))
                return candidate, timing, steps
            if not self._time(candidate, precision):
                fitting.remove(candidate)
        usable = self.budget.machine.usable_gb
        raise InputError(
            f"no training fits into {usable:.3g} GB of memory, which is what this machine leaves"
            f" for one; the smallest needs {self._smallest_gb(precision):.2g} GB. Use another"
            " machine."
        )

    def faster(self, candidate: Candidate, precision: str, than: Timing) -> bool:
        """Whether a step in another precision is faster by more than the noise of timing."""
        if self._memory_gb(candidate, precision) > self.budget.machine.usable_gb:
            return False
        timing = self._time(candidate, precision)
        if timing is None:
            return False
        return timing.step_s * 2 ** (1 / STEPS_OF_AN_OCTAVE) < than.step_s * 1.01

    def resident(
        self, candidate: Candidate, used_gb: float, epoch_s: float = 0.0
    ) -> Resident | None:
        """How the training cases lie in device memory beside a training; None if they do not fit.

        On a CPU they stay in files. A cohort that does not fit as a whole is copied in parts, one
        an epoch: as large as takes a small share of the seconds of an epoch.
        """
        machine, found = self.budget.machine, self.budget.found
        if not machine.device:
            return Resident(0.0, "float16", 0.0)
        room = min(machine.usable_gb - used_gb, RESIDENT_SHARE * machine.device_gb)
        cases = found.to_train * (1 + self.budget.copies)
        modalities = len(found.cohort.modalities)
        countable = cases * math.prod(candidate.extent) <= RESIDENT_VOXELS
        choices: tuple[Storage, ...] = ("float16", "uint8")
        for dtype in choices:
            taken = work.resident_gb(candidate, cases, modalities, dtype)
            if taken <= room and countable:
                return Resident(0.0, dtype, taken)
        case = work.resident_gb(candidate, 1, modalities, "float16")
        least = max(LEAST_PART_GB, 2 * case)
        part = max(COPIED_SHARE * epoch_s * COPIED_GB_S, least)
        if least > room:
            return None
        part = min(part, room, RESIDENT_VOXELS * (2 * modalities + 1) / 1e9)
        part = math.floor(10 * part) / 10
        return Resident(part, "float16", part)

    def trial(self, candidate: Candidate, precision: str) -> Trial:
        """A few steps of a candidate. Values that depend on the number of steps and hardly on
        seconds are the same for all.
        """
        usual = {
            "epochs": 1,
            "steps_per_epoch": 1,
            "val_batches": 1,
            "warmup_epochs": 0.0,
            "batch_size": candidate.batch,
            "patch": candidate.patch,
            "precision": precision,
            "resident_gb": 0.0,
            "resident_dtype": "float16",
            "optimizer": "adamw",
            "weight_decay": 1e-4,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "ema_momentum": 0.98,
            "foreground_share": 0.5,
        }
        return Trial(
            network=self._network(candidate),
            train=TrainParams.model_validate_json(json.dumps({**self.sections["train"], **usual})),
            cohort=self.budget.found.cohort,
            shape=candidate.extent,
            spacing_mm=candidate.spacing_mm,
            code=self.sections["code"],
        )

    def _fitting(self, precision: str) -> Iterator[Candidate]:
        usable = self.budget.machine.usable_gb
        for candidate in self.listed:
            used = self._memory_gb(candidate, precision)
            if used <= usable and self.resident(candidate, used):
                yield candidate

    def _memory_gb(self, candidate: Candidate, precision: str) -> float:
        on_device = bool(self.budget.machine.device)
        return work.memory_gb(candidate, self._network(candidate), precision, on_device)

    def _smallest_gb(self, precision: str) -> float:
        return min(self._memory_gb(candidate, precision) for candidate in self.listed)

    def _leader(self, fitting: list[Candidate], precision: str) -> tuple[Candidate, int]:
        """The best by what is known so far, and its steps: 0 where no candidate has enough, and
        then the one that needs least.
        """
        timed = [one for one in fitting if (one, precision) in self._timed]
        if len(timed) >= MOST_TRIALS:
            fitting = timed
        known = {one: self._estimate(one, precision) for one in fitting}
        steps = {
            one: self.budget.steps_within(one, timing, self.budget_s)
            for one, timing in known.items()
        }
        enough = [one for one in fitting if steps[one]]
        if enough:
            found = self.budget.found
            best = min(enough, key=lambda one: shortfall(one, found, steps[one]).total)
            return best, steps[best]
        return min(fitting, key=lambda one: self.budget.least_s(one, known[one])), 0

    def _time(self, candidate: Candidate, precision: str) -> Timing | None:
        """Time a candidate; None also if it needs more memory than the machine leaves."""
        timing = self.timer(self.trial(candidate, precision))
        if timing and (
            timing.peak_gb > self.budget.machine.usable_gb
            or not self.resident(candidate, timing.peak_gb)
        ):
            timing = None
        self._timed[candidate, precision] = timing
        steps = self.budget.steps_within(candidate, timing, self.budget_s) if timing else 0
        short = shortfall(candidate, self.budget.found, steps) if steps else None
        self.tried.append(Tried(candidate, precision, timing, steps, short))
        return timing

    def _estimate(self, candidate: Candidate, precision: str) -> Timing:
        """The timing, or one scaled from the timed candidate with the most similar work."""
        known = self._timed.get((candidate, precision))
        if known:
            return known
        machine, own = self.budget.machine, self._work(candidate)
        on_device = bool(machine.device)
        call_s, first_s = CALL_S[on_device], FIRST_S[on_device]
        others = [
            (abs(math.log(own / self._work(other))), other, timing)
            for (other, of), timing in self._timed.items()
            if timing and of == precision and other.dimensions == candidate.dimensions
        ]
        if others:
            _, other, timing = min(others, key=lambda one: one[0])
            beyond = max(timing.step_s - call_s, 0.1 * timing.step_s) / self._work(other)
            share, first_s = timing.batch_s / timing.step_s, timing.first_s
        else:
            beyond = 1 / (RATES[on_device] * (1 if on_device else machine.cores))
            share = BATCH_SHARE
        step_s = call_s + own * beyond
        return Timing(first_s=first_s, step_s=step_s, batch_s=share * step_s, peak_gb=0.0)

    def _network(self, candidate: Candidate) -> NetworkParams:
        if candidate not in self._networks:
            self._networks[candidate] = candidate.network(self.sections["network"])
        return self._networks[candidate]

    def _work(self, candidate: Candidate) -> float:
        if candidate not in self._works:
            self._works[candidate] = work.work(candidate, self._network(candidate))
        return self._works[candidate]

    def _refuse(self, least_s: float) -> NoReturn:
        raise InputError(
            f"--minutes {self.budget_s / 60:.3g} is too short for `dvc repro` on"
            f" {self.budget.found.cases} cases here; the smallest that works is"
            f" --minutes {math.ceil(least_s / 60)}."
        )


def in_words(candidate: Candidate) -> str:
    """A candidate in a few words."""
    sides = " x ".join(map(str, candidate.patch))
    edges = " x ".join(f"{edge:g}" for edge in candidate.spacing_mm)
    own = candidate.shape
    kind = "" if own.encoder == "plain" else f" {own.encoder}"
    return (
        f"{candidate.dimensions}D{kind}, {edges} mm, {candidate.batch} of {sides},"
        f" {own.filters} filters"
    )


def chosen(search: Search) -> tuple[Candidate, str, Timing, int]:
    """The best candidate, its precision, timing and steps.

    bfloat16 is tried first; if the best is faster in float32, as on processors that lack bfloat16,
    the search is made again in float32.
    """
    candidate, timing, steps = search.best("mixed_bfloat16")
    if search.faster(candidate, "float32", timing):
        return (again := search.best("float32"))[0], "float32", *again[1:]
    return candidate, "mixed_bfloat16", timing, steps
