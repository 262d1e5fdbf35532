"""Uncertainty of a network, and whether its errors are where it is uncertain."""

from math import nan

import numpy as np
from scipy.special import digamma

LEVELS = 10_000
"""Levels of uncertainty that are distinguished; voxels of one level are tied."""

STEP_PERCENT = 5


def entropy_bits(probabilities: np.ndarray) -> np.ndarray:
    """Entropy -p log2 p - (1 - p) log2 (1 - p) of each float32 probability: float32 in [0, 1].
    Shannon, Bell System Technical Journal 27 (1948), section 6.
    """
    entropy = np.zeros(probabilities.shape, np.float32)
    for share in (probabilities, 1 - probabilities):
        entropy -= share * np.log(np.maximum(share, np.finfo(np.float32).tiny))  # 0 log 0 is 0
    entropy *= np.float32(1 / np.log(2))
    return np.clip(entropy, 0, 1, out=entropy)


def uncertainty_percent(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of the least certain region of every voxel, in percent of a bit and in steps of
    `STEP_PERCENT`, so that the file is small.

    Parameters
    ----------
    probabilities : (X, Y, Z, R) float32 array
        Of each region.

    Returns
    -------
    (X, Y, Z) uint8 array
        From 0, where all regions are certain, to 100, where one has a probability of 0.5.
    """
    least_certain = np.abs(probabilities - np.float32(0.5)).min(axis=-1)
    bits = entropy_bits(np.float32(0.5) + least_certain)
    return np.rint(bits * (100 / STEP_PERCENT)).astype(np.uint8) * np.uint8(STEP_PERCENT)


def count_errors(uncertainty: np.ndarray, wrong: np.ndarray, highest: float) -> np.ndarray:
    """Count right and wrong voxels by uncertainty, for a risk-coverage curve.

    Parameters
    ----------
    uncertainty : (N,) float32 array
        In [0, highest]: 1 for an entropy in bits, 0.5 for a standard deviation of probabilities.
    wrong : (N,) bool array
        Where the decision and the reference differ.

    Returns
    -------
    (LEVELS, 2) int64 array
        Right and wrong voxels of each level of equal width, from certain to uncertain.
    """
    level = (uncertainty * np.float32(LEVELS / highest)).astype(np.intp)
    np.minimum(level, LEVELS - 1, out=level)
    level += level
    level += wrong
    return np.bincount(level, minlength=2 * LEVELS).reshape(LEVELS, 2)


def aurc(counts: np.ndarray) -> float:
    """Area under the risk-coverage curve.

    With the n voxels sorted from certain to uncertain and r(k) the share of wrong ones among the
    first k, it is the mean of r(1) to r(n): Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty
    Estimation for Deep Neural Classifiers", ICLR 2019, eq. 3, for the selective risk of Geifman and
    El-Yaniv, NeurIPS 2017. Tied voxels count as the mean over all their orders: with E wrong among
    the k surer ones, and e wrong among m tied ones, these add

        sum_{j=1..m} (E + j e/m) / (k + j)  =  e + (E - k e/m) (H(k + m) - H(k)),    H(n) = 1 + 1/2
        + ... + 1/n.

    Parameters
    ----------
    counts : (L, 2) int array
        Right and wrong voxels from certain to uncertain, as `count_errors` gives them.

    Returns
    -------
    float
        In [0, 1], the lower the better; NaN without voxels.
    """
    levels = counts[counts.any(axis=1)]
    if not len(levels):
        return nan
    tied, wrong = levels.sum(axis=1), levels[:, 1]
    kept, errors = tied.cumsum() - tied, wrong.cumsum() - wrong  # before each level
    areas = wrong + (errors - kept * (wrong / tied)) * _harmonic(kept, tied)
    return float(areas.sum() / tied.sum())


def aurc_random(counts: np.ndarray) -> float:
    """`aurc` of an uncertainty unrelated to the errors, the mean over all orders: the share of
    wrong voxels.
    """
    return aurc(counts.sum(axis=0, keepdims=True))


def aurc_oracle(counts: np.ndarray) -> float:
    """`aurc` if every wrong voxel were more uncertain than every right one: the minimum for this
    number of errors.
    """
    return aurc(np.diag(counts.sum(axis=0)))


def _harmonic(start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """1/(start + 1) + ... + 1/(start + count).

    Of large numbers the digamma functions would cancel: there ln x + 1/(24 x^2), x = n + 1/2, is
    H(n) but for a constant and 7/(960 x^4).
    """
    low, high = start + 0.5, start + count + 0.5
    far = np.log1p(count / low) + (1 / high**2 - 1 / low**2) / 24
    return np.where(start < 1000, digamma(high + 0.5) - digamma(low + 0.5), far)
