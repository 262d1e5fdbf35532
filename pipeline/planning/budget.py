"""Seconds of `dvc repro` after `download`: what is measured, and what is estimated of the rest."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from ..network.trial import Timing
from ..preparation.choosing import MOST_CASES
from ..preparation.patches import window_origins
from .candidates import Candidate
from .fingerprint import Fingerprint
from .machine import Machine

STARTS_S = 45.0
"""Starts of six stages, two of which load Keras, DVC's own time, and the report of few cases."""
PREPARE_S = 1.3e-8
"""Processor seconds of `preprocess` per raw voxel and modality (0.45 s a case of BraTS)."""
COPY_S = 1.1e-7
"""Processor seconds of `augment` per voxel and modality of a copy."""
SCORE_S = 2.0e-7
"""Seconds per raw voxel of a test case, of scores and inverse transform (1.7 s for BraTS)."""
CHOOSE_S = 4.5e-7
"""Seconds per raw voxel of a validation case, of `evaluate.choose` (4 s a case of BraTS)."""
REPORT_S = 0.3
"""Seconds per test case in the report."""
EPOCH_S = 0.5
"""Of an epoch beside its steps and validated batches: checkpoint, log."""

LEAST_STEPS, MOST_STEPS = 300, 250_000
"""Fewer teach nothing worth having; as many as nnU-Net's are enough for any cohort."""
LEAST_EPOCH, MOST_EPOCH, EPOCHS = 25, 250, 20
"""Steps of an epoch, and the number of epochs that is aimed at between both."""
MIRRORED_SHARE = 0.1
"""Of the budget that `evaluate` may take with mirror images."""
OVERLAP = 0.5
CAREFUL, CAREFUL_SHARE = ((OVERLAP, 2), (OVERLAP, 1), (0.25, 1)), 0.2
"""Overlaps of neighbouring windows, and numbers of mirror images, which left and right give; the
next where one takes more of the budget than that share."""


@dataclass(frozen=True)
class Seconds:
    """Of the parts of `dvc repro`."""

    starts: float
    preprocess: float
    augment: float
    train: float
    evaluate: float

    @property
    def total(self) -> float:
        """Of all."""
        return self.starts + self.preprocess + self.augment + self.train + self.evaluate

    @property
    def line(self) -> str:
        """The parts in minutes, in one line."""
        parts = vars(self).items()
        return ", ".join(f"{name} {_minutes(seconds)}" for name, seconds in parts)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g}" if seconds >= 6 else f"{seconds / 60:.1g}"


@dataclass(frozen=True)
class Budget:
    """Counts the seconds of a candidate on a cohort and a machine.

    Attributes
    ----------
    found : Fingerprint
    machine : Machine
    copies : int
        As in the section `augment`.
    """

    found: Fingerprint
    machine: Machine
    copies: int

    def seconds(
        self,
        candidate: Candidate,
        timing: Timing,
        steps: int,
        overlap: float = OVERLAP,
        images: int = 1,
    ) -> Seconds:
        """Of all stages with a training of so many steps."""
        found, modalities = self.found, len(self.found.cohort.modalities)
        raw = math.prod(found.raw_shape)
        copied = self.copies * found.to_train * math.prod(candidate.extent)
        network_s = images * self._network_s(candidate, timing, overlap)
        each, epochs = epochs_of(steps)
        epoch_s = each * timing.step_s + val_batches(each) * timing.batch_s + EPOCH_S
        return Seconds(
            starts=STARTS_S + REPORT_S * found.to_test,
            preprocess=PREPARE_S * found.cases * raw * modalities / self.machine.cores,
            augment=COPY_S * copied * modalities / self.machine.cores,
            train=found.trainings * (timing.first_s + epochs * epoch_s),
            evaluate=found.to_test * (SCORE_S * raw + network_s)
            + min(found.unseen, MOST_CASES) * (CHOOSE_S * raw + network_s / found.trainings),
        )

    def _network_s(self, candidate: Candidate, timing: Timing, overlap: float) -> float:
        """Of the windows of one case."""
        windows = _windows(candidate.extent, candidate.patch, overlap)
        batches = math.ceil(windows / candidate.batch)
        return batches * timing.batch_s * self.found.trainings

    def steps_within(self, candidate: Candidate, timing: Timing, budget_s: float) -> int:
        """The most steps, on a coarse scale, within a budget; 0 for less than `LEAST_STEPS`."""
        careful = self.careful(candidate, timing, budget_s)

        def needed(steps: int) -> float:
            return self.seconds(candidate, timing, steps, *careful).total

        longer = bisect_right(scale(), budget_s, key=needed)
        return scale()[longer - 1] if longer else 0

    def careful(self, candidate: Candidate, timing: Timing, budget_s: float) -> tuple[float, int]:
        """Overlap and number of mirror images: the first of `CAREFUL` that leaves `evaluate` a
        small part of a budget.
        """
        for overlap, images in CAREFUL[:-1]:
            takes = self.seconds(candidate, timing, LEAST_STEPS, overlap, images)
            if takes.evaluate <= CAREFUL_SHARE * budget_s and takes.total <= budget_s:
                return overlap, images
        return CAREFUL[-1]

    def mirrors(
        self, candidate: Candidate, timing: Timing, steps: int, overlap: float, budget_s: float
    ) -> bool:
        """Whether there is time for the mirror images along all axes."""
        mirrored = self.seconds(candidate, timing, steps, overlap, 2**candidate.dimensions)
        return mirrored.evaluate <= MIRRORED_SHARE * budget_s and mirrored.total <= budget_s

    def least_s(self, candidate: Candidate, timing: Timing) -> float:
        """The smallest budget for a candidate."""
        return self.seconds(candidate, timing, LEAST_STEPS, *CAREFUL[-1]).total


@cache
def _windows(extent: tuple[int, ...], patch: tuple[int, ...], overlap: float) -> int:
    return len(window_origins(extent, patch, overlap))


@cache
def scale() -> list[int]:
    """Numbers of steps to choose from: eight an octave, whole epochs."""
    found = []
    octaves = 8 * math.log2(MOST_STEPS / LEAST_STEPS)
    for place in range(math.ceil(octaves) + 1):
        each, epochs = epochs_of(min(round(LEAST_STEPS * 2 ** (place / 8)), MOST_STEPS))
        found.append(each * epochs)
    return sorted(set(found))


def epochs_of(steps: int) -> tuple[int, int]:
    """Steps of an epoch, and epochs, of about so many steps."""
    wanted = LEAST_EPOCH * round(steps / EPOCHS / LEAST_EPOCH)
    each = min(max(wanted, LEAST_EPOCH), MOST_EPOCH)
    return each, max(round(steps / each), 1)


def val_batches(steps_per_epoch: int) -> int:
    """Validated batches of an epoch: about a twentieth of its time."""
    return min(max(steps_per_epoch // 6, 4), 40)
