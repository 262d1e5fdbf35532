"""Detection of lesions over many cases: sensitivity by size, and false positives."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf, nan, sqrt
from typing import Any

SIZES_ML = (0.1, 1.0, 10.0)
"""Where one bin of volumes ends and the next begins, which holds the edge itself."""
NORMAL_QUANTILE = 1.959963984540054
"""Of the two-sided 95 % interval."""


def detection(
    rows: Sequence[dict[str, Any]], regions: Iterable[str], cases: int
) -> list[dict[str, Any]]:
    """Count lesions found, missed and false, by region and size.

    Lesions are counted one by one, over all cases together, so that a case of many lesions weighs
    more. The interval takes them as independent, which lesions of one patient are not: it is the
    least wide that can be defended.

    Parameters
    ----------
    rows : sequence of dict
        As `pipeline.metrics.lesionwise.lesion_rows` gives them, of all cases.
    cases : int
        How many cases they are of; one without any lesion has no row.

    Returns
    -------
    list of dict
        For each region one row of all sizes and one for each bin of `SIZES_ML`: ``name``; ``size``,
        "all" or the bin in words; ``low_ml`` and ``high_ml`` (infinite at the end); ``lesions`` of
        the reference of that volume and ``found`` of them; ``sensitivity``, NaN without a lesion,
        with its 95 % interval ``sensitivity_low``, ``sensitivity_high`` (`wilson`);
        ``false_positives`` of that volume, and ``false_positives_per_case``.

    Raises
    ------
    ValueError
        If there is no case.
    """
    if cases < 1:
        raise ValueError(f"lesions are counted per case: at least one case is needed, got {cases}")
    bins = [(0.0, inf), *pairwise((0.0, *SIZES_ML, inf))]
    return [
        {"name": region, **_bin([row for row in rows if row["name"] == region], *ends, cases)}
        for region in regions
        for ends in bins
    ]


def _bin(
    lesions: Sequence[dict[str, Any]], low_ml: float, high_ml: float, cases: int
) -> dict[str, Any]:
    within = [row for row in lesions if low_ml <= row["volume_ml"] < high_ml]
    hits = [int(row["found"]) for row in within if row["kind"] == "reference"]
    low, high = wilson(sum(hits), len(hits))
    false_positives = len(within) - len(hits)
    return {
        "size": _in_words(low_ml, high_ml),
        "low_ml": low_ml,
        "high_ml": high_ml,
        "lesions": len(hits),
        "found": sum(hits),
        "sensitivity": sum(hits) / len(hits) if hits else nan,
        "sensitivity_low": low,
        "sensitivity_high": high,
        "false_positives": false_positives,
        "false_positives_per_case": false_positives / cases,
    }


def _in_words(low_ml: float, high_ml: float) -> str:
    if (low_ml, high_ml) == (0.0, inf):
        return "all"
    if high_ml == inf:
        return f"from {low_ml:g} ml"
    return f"{low_ml:g} to {high_ml:g} ml" if low_ml else f"below {high_ml:g} ml"


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a proportion.

    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22:209-212 (1927), without continuity correction; recommended
    for few trials by Brown, Cai and DasGupta, Statistical Science 16:101-133 (2001). With p = s / n
    it is (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n); both ends are NaN
    without a trial.

    Raises
    ------
    ValueError
        If there are more successes than trials, or fewer than none.
    """
    if not 0 <= successes <= trials:
        raise ValueError(
            f"successes must be from 0 to {trials}, the number of trials, got {successes}"
        )
    if not trials:
        return nan, nan
    share, weight = successes / trials, NORMAL_QUANTILE**2 / trials
    centre = share + weight / 2
    reach = NORMAL_QUANTILE * sqrt((share * (1 - share) + weight / 4) / trials)
    low, high = (centre - reach) / (1 + weight), (centre + reach) / (1 + weight)
    # rounding would leave 1e-17
    return low if successes else 0.0, high if successes < trials else 1.0
