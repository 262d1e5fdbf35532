"""Confusion matrices: of voxels by class, and of cases by tumour type."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps

from ...core.schema import Schema
from ...metrics.tumour_types import NONE
from .drawing import INK, Files, Style, blank, drawn, style

Names = tuple[list[str], list[str]]
"""Of the rows and of the columns."""

_CELL_IN = 1.05


def confusion_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw the voxels of each class of the reference by predicted class. Cells hold the share of
    their row, which colours them, and the voxels.

    Parameters
    ----------
    rows : sequence of dict
        ``reference`` and ``prediction``, names of classes, and ``voxels``; every pair of classes
        once.
    """
    names = ["background", *schema.labels]
    counts = matrix(rows, (names, names), ("reference", "prediction"), "voxels")
    return _drawn((names, names), counts, ("prediction", "reference"), dpi)


def types_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw the cases, or the patients, of each tumour type by the predicted type. A column for no
    type is there where one was so predicted.

    Parameters
    ----------
    rows : sequence of dict
        One each: ``reference`` and ``predicted``; those whose reference has no type are left out.
    """
    known = [row | {"cases": 1} for row in rows if row["reference"] != NONE]
    types = list(schema.labels)
    names = types, [*types, *{row["predicted"] for row in known if row["predicted"] == NONE}]
    counts = matrix(known, names, ("reference", "predicted"), "cases")
    return _drawn(names, counts, ("predicted type", "type in the reference"), dpi)


def matrix(
    rows: Sequence[dict[str, Any]], names: Names, columns: tuple[str, str], count: str
) -> np.ndarray:
    """Sums of a count by two columns: (R, P) float, in the order of the names."""
    counts = np.zeros((len(names[0]), len(names[1])))
    for row in rows:
        counts[names[0].index(row[columns[0]]), names[1].index(row[columns[1]])] += row[count]
    return counts


@style()
def _drawn(names: Names, counts: np.ndarray, axis_names: tuple[str, str], dpi: int) -> Files:
    figure = blank(2.4 + _CELL_IN * len(names[1]), 1.1 + 0.7 * len(names[0]))
    axes = figure.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    axes.imshow(shares, cmap=colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text: Style = {"ha": "center", "va": "center", "color": "white" if share > 0.55 else INK}
        percent = f"{100 * share:.1f} %" if totals[row] else "–"
        axes.text(column, row - 0.12, percent, fontsize=10, **text)
        axes.text(column, row + 0.2, f"{counts[row, column]:,.0f}", fontsize=7.5, **text)
    axes.set_xticks(range(len(names[1])), names[1])
    axes.set_yticks(range(len(names[0])), names[0])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure.tight_layout()
    return drawn(figure, dpi)
