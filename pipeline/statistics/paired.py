"""Paired comparison of runs on the same cases: differences, intervals and tests."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import nan
from typing import Any

import numpy as np
from scipy import stats

from ..core.rng import generator
from .bootstrap import SEED, interval

PERMUTATIONS = 19_999
EXACT_UP_TO = 14
"""Number of nonzero differences up to which all signs are tried."""
LEVEL = 0.05
"""Holm-corrected p below which a difference is significant."""

_DIGITS = 12
_ROUNDING = 1e-12

Rows = Iterable[Mapping[str, Any]]


def compare_pairs(
    first: Rows, second: Rows, directions: Mapping[str, int], *, seed: int = SEED
) -> list[dict[str, Any]]:
    """Compare two runs on the cases that both scored, for each target and metric.

    Parameters
    ----------
    first, second : iterable of mapping
        A row per case and target: ``case``, ``patient``, ``kind``, ``name``, the metrics (NaN where
        undefined), and ``filled``, not empty where the empty rule gave scores. Rows of only one run
        are left out.
    directions : mapping of str to {1, -1}
        Metrics to compare; 1 where higher is better.

    Returns
    -------
    list of dict
        One row per target and metric, targets in the order of `first`: ``kind``, ``name``,
        ``metric``, ``direction``; ``cases``, the pairs in which both values are defined, and
        ``patients`` behind them, each one unit of resampling and tests; ``undefined``, pairs left
        out because a value is NaN; ``filled``, pairs compared in which the empty rule gave scores
        to either run; ``mean_first``, ``mean_second``; ``difference``, the mean of second minus
        first, with the ends ``low`` and ``high`` of its interval; ``better``, ``worse``, pairs in
        which the second run is so; ``p_permutation`` (`sign_flip_p`), ``p_wilcoxon``
        (`wilcoxon_p`), and both after `holm` over all rows returned, ``p_permutation_holm`` and
        ``p_wilcoxon_holm``; ``verdict``, 1 if the second run is significantly better by
        ``p_permutation_holm``, -1 if worse, else 0.
    """
    rows = []
    for (kind, name), pairs in paired_rows(first, second).items():
        for metric, direction in directions.items():
            tested = _tested(pairs, metric, direction, seed)
            rows.append({"kind": kind, "name": name, "metric": metric, **tested})
    for test in ("p_permutation", "p_wilcoxon"):
        for row, adjusted in zip(rows, holm([row[test] for row in rows]), strict=True):
            row[f"{test}_holm"] = adjusted
    for row in rows:
        significant = row["p_permutation_holm"] < LEVEL
        row["verdict"] = int(np.sign(row["direction"] * row["difference"])) if significant else 0
    return rows


def paired_rows(first: Rows, second: Rows) -> dict[tuple[str, str], list[tuple[Mapping, Mapping]]]:
    """Target (``kind``, ``name``) to pairs of rows of the cases that both runs scored, in the order
    of `first`.
    """
    partners = {(row["kind"], row["name"], row["case"]): row for row in second}
    pairs: dict[tuple[str, str], list[tuple[Mapping, Mapping]]] = {}
    for row in first:
        partner = partners.get((row["kind"], row["name"], row["case"]))
        if partner is not None:
            pairs.setdefault((row["kind"], row["name"]), []).append((row, partner))
    return pairs


def most_changed(first: Rows, second: Rows, metric: str) -> list[tuple[Mapping, Mapping]]:
    """The pair of rows of each case with the largest change of a metric; largest first, and none
    of a case without a change.
    """
    largest: dict[str, tuple[float, tuple[Mapping, Mapping]]] = {}
    for pairs in paired_rows(first, second).values():
        for row, partner in pairs:
            size = abs(partner[metric] - row[metric])
            if size > largest.get(row["case"], (0.0,))[0]:
                largest[row["case"]] = size, (row, partner)
    ordered = sorted(largest.items(), key=lambda item: (-item[1][0], item[0]))
    return [pair for _, (_, pair) in ordered]


def _tested(
    pairs: Sequence[tuple[Mapping, Mapping]], metric: str, direction: int, seed: int
) -> dict[str, Any]:
    values = np.array([[float(row[metric]) for row in pair] for pair in pairs])
    defined = ~np.isnan(values).any(axis=1)
    values, own = values[defined], [pair for pair, keep in zip(pairs, defined, strict=True) if keep]
    patients = [row["patient"] for row, _ in own]
    # rounded so that ties stay ties: 0.8 - 0.7 is not 0.9 - 0.8
    differences = np.round(values[:, 1] - values[:, 0], _DIGITS)
    low, high = interval(differences, "mean", seed=seed, clusters=patients)
    gains = direction * differences
    return {
        "direction": direction,
        "cases": len(own),
        "patients": len(set(patients)),
        "undefined": len(pairs) - len(own),
        "filled": sum(bool(row["filled"] or partner["filled"]) for row, partner in own),
        "mean_first": _mean(values[:, 0]),
        "mean_second": _mean(values[:, 1]),
        "difference": _mean(differences),
        "low": low,
        "high": high,
        "better": int((gains > 0).sum()),
        "worse": int((gains < 0).sum()),
        "p_permutation": sign_flip_p(differences, patients, seed=seed),
        "p_wilcoxon": wilcoxon_p(differences, patients),
    }


def _mean(values: np.ndarray) -> float:
    """The mean, summed by size so that it does not depend on the order of the cases."""
    return float(np.mean(values[np.argsort(np.abs(values), kind="stable")])) if len(values) else nan


def sign_flip_p(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> float:
    """Two-sided p of the mean difference of pairs by a sign-flip permutation test.

    Fisher, "The design of experiments" (1935), section 21: each difference is as likely to have the
    other sign. Up to `EXACT_UP_TO` differences other than 0, all assignments of signs are counted;
    beyond, b of m drawn ones reach the observed size, and p is (b + 1) / (m + 1), which is never 0
    (Phipson and Smyth, "Permutation p-values should never be zero", Statistical Applications in
    Genetics and Molecular Biology 9(1), 2010).

    Parameters
    ----------
    differences : (N,) sequence of float
        One per case, without NaN.
    clusters : (N,) sequence of hashable, optional
        The patient of each case: the differences of one patient change sign together.
    permutations : int
        Assignments that are drawn, m.

    Returns
    -------
    float
        In (0, 1]; 1 where all differences are 0, NaN without any.
    """
    if not len(differences):
        return nan
    sums = np.array([sum(own) for own in _by_cluster(differences, clusters)])
    sizes, observed = np.sort(np.abs(sums)), abs(sums.sum())
    scale = sizes.sum()
    sizes = sizes[sizes > _ROUNDING * scale]
    if not len(sizes):
        return 1.0
    reached = observed - _ROUNDING * scale
    if len(sizes) <= EXACT_UP_TO:
        signs = np.array(list(product((1, -1), repeat=len(sizes) - 1)), float)
        # mirrored assignments have the same size, so the first sign stays
        return float((np.abs(sizes[0] + signs @ sizes[1:]) >= reached).mean())
    flipped = np.einsum("bn,n->b", _flips(len(sizes), permutations, seed), sizes)
    extreme = np.count_nonzero(np.abs(sizes.sum() - 2 * flipped) >= reached)
    return (extreme + 1) / (permutations + 1)


@lru_cache(maxsize=16)
def _flips(differences: int, permutations: int, seed: int) -> np.ndarray:
    """Which differences have the other sign in each permutation, (m, N) uint8."""
    flips = generator(seed, "sign flips", differences).integers(
        2, size=(permutations, differences), dtype=np.uint8
    )
    flips.flags.writeable = False
    return flips


def wilcoxon_p(differences: Sequence[float], clusters: Sequence[Hashable] | None = None) -> float:
    """Two-sided p of Wilcoxon's signed-rank test.

    Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6) (1945), as SciPy
    does it: differences of 0 are dropped; exact for at most 50 differences without ties, or at most
    13; otherwise by the normal distribution. Arguments and result are as of `sign_flip_p`, but the
    mean difference of each patient is tested.
    """
    if not len(differences):
        return nan
    means = np.array([sum(own) / len(own) for own in _by_cluster(differences, clusters)])
    means = np.sort(np.round(means, _DIGITS))
    return float(stats.wilcoxon(means).pvalue) if means.any() else 1.0


def _by_cluster(
    differences: Sequence[float], clusters: Sequence[Hashable] | None
) -> list[list[float]]:
    own: dict[Hashable, list[float]] = {}
    owners = range(len(differences)) if clusters is None else clusters
    for owner, difference in zip(owners, differences, strict=True):
        own.setdefault(owner, []).append(float(difference))
    return list(own.values())


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of one family of tests, adjusted so that the chance of any false finding stays below
    the level; NaN is no test: it stays and does not count.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2) (1979): the k-th smallest of m is multiplied by m - k + 1, never falls below the
    one before, and never exceeds 1.
    """
    adjusted = [nan] * len(p_values)
    order = sorted((p, place) for place, p in enumerate(p_values) if p == p)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[place] = highest
    return adjusted
