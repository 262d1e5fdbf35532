"""The price of missing modalities: scores of the same cases, segmented without some of them."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

from ..core.errors import InputError
from ..statistics.summary import summarise_columns, summarise_mean_over_names
from . import registry

Subset = tuple[str, ...]
Row = dict[str, Any]

_KEY = "evaluate.missing_modalities"


def subsets(asked: Literal["all"] | Sequence[Subset], modalities: Sequence[str]) -> list[Subset]:
    """Sets of modalities to leave out, each once and in the order of the channels.

    Parameters
    ----------
    asked : "all" or sequence of tuple of str
        The value of ``evaluate.missing_modalities``; "all" for every set that leaves a modality,
        the smaller ones first.
    modalities : sequence of str
        Those of the network.

    Raises
    ------
    InputError
        If a set is empty, names a modality that the network does not have, or leaves none.
    """
    if asked == "all":
        counts = range(1, len(modalities))
        return [subset for count in counts for subset in combinations(modalities, count)]
    for subset in asked:
        foreign = [name for name in subset if name not in modalities]
        if foreign:
            raise InputError(
                f"params.yaml: {_KEY}: {', '.join(foreign)}: is no modality of the network, which"
                f" takes {', '.join(modalities)}. Name those."
            )
        if not subset or set(subset) == set(modalities):
            raise InputError(
                f"params.yaml: {_KEY}: {list(subset)} must name some of"
                f" {', '.join(modalities)}, and not all of them."
            )
    ordered = (tuple(name for name in modalities if name in subset) for subset in asked)
    return list(dict.fromkeys(ordered))


def named(subset: Subset) -> str:
    """The text that names a subset in tables, such as ``t1n t1c``."""
    return " ".join(subset)


def price_rows(subset: Subset, without: Sequence[Row], whole: Sequence[Row]) -> list[Row]:
    """Rows of the table "missing_modalities" for one case.

    Parameters
    ----------
    subset : tuple of str
        The modalities that were left out.
    without, whole : sequence of dict
        Rows of the table "cases" of the case, by `pipeline.metrics.case_scores.score_case`, without
        these modalities and with all of them.

    Returns
    -------
    list of dict
        One row per region: ``missing``, ``name``, ``dice``, ``hd95_mm``, ``dice_difference`` (Dice
        minus that with all modalities, NaN where either is undefined) and ``filled``.
    """
    before = {row["name"]: row for row in whole if row["kind"] == "region"}
    return [
        {
            "missing": named(subset),
            "name": row["name"],
            "dice": row["dice"],
            "hd95_mm": row["hd95_mm"],
            "dice_difference": row["dice"] - before[row["name"]]["dice"],
            "filled": row["filled"],
        }
        for row in without
        if row["kind"] == "region"
    ]


def summarise_prices(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Summarise the table "missing_modalities", with ``case`` and ``patient`` in its rows.

    Returns
    -------
    dict
        Subset, as in the column ``missing``, to ``region`` (name to column to
        `pipeline.statistics.summary.summarise_values`), and ``mean_region_dice`` and
        ``mean_region_dice_difference``, both of
        `pipeline.statistics.summary.summarise_mean_over_names`: means over regions, with intervals
        over cases. The differences are paired: a case counts where it has both scores.
    """
    by_subset: dict[str, list[Row]] = {}
    for row in rows:
        by_subset.setdefault(row["missing"], []).append(row)
    return {missing: _summary(own) for missing, own in by_subset.items()}


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    fills = {metric.name: metric.empty for metric in registry.TABLES["cases"]}
    numbers = [{key: value for key, value in row.items() if key != "missing"} for row in rows]
    region = summarise_columns(numbers, fills)
    means = {
        f"mean_region_{column}": summarise_mean_over_names(
            rows, column, [columns[column] for columns in region.values()]
        )
        for column in ("dice", "dice_difference")
    }
    return means | {"region": region}
