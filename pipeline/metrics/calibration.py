"""Calibration and uncertainty of the probabilities of a case, region by region."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.schema import Schema
from . import registry
from .uncertainty import aurc, aurc_oracle, aurc_random, count_errors, entropy_bits

BINS = 15
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Bins:
    """Voxels of one region by its predicted probability, in bins of equal width. Those of several
    cases add up.

    The bins are [i/B, (i + 1)/B), and the last holds 1 too. It is the probability of the region
    itself that is compared, not the confidence of the decision for or against it, which lies in
    [0.5, 1].

    Attributes
    ----------
    voxels, positives : (B,) int64 array
        Voxels of each bin, and those that the reference has in the region.
    probability : (B,) float64 array
        Their summed probability.
    squared_error : float
        Sum over all voxels of (probability - reference)^2, the reference being 1 in the region, 0
        outside.
    """

    voxels: np.ndarray
    positives: np.ndarray
    probability: np.ndarray
    squared_error: float

    def __add__(self, other: "Bins") -> "Bins":
        """Bins of the voxels of both."""
        return Bins(
            self.voxels + other.voxels,
            self.positives + other.positives,
            self.probability + other.probability,
            self.squared_error + other.squared_error,
        )

    @property
    def brier(self) -> float:
        """Mean squared error of the probabilities, in [0, 1]. Brier, Monthly Weather Review 78
        (1950): half of his two-sided score.
        """
        voxels = int(self.voxels.sum())
        return self.squared_error / voxels if voxels else nan

    @property
    def ece(self) -> float:
        """Expected calibration error, in [0, 1]: sum over bins of voxels/all |mean probability -
        share positive|.

        Naeini, Cooper and Hauskrecht, AAAI 2015, for two classes, with the 15 bins and the weights
        of Guo et al., ICML 2017, eq. 3.
        """
        voxels = int(self.voxels.sum())
        return float(np.abs(self.probability - self.positives).sum()) / voxels if voxels else nan

    @property
    def mean_probability(self) -> np.ndarray:
        """Of each bin, (B,) float64, NaN where it is empty."""
        return _ratio(self.probability, self.voxels)

    @property
    def share_positive(self) -> np.ndarray:
        """Of each bin, (B,) float64, NaN where it is empty."""
        return _ratio(self.positives, self.voxels)


def bin_probabilities(probabilities: np.ndarray, reference: np.ndarray) -> Bins:
    """Sort the voxels of one region into bins.

    Parameters
    ----------
    probabilities : (N,) float32 array
        Of the region, in [0, 1] but for what interpolation rounds.
    reference : (N,) bool array
        Whether the voxel belongs to it.

    Returns
    -------
    Bins

    Raises
    ------
    ValueError
        If the shapes differ, or a probability is not in [0, 1].
    """
    if probabilities.shape != reference.shape:
        raise ValueError(
            f"probabilities {probabilities.shape} and reference {reference.shape} must have one"
            " shape"
        )
    if not (
        probabilities.min(initial=0) >= -_ROUNDING and probabilities.max(initial=1) <= 1 + _ROUNDING
    ):
        raise ValueError(
            f"probabilities must lie in [0, 1], got {probabilities.min():g} to"
            f" {probabilities.max():g}"
        )
    place = (probabilities * np.float32(BINS)).astype(np.intp)
    np.clip(place, 0, BINS - 1, out=place)
    sums = np.bincount(place, probabilities, minlength=BINS)
    place += BINS * reference
    outside, inside = np.bincount(place, minlength=2 * BINS).reshape(2, BINS)
    squared_error = float(np.square(probabilities - reference).sum(dtype=np.float64))
    return Bins(outside + inside, inside, sums, squared_error)


def calibration_rows(
    probabilities: np.ndarray,
    disagreement: np.ndarray | None,
    reference: np.ndarray,
    brain: np.ndarray,
    schema: Schema,
) -> tuple[list[dict[str, Any]], dict[str, Bins]]:
    """Measure calibration and uncertainty of every region of one case.

    They are measured on all voxels of the brain. The background around the head is most of the
    volume and easily classified: with it any network would look calibrated. A band around the
    predicted tumour would depend on the prediction.

    Parameters
    ----------
    probabilities : (X, Y, Z, R) float32 array
        Of each region in the schema's order, in [0, 1], on the raw grid; before any decision and
        post-processing.
    disagreement : (X, Y, Z, R) float32 array or None
        Standard deviation of each probability over mirror images, in [0, 0.5]; None without
        mirroring.
    reference : (X, Y, Z) uint8 array
        Class indices 0..K.
    brain : (X, Y, Z) bool array
        Voxels to measure.
    schema : Schema
        Declares the regions.

    Returns
    -------
    rows : list of dict
        One per region: ``name``, ``voxels`` and the metrics of the table "calibration". A voxel is
        wrong where probability > 0.5 differs from the reference (`pipeline.metrics.uncertainty`).
        NaN for a disagreement without mirror images, and for all if there is no brain.
    bins : dict of str to Bins
        Of each region.

    Raises
    ------
    ValueError
        If the arrays lie on different grids, or a probability is not in [0, 1].
    """
    expected = (*brain.shape, len(schema.regions))
    if reference.shape != brain.shape or any(
        array is not None and array.shape != expected for array in (probabilities, disagreement)
    ):
        shapes = [
            array.shape for array in (probabilities, disagreement, reference) if array is not None
        ]
        raise ValueError(
            f"expected arrays on the grid {brain.shape} of the brain with {len(schema.regions)}"
            f" regions, got {shapes}"
        )
    box = bounding_box(brain)
    inside = brain[box].ravel(order="F")  # volumes of the raw grid lie in memory with x first
    classes = reference[box].ravel(order="F")[inside]
    rows, bins = [], {}
    for column, region in enumerate(schema.regions):
        members = np.isin(np.arange(256), schema.classes_of(region))
        own = probabilities[..., column][box].ravel(order="F")[inside]
        spread = (
            None
            if disagreement is None
            else disagreement[..., column][box].ravel(order="F")[inside]
        )
        bins[region] = bin_probabilities(own, members[classes])
        rows.append(
            {"name": region, "voxels": int(bins[region].voxels.sum())}
            | registry.readings("calibration", _Voxels(bins[region], own, spread, members[classes]))
        )
    return rows, bins


@dataclass(frozen=True)
class _Voxels:
    """Voxels of the brain with the probability of one region, (N,) each."""

    bins: Bins
    probabilities: np.ndarray
    disagreement: np.ndarray | None
    reference: np.ndarray

    @cached_property
    def _entropy(self) -> np.ndarray:
        return entropy_bits(self.probabilities)

    @cached_property
    def _wrong(self) -> np.ndarray:
        return (self.probabilities > 0.5) != self.reference

    @cached_property
    def _counts(self) -> np.ndarray:
        return count_errors(self._entropy, self._wrong, 1.0)

    @property
    def mean_entropy(self) -> float:
        return _mean(self._entropy)

    @property
    def mean_disagreement(self) -> float:
        return nan if self.disagreement is None else _mean(self.disagreement)

    @property
    def aurc(self) -> float:
        return aurc(self._counts)

    @property
    def aurc_random(self) -> float:
        return aurc_random(self._counts)

    @property
    def aurc_oracle(self) -> float:
        return aurc_oracle(self._counts)

    @property
    def aurc_disagreement(self) -> float:
        if self.disagreement is None:
            return nan
        return aurc(count_errors(self.disagreement, self._wrong, 0.5))


def pooled(cases: Iterable[dict[str, Bins]]) -> dict[str, Bins]:
    """Bins of each region over all cases, every voxel with equal weight, so that large brains count
    for more.
    """
    total: dict[str, Bins] = {}
    for bins in cases:
        total |= {name: total[name] + own if name in total else own for name, own in bins.items()}
    return total


def reliability_rows(bins: dict[str, Bins]) -> list[dict[str, Any]]:
    """The reliability curves as a table.

    Parameters
    ----------
    bins : dict of str to Bins
        Of each region, as `pooled` gives them.

    Returns
    -------
    list of dict
        One per region and bin: ``name``, ``bin`` (0..), ``low``, ``high``, ``voxels``,
        ``mean_probability``, ``share_positive``, the last two NaN where the bin is empty.
    """
    return [
        {
            "name": name,
            "bin": place,
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "voxels": int(own.voxels[place]),
            "mean_probability": float(own.mean_probability[place]),
            "share_positive": float(own.share_positive[place]),
        }
        for name, own in bins.items()
        for place in range(BINS)
    ]


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full(len(counts), nan), where=counts > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else nan
