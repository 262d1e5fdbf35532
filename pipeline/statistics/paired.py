"""Whether two runs differ on the same cases, or whether chance alone explains the difference."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import nan
from typing import Any

import numpy as np
from scipy import stats

from ..core.rng import generator
from .bootstrap import CONFIDENCE, RESAMPLES, SEED, interval

PERMUTATIONS = 19_999
EXACT_UP_TO = 14
"""Differences other than 0 up to which all signs are tried."""

HIGHER_IS_BETTER = frozenset(
    {
        *(
            "dice",
            "iou",
            "precision",
            "sensitivity",
            "specificity",
            "accuracy",
            "nsd_1mm",
            "nsd_2mm",
            "nsd_3mm",
        ),
        *(
            "lesion_dice",
            "lesion_nsd_1mm",
            "lesion_nsd_2mm",
            "lesion_nsd_3mm",
            "found",
            "f1",
            "sq",
            "pq",
        ),
    }
)
LOWER_IS_BETTER = frozenset(
    {
        "hd_mm",
        "hd95_mm",
        "assd_mm",
        "lesion_hd95_mm",
        "false_positives",
        "brier",
        "ece",
        "aurc",
        "volume_error_ml",
        "relative_volume_error",
    }
)
BY_MAGNITUDE = frozenset({"volume_error_ml", "relative_volume_error"})
"""Errors with a sign, of which the size is compared."""

_DIGITS = 12
_ROUNDING = 1e-12

Rows = Iterable[Mapping[str, Any]]


def direction(metric: str) -> int:
    """1 if higher is better, -1 if lower is; KeyError for what is not a score, such as a volume."""
    if metric not in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        raise KeyError(metric)
    return 1 if metric in HIGHER_IS_BETTER else -1


def value_of(row: Mapping[str, Any], metric: str) -> float:
    """The value of a metric as it is compared: NaN where undefined, the size alone of an error with
    a sign.
    """
    value = float(row[metric])
    return abs(value) if metric in BY_MAGNITUDE else value


def compare_pairs(
    first: Rows,
    second: Rows,
    metrics: Sequence[str],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> list[dict[str, Any]]:
    """Compare two runs, target by target and metric by metric, on the cases that both scored.

    Parameters
    ----------
    first, second : iterable of mapping
        A row per case and target: ``case``, ``patient``, ``kind``, ``name``, the metrics (NaN where
        undefined), and ``filled``, not empty where the empty rule gave scores. What only one run
        holds is left out.
    metrics : sequence of str
        Names for which `direction` knows what is better.
    confidence, resamples, seed
        As for `pipeline.statistics.bootstrap.interval`; the seed is also that of the permutations.
    permutations : int
        As for `sign_flip_p`.

    Returns
    -------
    list of dict
        One row per target and metric, targets in the order of `first`: ``kind``, ``name``,
        ``metric``; ``cases``, the pairs in which both values are defined, and ``patients`` behind
        them; ``undefined``, pairs left out because a value is NaN; ``filled``, pairs compared in
        which the empty rule gave scores to either run; ``mean_first``, ``mean_second``;
        ``difference``, the mean of second minus first, with the ends ``low`` and ``high`` of its
        interval; ``better``, ``worse``, pairs in which the second run is so; ``p_permutation``
        (`sign_flip_p`), ``p_wilcoxon`` (`wilcoxon_p`), and both after `holm` over all rows
        returned, ``p_permutation_holm`` and ``p_wilcoxon_holm``. Patients with several cases count
        as one where anything is drawn or tested.
    """
    rows = []
    for (kind, name), pairs in paired_rows(first, second).items():
        for metric in metrics:
            tested = _tested(pairs, metric, confidence, resamples, permutations, seed)
            rows.append({"kind": kind, "name": name, "metric": metric, **tested})
    for test in ("p_permutation", "p_wilcoxon"):
        for row, adjusted in zip(rows, holm([row[test] for row in rows]), strict=True):
            row[f"{test}_holm"] = adjusted
    return rows


def paired_rows(first: Rows, second: Rows) -> dict[tuple[str, str], list[tuple[Mapping, Mapping]]]:
    """Target (``kind``, ``name``) to the pairs of rows of the cases that both runs scored, in the
    order of `first`.
    """
    partners = {(row["kind"], row["name"], row["case"]): row for row in second}
    pairs: dict[tuple[str, str], list[tuple[Mapping, Mapping]]] = {}
    for row in first:
        partner = partners.get((row["kind"], row["name"], row["case"]))
        if partner is not None:
            pairs.setdefault((row["kind"], row["name"]), []).append((row, partner))
    return pairs


def _tested(
    pairs: Sequence[tuple[Mapping, Mapping]],
    metric: str,
    confidence: float,
    resamples: int,
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    values = np.array([[value_of(row, metric) for row in pair] for pair in pairs])
    defined = ~np.isnan(values).any(axis=1)
    values, own = values[defined], [pair for pair, keep in zip(pairs, defined, strict=True) if keep]
    patients = [row["patient"] for row, _ in own]
    # rounded, for ties in value must stay ties: 0.8 - 0.7 is not 0.9 - 0.8
    differences = np.round(values[:, 1] - values[:, 0], _DIGITS)
    low, high = interval(
        differences,
        "mean",
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        clusters=patients,
    )
    gains = direction(metric) * differences
    return {
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
        "p_permutation": sign_flip_p(differences, patients, permutations=permutations, seed=seed),
        "p_wilcoxon": wilcoxon_p(differences, patients),
    }


def _mean(values: np.ndarray) -> float:
    """The mean, summed in the order of the values' sizes so that it does not depend on the order of
    the cases.
    """
    return float(np.mean(values[np.argsort(np.abs(values), kind="stable")])) if len(values) else nan


def sign_flip_p(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> float:
    """Two-sided p of the mean difference of pairs, if the two runs of a pair could change places.

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
    seed : int
        Of the draws.

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
    13; otherwise by the normal distribution.

    Parameters
    ----------
    differences : (N,) sequence of float
        One per case, without NaN.
    clusters : (N,) sequence of hashable, optional
        The patient of each case: the mean difference of each patient is tested.

    Returns
    -------
    float
        In (0, 1]; 1 where all differences are 0, NaN without any.
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
    for cluster, difference in zip(
        range(len(differences)) if clusters is None else clusters, differences, strict=True
    ):
        own.setdefault(cluster, []).append(float(difference))
    return list(own.values())


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of one family of tests, adjusted so that the chance of any false finding stays below
    the level.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2) (1979): the k-th smallest of m is multiplied by m - k + 1, never falls below the
    one before, and never exceeds 1.

    Parameters
    ----------
    p_values : (M,) sequence of float
        NaN is no test: it stays and does not count.

    Returns
    -------
    (M,) list of float
        In the order given.
    """
    adjusted = [nan] * len(p_values)
    order = sorted((p, place) for place, p in enumerate(p_values) if p == p)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[place] = highest
    return adjusted
