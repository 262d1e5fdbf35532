"""Cohorts, machines and timers that are made up."""

import math
from pathlib import Path

from pipeline.core import params
from pipeline.core.schema import Schema
from pipeline.network.trial import Timing, Trial
from pipeline.planning.fingerprint import Fingerprint
from pipeline.planning.machine import Machine
from pipeline.planning.timer import rounded

ROOT = Path(__file__).parents[2]
PARAMS = params.read(ROOT / "params.yaml")
GLIOMA = Schema(
    cohort="gliomas",
    dimensions=3,
    modalities=("t1n", "t1c", "t2w", "t2f"),
    labels={"necrotic": 1, "edema": 2, "enhancing": 4},
    regions={
        "WT": ("necrotic", "edema", "enhancing"),
        "TC": ("necrotic", "enhancing"),
        "ET": ("enhancing",),
    },
    empty_rule="brats",
)
SLICES = Schema(
    cohort="slices",
    dimensions=2,
    modalities=("t1c",),
    labels={"meningioma": 1, "glioma": 2},
    regions={"meningioma": ("meningioma",), "glioma": ("glioma",)},
    empty_rule="nan",
    types=True,
)
LAPTOP = Machine(
    processor="made-up", cores=2, memory_gb=16.0, device="", device_gb=0.0, backend="none 1"
)
SERVER = Machine(
    processor="made-up",
    cores=16,
    memory_gb=128.0,
    device="made-up GPU",
    device_gb=80.0,
    backend="none 1",
)


def cohort(**changes) -> Fingerprint:
    """Twenty gliomas at 1 mm, but for the changes."""
    usual = {
        "cohort": GLIOMA,
        "patients": 20,
        "cases": 20,
        "to_train": 13,
        "to_validate": 3,
        "to_test": 4,
        "trainings": 1,
        "stripped": True,
        "foreground": "nonzero",
        "raw_shape": (240, 240, 155),
        "spacing_mm": (1.0, 1.0, 1.0),
        "anisotropy": 1.0,
        "brain_mm": (138.0, 172.0, 140.0),
        "brain_share": 0.6,
        "tumour_ml": (20.0, 60.0, 150.0),
        "region_ml": {"WT": 60.0, "TC": 25.0, "ET": 15.0},
        "tails": {"t1n": 1.0, "t1c": 5.0, "t2w": 2.0, "t2f": 2.0},
    }
    return Fingerprint(**usual | changes)


def slices(**changes) -> Fingerprint:
    """Single slices of two types."""
    usual = {
        "cohort": SLICES,
        "cases": 900,
        "to_train": 600,
        "to_validate": 100,
        "to_test": 200,
        "stripped": None,
        "foreground": "head",
        "raw_shape": (512, 512, 1),
        "spacing_mm": (0.49, 0.49, 7.0),
        "brain_mm": (180.0, 220.0, 7.0),
        "tumour_ml": (2.0, 6.0, 16.0),
        "region_ml": {"meningioma": 7.0, "glioma": 8.0},
        "tails": {"t1c": 3.0},
    }
    return cohort(**usual | changes)


def thick(**changes) -> Fingerprint:
    """Gliomas in axial slices of 5 mm."""
    usual = {"raw_shape": (256, 256, 28), "spacing_mm": (0.9, 0.9, 5.0), "anisotropy": 5.0 / 0.9}
    return cohort(**usual | changes)


class MadeTimer:
    """Seconds and memory in proportion to the voxels and filters of a trial; counts its calls."""

    def __init__(self, machine: Machine, speed: float = 1.0):
        rate = 3.0e10 if machine.device else 4.0e6 * machine.cores
        self.rate, self.calls = rate * speed, list[Trial]()

    def __call__(self, trial: Trial) -> Timing:
        self.calls.append(trial)
        voxels = trial.train.batch_size * math.prod(trial.train.patch)
        filters = trial.network.filters * (4 if trial.network.encoder == "residual" else 1)
        precise = 1.3 if trial.train.precision == "float32" else 1.0
        step_s = 0.003 + precise * voxels * filters / self.rate
        peak_gb = 1 + 60 * voxels * filters / 1e9
        return rounded(Timing(first_s=5.0, step_s=step_s, batch_s=step_s / 3, peak_gb=peak_gb))
