"""Rows of score tables by case: the worst cases, and tumours that were missed."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np

Rows = Sequence[Mapping[str, Any]]


def mean_region_dice(rows: Rows) -> dict[str, float]:
    """Mean Dice over the regions of each case.

    Parameters
    ----------
    rows : sequence of mapping
        As `pipeline.metrics.case_scores.score_case` gives them, with ``case``.

    Returns
    -------
    dict of str to float
        Case to the mean over its defined regions, NaN where none is, from the worst to the best and
        then the undefined; equal ones by name.
    """
    return _means_of_cases(rows, [row for row in rows if row["kind"] == "region"], "dice")


def mean_lesion_dice(rows: Rows) -> dict[str, float]:
    """Mean lesion-wise Dice over the regions of each case, as `mean_region_dice`.

    Parameters
    ----------
    rows : sequence of mapping
        Those of cases of `pipeline.metrics.lesionwise.lesion_rows`, with ``case``.
    """
    return _means_of_cases(rows, rows, "lesion_dice")


def _means_of_cases(cases: Rows, rows: Rows, metric: str) -> dict[str, float]:
    """Mean of a metric over the rows of each case, from the worst to the best, NaN last."""
    found: dict[str, list[float]] = {row["case"]: [] for row in cases}
    for row in rows:
        if row[metric] == row[metric]:
            found[row["case"]].append(row[metric])
    means = {case: float(np.mean(values)) if values else np.nan for case, values in found.items()}
    return dict(
        sorted(means.items(), key=lambda item: (item[1] if item[1] == item[1] else inf, item[0]))
    )


def missed_tumours(rows: Rows) -> dict[str, bool]:
    """Each case whose reference has any region, to whether all that it has were missed: Dice 0.

    Parameters
    ----------
    rows : sequence of mapping
        As for `mean_region_dice`.
    """
    missed: dict[str, bool] = {}
    for row in rows:
        if row["kind"] == "region" and row["reference_ml"] > 0:
            missed[row["case"]] = missed.get(row["case"], True) and row["dice"] == 0
    return missed
