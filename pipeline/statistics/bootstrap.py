"""Bias-corrected and accelerated (BCa) bootstrap intervals of means and medians over cases.

Efron, "Better bootstrap confidence intervals", JASA 82(397) (1987); Efron and Tibshirani, "An
introduction to the bootstrap" (1993), chapter 14.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from ..core.rng import generator

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
LEAST = 3
"""Number of cases, or patients, below which there is no interval."""

Statistic = Literal["mean", "median"]
Interval = tuple[float, float]

_ROWS = 1000
_ROUNDING = 1e-12


def interval(
    values: Sequence[float],
    statistic: Statistic,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Interval of the mean or median of a metric over cases.

    The cases are drawn in the order of their values, and each draw is used a second time with ranks
    reversed (Hall, "Antithetic resampling for the bootstrap", Biometrika 76(4), 1989). So the
    interval does not depend on the order of the cases, and that of the negated values is its mirror
    image. Equal numbers of cases share their draws.

    Parameters
    ----------
    values : (N,) sequence of float
        One per case; NaN is left out before anything is drawn.
    confidence : float
        Share of intervals that would hold the true value, in (0, 1).
    resamples : int
        Number of bootstrap samples, even.
    clusters : (N,) sequence of hashable, optional
        The patient of each case. Where several cases are of one patient, whole patients are drawn
        (cluster bootstrap: Davison and Hinkley, "Bootstrap methods and their application", 1997,
        section 3.8) and left out in the jackknife.

    Returns
    -------
    low, high : float
        NaN where fewer than `LEAST` cases, or patients, have a value.

    Raises
    ------
    ValueError
        If a value is infinite, or `values` and `clusters` differ in length.
    """
    table = np.asarray(values, float).reshape(-1, 1)
    owners = _owners(clusters, len(table))
    defined = ~np.isnan(table[:, 0])
    sample = _Sample.of(table[defined], owners[defined])
    return _interval(sample, statistic, confidence, resamples, seed)


def interval_of_means(columns: np.ndarray, clusters: Sequence[Hashable] | None = None) -> Interval:
    """95 % interval of the mean over columns of each column's mean over cases, such as the mean
    Dice over regions.

    Parameters
    ----------
    columns : (N, M) array_like of float
        A row per case, whose columns are drawn together; NaN is left out of the mean of its column,
        and so is a column without any value, in all cases or in a bootstrap sample.
    clusters
        As for `interval`.
    """
    table = np.asarray(columns, float)
    owners = _owners(clusters, len(table))
    defined = ~np.isnan(table)
    cases, kept = defined.any(axis=1), defined.any(axis=0)
    if not kept.any():
        return nan, nan
    sample = _Sample.of(table[cases][:, kept], owners[cases])
    return _interval(sample, "mean", CONFIDENCE, RESAMPLES, SEED)


def _owners(clusters: Sequence[Hashable] | None, cases: int) -> np.ndarray:
    """The number of the cluster of each case, (N,) int."""
    if clusters is None:
        return np.arange(cases)
    if len(clusters) != cases:
        raise ValueError(f"a cluster for each of {cases} values is needed, got {len(clusters)}")
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    return np.array([numbers[cluster] for cluster in clusters], int)


