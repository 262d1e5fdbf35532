"""How much Dice a training is expected to lose to one without limits: a rule of thumb, in parts.

Only differences between candidates matter. The constants are set so that they agree with what was
measured with the presets (docs/results.md, docs/benchmarks.md), and say where they come from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .candidates import Candidate
from .fingerprint import Fingerprint

STEP_LOSS, STEPS, STEP_POWER = 0.03, 800, 1.1
"""FLAIR at 2 mm on volumes: 200 steps lose about 0.17, 800 about 0.03, 4000 less than 0.01."""
REFERENCE_ML, VOLUME_POWER = 4194.0, 0.4
"""Volume of the batches of those steps (2 x 64 x 64 x 64 voxels of 8 mm3). A batch of half the
volume loses as much with 1.3 times the steps."""
EDGE_LOSS = 0.7
"""Times the longer edge over the radius of a sphere of the tumour's volume: what references of
BraTS, FLAIR and phantoms lost that were resampled to a coarser grid and back, between 0.2 and 1.
"""
FEW_CASES = 3
"""With so many training cases only half of that: what is missed then is not the border."""
SLICE_LOSS = 0.015
"""Of a network of slices of a volume of isotropic voxels; less where the slices are thicker.
NVIDIA's nnU-Net for TensorFlow 2 on MSD Task01 at full length: 0.744 on volumes, 0.731 on slices.
"""
SLICE_SPAN = 4.0
"""Slices that one stands for in `REFERENCE_ML`, since its neighbours are alike. Measured at 2 mm on
24 cases of FLAIR: 0.826 after 1200 steps of 16 slices, 0.787 after 800 of 2 volumes, which took 1.5
times the processor time; on phantoms, after the same seconds, 0.83 with slices and 0.80 with
volumes of 32 x 32 x 32 at 2.8 mm.
"""
COVER_LOSS, COVER_LOSS_OF_TYPES = 0.015, 0.05
"""For every factor e by which a patch is smaller than the brain; more where labels are types, which
show in where a tumour sits."""
FILTER_LOSS, FILTER_POWER = 0.006, 2.75
"""Of 16 filters instead of 32; of 8, 0.04."""
RESIDUAL_GAIN = 0.0002
"""Of nnU-Net's ResEnc: 0.9126 against 0.9124 on BraTS 2021 (Isensee et al., MICCAI 2024, table 1),
so it is taken only where there is time for more steps than are of use."""
MOST = 1.0


@dataclass(frozen=True)
class Shortfall:
    """Expected losses of Dice, by cause."""

    steps: float
    grid: float
    slices: float
    patch: float
    filters: float

    @property
    def total(self) -> float:
        """Of all causes."""
        return self.steps + self.grid + self.slices + self.patch + self.filters

    @property
    def line(self) -> str:
        """The parts in one line."""
        parts = vars(self).items()
        return ", ".join(f"{name} {value:.3f}" for name, value in parts)


def shortfall(candidate: Candidate, found: Fingerprint, steps: int) -> Shortfall:
    """Expected losses of a training of so many steps."""
    short = min(STEP_LOSS * (STEPS / steps) ** STEP_POWER * _small_batch(candidate), MOST)
    own = candidate.shape
    filters = FILTER_LOSS * max(math.log2(32 / own.filters), 0.0) ** FILTER_POWER
    if own.encoder == "residual":
        filters -= RESIDUAL_GAIN
    return Shortfall(
        steps=short,
        grid=_grid_loss(candidate, found),
        slices=_slice_loss(candidate, found),
        patch=(COVER_LOSS_OF_TYPES if found.cohort.types else COVER_LOSS)
        * math.log(1 / candidate.coverage),
        filters=filters,
    )


def _small_batch(candidate: Candidate) -> float:
    """By how much the loss of few steps grows for batches of less volume.

    A thick slice is no more to learn from than a thin one.
    """
    x, y, z = candidate.spacing_mm
    thickness = 1.0 if candidate.dimensions == 3 else SLICE_SPAN * min(x, y, z) / z
    return (REFERENCE_ML / (candidate.batch * candidate.patch_ml * thickness)) ** VOLUME_POWER


def _grid_loss(candidate: Candidate, found: Fingerprint) -> float:
    """Mean over the regions, each as a sphere, or in slices as a circle, of its median size."""
    flat = found.cohort.dimensions == 2
    axes = 2 if flat else 3
    longer = _edge(candidate.spacing_mm[:axes]) - _edge(found.spacing_mm[:axes])
    sizes = [1000 * volume for volume in found.region_ml.values()]
    if flat:
        radii = [math.sqrt(size / found.spacing_mm[2] / math.pi) for size in sizes]
    else:
        radii = [(0.75 / math.pi * size) ** (1 / 3) for size in sizes]
    if not radii:
        return 0.0
    # of a circle 2/3 as much lies at the border as of a sphere
    border = axes / 3 * max(longer, 0.0) * sum(1 / radius for radius in radii) / len(radii)
    return EDGE_LOSS * border * found.to_train / (found.to_train + FEW_CASES)


def _edge(spacing: Sequence[float]) -> float:
    return math.prod(spacing) ** (1 / len(spacing))


def _slice_loss(candidate: Candidate, found: Fingerprint) -> float:
    if candidate.dimensions == found.cohort.dimensions:
        return 0.0
    x, y, z = candidate.spacing_mm
    return SLICE_LOSS * min(1.0, max(x, y) / z) ** 1.5
