"""Mean, median and standard deviation over cases, with their intervals and counts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import nan
from types import MappingProxyType
from typing import Any

import numpy as np

from . import bootstrap

Rows = Sequence[Mapping[str, Any]]
Summary = dict[str, float | int]
_KEYS = ("case", "patient", "kind", "name", "filled")


def summarise_columns(
    rows: Rows, fills: Mapping[str, Collection[str]] = MappingProxyType({})
) -> dict[str, dict[str, Summary]]:
    """Summarise a table, name by name in the order of first appearance, and column by column.

    Parameters
    ----------
    rows : sequence of dict
        ``patient``, ``name``, perhaps ``filled``, and columns of numbers.
    fills : mapping of str to collection of str, optional
        Column to the entries of ``filled`` with which a rule gave its value.
    """
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    return {
        name: {
            column: summarise_values(
                [row[column] for row in own],
                [row["patient"] for row in own],
                [row.get("filled", "") in fills.get(column, ()) for row in own],
            )
            for column in own[0]
            if column not in _KEYS
        }
        for name, own in by_name.items()
    }


def summarise_values(
    values: Sequence[float], patients: Sequence[str], filled: Sequence[bool] = ()
) -> Summary:
    """Summarise one metric over cases.

    Parameters
    ----------
    values : sequence of float
        One per case, NaN where undefined.
    patients : sequence of str
        Of each case: where a patient has several, patients are resampled.
    filled : sequence of bool
        Whether the empty rule gave the value; empty for a metric without such a rule.

    Returns
    -------
    dict
        ``mean``, ``median``, ``sd`` (n - 1 in the denominator) over the defined values, NaN where
        there are too few; ``mean_low``, ``mean_high``, ``median_low``, ``median_high``, their 95 %
        intervals (`pipeline.statistics.bootstrap`); ``cases``, the number of defined values;
        ``filled``, how many of them the empty rule gave; ``undefined``, the cases left out because
        their value is NaN.
    """
    defined = np.array([value for value in values if value == value])
    summary: Summary = {}
    statistics: dict[bootstrap.Statistic, Callable] = {"mean": np.mean, "median": np.median}
    for name, statistic in statistics.items():
        summary[name] = _if_enough(statistic, defined, 1)
        ends = bootstrap.interval(values, name, clusters=patients)
        summary[f"{name}_low"], summary[f"{name}_high"] = ends
    return summary | {
        "sd": _if_enough(lambda sample: np.std(sample, ddof=1), defined, 2),
        "cases": len(defined),
        "filled": sum(filled),
        "undefined": len(values) - len(defined),
    }


def summarise_mean_over_names(rows: Rows, column: str, summaries: Sequence[Summary]) -> Summary:
    """Summarise the mean over names, such as regions, of the mean of a column over cases, given
    `summarise_values` of the column for each name.

    Returns
    -------
    dict
        ``value`` with the ends ``low`` and ``high`` of its interval; ``regions``, the number of
        names with a mean (a name undefined in every case is left out); and ``cases``, ``filled``,
        ``undefined``, sums over the names.
    """
    means = np.array([summary["mean"] for summary in summaries if summary["cases"]])
    patients = {row["case"]: row["patient"] for row in rows}
    names = list(dict.fromkeys(row["name"] for row in rows))
    values = {(row["case"], row["name"]): row[column] for row in rows}
    table = np.array([[values[case, name] for name in names] for case in patients])
    low, high = bootstrap.interval_of_means(
        table.reshape(len(patients), len(names)), clusters=list(patients.values())
    )
    totals = {
        key: sum(summary[key] for summary in summaries) for key in ("cases", "filled", "undefined")
    }
    return {
        "value": _if_enough(np.mean, means, 1),
        "low": low,
        "high": high,
        "regions": len(means),
        **totals,
    }


def _if_enough(statistic: Callable[[np.ndarray], Any], sample: np.ndarray, least: int) -> float:
    return float(statistic(sample)) if len(sample) >= least else nan