@dataclass(frozen=True)
class _Sample:
    """Cases of P clusters, in an order that does not depend on the one they came in: (N, M) values
    sorted by the first column, (N,) clusters of the rows, (P, M) sums and counts of the defined
    values of each cluster, sorted by their means.
    """

    values: np.ndarray
    owners: np.ndarray
    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, owners: np.ndarray) -> "_Sample":
        if np.isinf(values).any():
            raise ValueError("values must be finite or NaN, got an infinite one")
        rows = np.lexsort(values.T[::-1])
        values = values[rows]
        _, first, owners = np.unique(owners[rows], return_index=True, return_inverse=True)
        sums, counts, means = (np.zeros((len(first), values.shape[1])) for _ in range(3))
        np.add.at(sums, owners, np.nan_to_num(values))
        np.add.at(counts, owners, ~np.isnan(values))
        np.divide(sums, counts, out=means, where=counts > 0)
        order = np.lexsort((first, counts.sum(axis=1), sums.sum(axis=1), means.sum(axis=1)))
        places = np.empty(len(order), int)
        places[order] = np.arange(len(order))
        return cls(values, places[owners], sums[order], counts[order])

    def means(self, weights: np.ndarray) -> np.ndarray:
        """Mean over the columns of their weighted means: (B, P) weights, (B,) means."""
        # einsum adds in one order on any number of threads; a product by BLAS does not
        counts = np.einsum("bp,pm->bm", weights, self.counts)
        means = np.full(counts.shape, nan)
        np.divide(np.einsum("bp,pm->bm", weights, self.sums), counts, out=means, where=counts > 0)
        return means[:, 0] if means.shape[1] == 1 else np.nanmean(means, axis=1)

    def medians(self, weights: np.ndarray) -> np.ndarray:
        """Median of the first column, each case as often as its cluster: (B, P) weights."""
        return self.halfway(*_middles(weights[:, self.owners]))

    def halfway(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Halfway between the values of two rows."""
        return (self.values[lower, 0] + self.values[upper, 0]) / 2


def _middles(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two rows, or twice the one, in the middle of rows repeated by their weights: (B, N)
    weights, (B,) int each.
    """
    reached = np.cumsum(weights, axis=1, dtype=np.int32)
    total = reached[:, -1:]
    return (reached <= (total - 1) // 2).sum(axis=1), (reached <= total // 2).sum(axis=1)


@lru_cache(maxsize=16)
def _drawn_middles(clusters: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`_middles` of the bootstrap samples of cases that are clusters by themselves."""
    return _middles(_weights(clusters, resamples, seed))


def _interval(
    sample: _Sample, statistic: Statistic, confidence: float, resamples: int, seed: int
) -> Interval:
    clusters = len(sample.sums)
    if clusters < LEAST:
        return nan, nan
    if sample.values.shape[1] == 1 and sample.values[0, 0] == sample.values[-1, 0]:
        return float(sample.values[0, 0]), float(sample.values[0, 0])
    take = sample.means if statistic == "mean" else sample.medians
    if statistic == "median" and clusters == len(sample.owners):
        replicates = sample.halfway(*_drawn_middles(clusters, resamples, seed))
    else:
        drawn = _weights(clusters, resamples, seed)
        replicates = np.concatenate(
            [take(drawn[first : first + _ROWS]) for first in range(0, resamples, _ROWS)]
        )
    estimate = take(np.ones((1, clusters), int))[0]
    left_out = take(1 - np.eye(clusters, dtype=int))
    rounding = _ROUNDING * np.nanmax(np.abs(sample.values))
    return _bca(estimate, replicates, left_out, confidence, rounding)


@lru_cache(maxsize=16)
def _weights(clusters: int, resamples: int, seed: int) -> np.ndarray:
    """How often each cluster is in each bootstrap sample, (B, P) uint16, in mirrored halves."""
    if resamples < 2 or resamples % 2:
        raise ValueError(f"resamples must be even and positive, got {resamples}")
    half = resamples // 2
    drawn = generator(seed, "bootstrap", clusters).integers(clusters, size=(half, clusters))
    flat = (drawn + clusters * np.arange(half)[:, None]).ravel()
    weights = np.bincount(flat, minlength=half * clusters).reshape(half, clusters).astype(np.uint16)
    both = np.concatenate([weights, weights[:, ::-1]])
    both.flags.writeable = False
    return both


def _bca(
    estimate: float,
    replicates: np.ndarray,
    left_out: np.ndarray,
    confidence: float,
    rounding: float,
) -> Interval:
    """Efron and Tibshirani (1993), equations 14.9 to 14.15; replicates equal to the estimate count
    half.
    """
    apart = replicates - estimate
    below = np.count_nonzero(apart < -rounding) + np.count_nonzero(apart <= rounding)
    edge = 0.5 / len(replicates)
    bias = ndtri(np.clip(below / (2 * len(replicates)), edge, 1 - edge))
    pulls = left_out.mean() - left_out
    spread = (pulls**2).sum()
    skewed = spread > len(pulls) * rounding**2
    acceleration = (pulls**3).sum() / (6 * spread**1.5) if skewed else 0.0
    tail = (1 - confidence) / 2
    reach = bias + ndtri(np.array([tail, 1 - tail]))
    # |acceleration| < 1/6, so only a reach beyond 6 standard errors makes the denominator vanish
    shares = ndtr(bias + reach / np.maximum(1 - acceleration * reach, _ROUNDING))
    low, high = np.quantile(replicates, shares)
    return float(low), float(high)
