"""Confusion matrices: of voxels by class, and of cases by tumour type."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from ...core.schema import Schema
from ...metrics.tumour_types import NONE
from .drawing import INK, blank, drawn, style

Names = tuple[list[str], list[str]]
"""Of the rows and of the columns."""

_CELL_IN = 1.05


def confusion_plot(rows: Sequence[dict[str, Any]], dpi: int) -> tuple[bytes, bytes]:
    """Draw the voxels of each class of the reference by predicted class.

    Parameters
    ----------
    rows : sequence of dict
        ``reference`` and ``prediction``, names of classes, and ``voxels``; every pair of classes
        once.
    dpi : int
        Pixels per inch.

    Returns
    -------
    tuple of bytes
        A PNG file and an SVG file. Cells hold the share of their row, which colours them, and the
        voxels.
    """
    names = list(dict.fromkeys(row["reference"] for row in rows))
    counts = matrix(rows, (names, names), ("reference", "prediction"), "voxels")
    return _drawn((names, names), counts, ("prediction", "reference"), dpi)


def types_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> tuple[bytes, bytes]:
    """Draw the cases, or the patients, of each tumour type by the predicted type.

    Parameters
    ----------
    rows : sequence of dict
        One each: ``reference`` and ``predicted``; those whose reference has no type are left out.
    schema : Schema
        Its labels are the types.
    dpi : int
        Pixels per inch.

    Returns
    -------
    tuple of bytes
        A PNG file and an SVG file. A column for no type is there where one was so predicted.
    """
    known = [row | {"cases": 1} for row in rows if row["reference"] != NONE]
    predicted = [
        *schema.labels,
        *([NONE] if any(row["predicted"] == NONE for row in known) else []),
    ]
    counts = matrix(known, (list(schema.labels), predicted), ("reference", "predicted"), "cases")
    return _drawn(
        (list(schema.labels), predicted), counts, ("predicted type", "type in the reference"), dpi
    )


def matrix(
    rows: Sequence[dict[str, Any]], names: Names, columns: tuple[str, str], count: str
) -> np.ndarray:
    """Sums of a count by two columns: (R, P) float, in the order of the names."""
    counts = np.zeros((len(names[0]), len(names[1])))
    for row in rows:
        counts[names[0].index(row[columns[0]]), names[1].index(row[columns[1]])] += row[count]
    return counts


def _drawn(
    names: Names, counts: np.ndarray, axis_names: tuple[str, str], dpi: int
) -> tuple[bytes, bytes]:
    with style():
        figure = blank(2.4 + _CELL_IN * len(names[1]), 1.1 + 0.7 * len(names[0]))
        _matrix(figure.subplots(), names, counts, axis_names)
        figure.tight_layout()
        return drawn(figure, dpi)


def _matrix(axes: Axes, names: Names, counts: np.ndarray, axis_names: tuple[str, str]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    axes.imshow(shares, cmap=colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else INK
        text = f"{100 * share:.1f} %" if totals[row] else "–"
        axes.text(column, row - 0.12, text, ha="center", va="center", color=colour, fontsize=10)
        axes.text(
            column,
            row + 0.2,
            f"{counts[row, column]:,.0f}",
            ha="center",
            va="center",
            color=colour,
            fontsize=7.5,
        )
    axes.set_xticks(range(len(names[1])), names[1])
    axes.set_yticks(range(len(names[0])), names[0])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
