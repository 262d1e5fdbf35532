"""Swapped modalities: how T1, T1 with contrast agent, T2 and FLAIR must relate to each other.

Two relations of local contrast, that is intensity against its surroundings of some 3 cm, which
shading by the coil cannot change. *Correlation*: fluid is dark and white matter bright in T1, the
reverse in T2; FLAIR suppresses the fluid of T2. *Lean* of a difference: vessels, plexus and
enhancing tissue make T1c - T1n lean to the bright side; fluid does so to T2 - FLAIR and T2 - T1.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box
from .fingerprints import foreground
from .remark import Remark


class Relation(NamedTuple):
    """Expected correlation of two modalities, and lean of their difference, with spreads."""

    correlation: float
    correlation_sd: float
    lean: float
    lean_sd: float


EXPECTED = {
    ("t1n", "t1c"): Relation(0.6, 0.2, -0.75, 0.25),
    ("t1n", "t2w"): Relation(-0.75, 0.15, -1.0, 0.3),
    ("t1n", "t2f"): Relation(0.35, 0.2, -0.15, 0.2),
    ("t1c", "t2w"): Relation(-0.6, 0.15, -0.9, 0.3),
    ("t1c", "t2f"): Relation(0.2, 0.2, 0.5, 0.3),
    ("t2w", "t2f"): Relation(-0.2, 0.2, 1.0, 0.2),
}
"""Signs and order follow from the physics above; the numbers are rounded from skull-stripped glioma
cases of eight years.
"""

CLEARLY = 6.0
"""Least gain, in squared standard deviations, for which other names are proposed."""

TWINS = 0.97
"""Correlation above which two modalities are one acquisition under two names. Of T1 and T1c it
reached 0.89 in real cases and 0.957 in phantoms; of an image and itself with noise of 0.3 standard
deviations, blur of 1 voxel or a gamma of 0.7 it was at least 0.977.
"""

_CELL_MM, _AROUND_MM, _EDGE_MM = 3.0, 27.0, 6.0
_LEAST_CELLS = 2000
_COHORT = 5  # cases that weigh as much as what is expected


def relations(image: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Measure how the registered modalities of a case, (X, Y, Z, C) with air about 0, relate.

    Returns
    -------
    (C, C, 2) float64 array
        Correlation of local contrasts, in -1..1, and lean of the difference of the first and the
        second: logarithm of the distance of the 99th percentile from the median over that of the
        1st, antisymmetric. NaN if there is too little brain, as in a single slice.
    """
    count = image.shape[-1]
    unknown = np.full((count, count, 2), np.nan)
    if count < 2 or min(image.shape[:3]) < 2:
        return unknown
    contrasts = _local_contrasts(image, spacing_mm)
    if contrasts.shape[1] < _LEAST_CELLS:
        return unknown
    low, high = np.percentile(contrasts, (2, 98), axis=1)[..., None]
    clipped = np.clip(contrasts, low, high)
    deviations = clipped.std(axis=1, keepdims=True)
    if not deviations.all():
        return unknown
    measured = np.zeros((count, count, 2))
    measured[..., 0] = np.corrcoef(clipped)
    for one, other in itertools.combinations(range(count), 2):
        lean = _lean(contrasts[one] / deviations[one] - contrasts[other] / deviations[other])
        measured[one, other, 1], measured[other, one, 1] = lean, -lean
    return measured


