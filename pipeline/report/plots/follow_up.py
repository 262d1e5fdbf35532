"""Pictures of a follow-up: lesions with their measured diameters, and trends over visits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke

from .drawing import DARK, DASHED, INK, LIGHT, Files, Style, blank, dots, drawn, png, style
from .overlays import letters, outlines
from .planes import Plane

LONG, SHORT, OUTLINE, HOLE = "#F0E442", "#56B4E9", "#FFFFFF", "#E69F00"
"""Colours of the longest diameter, of that perpendicular to it, of the lesion and of a cavity."""
SCALE_MM = 20
_LESIONS = ("#CC79A7", "#56B4E9", "#E69F00")  # three target lesions at most
_WORSE, _BETTER = "#B4472B", "#2C7A59"
_PANEL_IN = 2.6


@dataclass(frozen=True, eq=False)
class Cut:
    """A slice with a measured lesion, upright.

    Attributes
    ----------
    grey : (height, width) uint8 array
    lesion, cavity : (height, width) bool array
    size_mm : tuple of 2 floats
        Width and height.
    ends_mm : (2, 2, 2) float64 array
        Of both diameters the two ends, each x from the left and y from the bottom.
    plane : Plane
        With the sides of the patient.
    """

    grey: np.ndarray
    lesion: np.ndarray
    cavity: np.ndarray
    size_mm: tuple[float, float]
    ends_mm: np.ndarray
    plane: Plane


@style()
def measured_slice(cut: Cut, side_mm: float, dpi: int) -> bytes:
    """Draw a square part of a slice around a lesion, its outline, and its two diameters, as a PNG
    file; the bar is 20 mm long.
    """
    figure = blank(_PANEL_IN, _PANEL_IN, DARK)
    axes = figure.add_axes((0, 0, 1, 1))
    width, height = cut.size_mm
    box = (0, width, 0, height)
    axes.set_facecolor(DARK)
    axes.imshow(cut.grey, cmap="gray", vmin=0, vmax=255, extent=box, interpolation="bilinear")
    outlines(axes, cut.lesion[..., None], box, (OUTLINE,), "solid")
    outlines(axes, cut.cavity[..., None], box, (HOLE,), "dashed")
    for ends, colour in zip(cut.ends_mm, (LONG, SHORT), strict=True):
        axes.plot(*ends.T, color=colour, linewidth=1.6, path_effects=_halo())
    middle = cut.ends_mm[0].mean(axis=0)
    for limits, centre in ((axes.set_xlim, middle[0]), (axes.set_ylim, middle[1])):
        limits(centre - side_mm / 2, centre + side_mm / 2)
    letters(axes, cut.plane)
    _scale(axes, side_mm)
    axes.set_axis_off()
    return png(figure, dpi)


def _halo() -> list:
    return [Stroke(linewidth=2.6, foreground=DARK), Normal()]


def _scale(axes: Axes, side_mm: float) -> None:
    """A bar of `SCALE_MM` at the lower right."""
    end = 0.96
    line: Style = {"color": LIGHT, "linewidth": 2, "transform": axes.transAxes}
    axes.plot([end - SCALE_MM / side_mm, end], [0.05, 0.05], path_effects=_halo(), **line)


@dataclass(frozen=True)
class Trend:
    """A quantity over visits.

    Attributes
    ----------
    label : str
        Name and unit.
    places : sequence of float
        Days, or numbers of visits where days are unknown.
    axis : str
        What they are.
    total : sequence of float
        Over all target lesions; NaN where they could not be matched.
    lesions : mapping of str to sequence of float
        Of each target lesion.
    categories : sequence of str
        Of every visit.
    progression : sequence of float or None
        From which value on a visit is progression; None up to the baseline.
    response : float or None
        Up to which value a visit is a partial response.
    """

    label: str
    places: Sequence[float]
    axis: str
    total: Sequence[float]
    lesions: Mapping[str, Sequence[float]]
    categories: Sequence[str]
    progression: Sequence[float | None]
    response: float | None


@style()
def trend_plot(trend: Trend, dpi: int) -> Files:
    """Draw a quantity over visits, with the category of each above it, marks where progression and
    a line where partial response begins, and thin lines of single lesions if there are several.
    """
    figure = blank(5.6, 3.3)
    axes = figure.add_subplot()
    if len(trend.lesions) > 1:
        for (name, values), colour in zip(trend.lesions.items(), _LESIONS, strict=False):
            axes.plot(trend.places, values, color=colour, linewidth=1.1, label=name)
    axes.plot(trend.places, trend.total, color=INK, linewidth=2, label="sum of targets")
    axes.plot(trend.places, trend.total, **dots(INK, 7, 1))
    _limits(axes, trend)
    known = np.nan_to_num(trend.total).tolist()
    for place, value, category in zip(trend.places, known, trend.categories, strict=True):
        words: Style = {"ha": "center", "fontsize": 9, "fontweight": "bold", "color": INK}
        axes.annotate(category, (place, value), (0, 9), textcoords="offset points", **words)
    axes.set_ylim(0, 1.22 * max([*known, *filter(None, trend.progression), 1e-3]))
    axes.margins(x=0.08)
    axes.set_xticks(trend.places, [f"{place:g}" for place in trend.places])
    axes.set_xlabel(trend.axis)
    axes.set_title(trend.label)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, handlelength=1.6)
    figure.tight_layout()
    return drawn(figure, dpi)


def _limits(axes: Axes, trend: Trend) -> None:
    """Where progression and partial response begin."""
    marks = [
        (place, limit)
        for place, limit in zip(trend.places, trend.progression, strict=True)
        if limit is not None
    ]
    if marks:
        mark: Style = {"linestyle": "", "marker": "_", "markersize": 16, "markeredgewidth": 2}
        axes.plot(*zip(*marks, strict=True), color=_WORSE, label="PD from here", **mark)
    if trend.response is not None:
        line: Style = {"linewidth": 1, "linestyle": DASHED, "label": "PR up to here"}
        axes.axhline(trend.response, color=_BETTER, **line)
