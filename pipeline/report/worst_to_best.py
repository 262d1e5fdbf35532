"""Which cases to look at: from the worst to the best."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.case_means import mean_region_dice
from ..core.errors import InputError


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