def _local_contrasts(image: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """(C, N) float32: intensity over the mean of its surroundings, minus 1, of the cells inside the
    brain without its edge.
    """
    factors = [max(1, round(_CELL_MM / spacing)) for spacing in spacing_mm]
    strided = image[tuple(slice(None, None, factor) for factor in factors)]
    sparse = np.asarray(strided.any(axis=-1))
    box = tuple(
        slice(side.start * factor, side.stop * factor)
        for side, factor in zip(bounding_box(sparse), factors, strict=True)
    )
    volumes = [_means(image[box][..., channel], factors) for channel in range(image.shape[-1])]
    if min(volumes[0].shape) < 1:
        return np.empty((len(volumes), 0), np.float32)
    brightness = np.zeros(volumes[0].shape, np.float32)
    for volume in volumes:
        brightness = brightness + np.abs(volume) / max(np.percentile(np.abs(volume), 98), 1e-6)
    brain = foreground(brightness)
    lengths = [factor * spacing for factor, spacing in zip(factors, spacing_mm, strict=True)]
    inner = ndimage.minimum_filter(
        brain, [2 * round(_EDGE_MM / length) + 1 for length in lengths], mode="constant"
    )
    widths = [2 * round(_AROUND_MM / length / 4) + 1 for length in lengths]
    weights = _smoothed(brain.astype(np.float32), widths)[inner]
    contrasts = np.empty((len(volumes), weights.size), np.float32)
    for contrast, volume in zip(contrasts, volumes, strict=True):
        if weights.size:
            positive = np.maximum(volume - min(0, np.percentile(volume[inner], 1)), 0) * brain
            around = _smoothed(positive, widths)[inner] / weights
            contrast[:] = positive[inner] / np.maximum(around, 1e-6) - 1
    return contrasts


def _means(volume: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Means of blocks of `factors` voxels; the last axis, farthest apart in memory, comes first."""
    for axis in (2, 1, 0):
        factor = factors[axis]
        whole = volume.shape[axis] // factor * factor
        steps = [
            volume[(slice(None),) * axis + (slice(start, whole, factor),)]
            for start in range(factor)
        ]
        volume = sum(steps[1:], start=steps[0].astype(np.float32)) / np.float32(factor)
    return volume


def _smoothed(volume: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Two successive moving means: a tent filter."""
    for _ in range(2):
        volume = ndimage.uniform_filter(volume, widths, mode="constant")
    return volume


def _lean(difference: np.ndarray) -> float:
    low, middle, high = np.percentile(difference, (1, 50, 99))
    return float(np.log(max(high - middle, 1e-6) / max(middle - low, 1e-6)))


def suspicions(measured: np.ndarray, modalities: Sequence[str], cases: Sequence[str]) -> list[str]:
    """Name the cases whose modalities look swapped.

    Parameters
    ----------
    measured : (N, C, C, 2) array
        `relations` of each of the `cases`, channels in the order of `modalities`; NaN is ignored.
    modalities : sequence of C str
        Declared names. Only t1n, t1c, t2w and t2f are checked; a swap of t1n and t2f alone, or of
        t1c and t2f alone, is seldom clear.

    Returns
    -------
    list of str
        Warnings: modalities that fit better under each other's names, or that are one acquisition
        under two names.

    Notes
    -----
    The distance of names from what was measured is the sum of ((measured - expected) / sd)² over
    both relations of all pairs. From five cases on, the expectation moves from `EXPECTED` towards
    the medians of the cohort, further with more cases, so that habits of its scanners do not count
    as errors; the medians themselves are compared with `EXPECTED`, so that an error in all cases is
    reported once.
    """
    known = _known(modalities)
    if len(known) < 2:
        return []
    names = tuple(modalities[index] for index in known)
    measured = np.asarray(measured)[:, known][:, :, known]
    usable = measured[np.isfinite(measured).all(axis=(1, 2, 3))]
    expected, warnings = EXPECTED, []
    if len(usable) >= _COHORT:
        medians = np.median(usable, axis=0)
        expected = _drawn(medians, len(usable), names)
        whole = _swapped(medians, names, EXPECTED)
        warnings = [remark.about("the whole cohort") for remark in whole]
    for case, own in zip(cases, measured, strict=True):
        if np.isfinite(own).all():
            remarks = _swapped(own, names, expected) + _twins(own, names)
            warnings += [remark.about(case) for remark in remarks]
    return warnings


def doubts(measured: np.ndarray, modalities: Sequence[str]) -> list[Remark]:
    """What `suspicions` says of a single case, whose `relations` are (C, C, 2)."""
    known = _known(modalities)
    own = np.asarray(measured)[known][:, known]
    if len(known) < 2 or not np.isfinite(own).all():
        return []
    names = tuple(modalities[index] for index in known)
    return _swapped(own, names, EXPECTED) + _twins(own, names)


def _known(modalities: Sequence[str]) -> list[int]:
    """Places of the modalities whose relations are known."""
    return [
        index for index, name in enumerate(modalities) if any(name in pair for pair in EXPECTED)
    ]


def _swapped(
    measured: np.ndarray, names: tuple[str, ...], expected: dict[tuple[str, str], Relation]
) -> list[Remark]:
    distances = {
        chosen: _distance(measured, chosen, expected) for chosen in itertools.permutations(names)
    }
    better = min(distances, key=lambda chosen: distances[chosen])
    if distances[names] - distances[better] <= CLEARLY:
        return []
    return [
        Remark(
            _exchanged(dict(zip(names, better, strict=True))),
            f"distance {distances[better]:.1f} that way, {distances[names]:.1f} as declared",
            "Check them, and rename the files if so.",
        )
    ]


def _exchanged(better: dict[str, str]) -> str:
    """Which modalities have changed places, of each of them that which it looks like."""
    left, parts = dict(better), []
    while left:
        ring = [next(iter(left))]
        while (following := left.pop(ring[-1])) != ring[0]:
            ring.append(following)
        if len(ring) == 2:
            parts.append(f"{ring[0]} and {ring[1]} seem exchanged")
        elif len(ring) > 2:
            parts.append(", ".join(f"{name} looks like {better[name]}" for name in ring))
    return ", ".join(parts)


def _twins(measured: np.ndarray, names: tuple[str, ...]) -> list[Remark]:
    return [
        Remark(
            f"{names[one]} and {names[other]} look like one acquisition",
            f"correlation {measured[one, other, 0]:.3f}",
            "Check them, and fetch the one that is missing.",
        )
        for one, other in itertools.combinations(range(len(names)), 2)
        if measured[one, other, 0] > TWINS
    ]


def _drawn(
    medians: np.ndarray, cases: int, names: tuple[str, ...]
) -> dict[tuple[str, str], Relation]:
    """The expectation, moved towards the medians of a cohort for the pairs it has."""
    share = cases / (cases + _COHORT)
    drawn = dict(EXPECTED)
    for pair, relation in EXPECTED.items():
        if set(pair) <= set(names):
            correlation, lean = medians[names.index(pair[0]), names.index(pair[1])]
            drawn[pair] = relation._replace(
                correlation=(1 - share) * relation.correlation + share * correlation,
                lean=(1 - share) * relation.lean + share * lean,
            )
    return drawn


def _distance(
    measured: np.ndarray, names: tuple[str, ...], expected: dict[tuple[str, str], Relation]
) -> float:
    total = 0.0
    for pair in itertools.permutations(range(len(names)), 2):
        relation = expected.get((names[pair[0]], names[pair[1]]))
        if relation:  # of the two directions of a pair, one is in the table
            correlation, lean = measured[pair]
            total += ((correlation - relation.correlation) / relation.correlation_sd) ** 2 + (
                (lean - relation.lean) / relation.lean_sd
            ) ** 2
    return float(total)
