"""Which cases to look at: from the worst to the best."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError


def mean_region_dice(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean Dice over the regions of each case.

    Parameters
    ----------
    rows : sequence of dict
        As `pipeline.metrics.case_scores.score_case` gives them, with ``case``.

    Returns
    -------
    dict of str to float
        Case to the mean over its defined regions, NaN where none is, from the worst to the best and
        then the undefined; equal ones by name.
    """
    return _means_of_cases(rows, [row for row in rows if row["kind"] == "region"], "dice")


def mean_lesion_dice(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean lesion-wise Dice over the regions of each case, as `mean_region_dice`.

    Parameters
    ----------
    rows : sequence of dict
        Those of cases of `pipeline.metrics.lesionwise.lesion_rows`, with ``case``.
    """
    return _means_of_cases(rows, rows, "lesion_dice")


def _means_of_cases(
    cases: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], metric: str
) -> dict[str, float]:
    """Mean of a metric over the rows of each case, from the worst to the best, NaN last."""
    found: dict[str, list[float]] = {row["case"]: [] for row in cases}
    for row in rows:
        if row[metric] == row[metric]:
            found[row["case"]].append(row[metric])
    means = {case: float(np.mean(values)) if values else np.nan for case, values in found.items()}
    return dict(
        sorted(means.items(), key=lambda item: (item[1] if item[1] == item[1] else inf, item[0]))
    )


def chosen(
    rows: Sequence[dict[str, Any]], names: Sequence[str], count: int, where: Path
) -> list[str]:
    """The cases to picture, from the worst to the best: those named, or else `spread`.

    Parameters
    ----------
    rows, names, count
        As for `mean_region_dice`; the section `visualize`.
    where : Path
        The table of the rows, for the message.

    Raises
    ------
    InputError
        If a named case was not scored.
    """
    ranked = list(mean_region_dice(rows))
    unknown = sorted(set(names) - set(ranked))
    if unknown:
        raise InputError(
            f"params.yaml: visualize.names has {unknown}, but the cases scored in {where} are"
            f" {sorted(ranked)}."
        )
    return [case for case in ranked if case in names] or spread(ranked, count)


def spread(ranked: Sequence[str], count: int) -> list[str]:
    """Pick cases evenly from a ranking, both ends included: 3 are the worst, the median and the
    best; 0 are all.
    """
    places = (
        np.linspace(0, len(ranked) - 1, min(count or len(ranked), len(ranked))).round().astype(int)
    )
    return [ranked[place] for place in places]


def from_both_ends(ranked: Sequence[str]) -> list[str]:
    """The first, the last, the second, the last but one and so on."""
    pairs = zip(ranked, reversed(ranked), strict=True)
    return list(dict.fromkeys(name for pair in pairs for name in pair))
