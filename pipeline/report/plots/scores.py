"""The scores of every case, region by region and label by label, each case a dot."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...core.schema import Schema
from .drawing import FAINT, INK, RULE, Files, Style, blank, dots, drawn, jitter, style
from .palette import label_colours, region_colours

FEWEST_FOR_A_BOX = 5
"""Quartiles and densities of fewer values say less than the values."""

_DOTS_WIDTH, _VIOLIN_WIDTH, _BOX_WIDTH = 0.42, 0.86, 0.2


@style()
def score_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw Dice and HD95 of all cases: a dot per case, and from five cases on a violin and a box.

    The box spans the quartiles, its line is the median, its whiskers reach to the farthest value
    within 1.5 times the distance of the quartiles (Tukey, "Exploratory Data Analysis", 1977). The
    violin is a Gaussian kernel density with Scott's bandwidth, on the scale of the axis, ending at
    the extremes (Hintze and Nelson, "Violin plots", American Statistician 52(2), 1998).

    Parameters
    ----------
    rows : sequence of dict
        As `pipeline.metrics.case_scores.score_case` gives them, of all cases. A dot is hollow where
        ``filled`` says that the empty rule decided the scores; undefined scores have no dot and are
        counted under the name.
    """
    figure = blank(11, 4.4)
    dice, distance = figure.subplots(1, 2)
    dice.set(ylim=(-0.03, 1.03), ylabel="Dice (0 to 1)")
    dice.set_title("Dice: 1 is perfect")
    _draw(dice, rows, "dice", schema)
    distance.set_yscale("symlog", linthresh=1, linscale=0.5)
    ticks = [0, 1, 3, 10, 30, 100, 300]
    distance.set_yticks(ticks, map(str, ticks), minor=False)
    distance.set_yticks([], minor=True)
    far = [1.3 * row["hd95_mm"] for row in rows if row["hd95_mm"] == row["hd95_mm"]]
    distance.set(ylim=(-0.1, max([500, *far])), ylabel="HD95 (mm, logarithmic above 1)")
    distance.set_title("Hausdorff distance (95 %): 0 is perfect")
    _draw(distance, rows, "hd95_mm", schema)
    kinds = ((False, "a case"), (True, "a case with an empty mask, scored by rule"))
    marks = [Line2D([], [], **_mark(FAINT, hollow, 6), label=name) for hollow, name in kinds]
    figure.tight_layout(w_pad=2.5, rect=(0, 0.06, 1, 1))
    figure.legend(handles=marks, loc="lower center", ncols=2)
    return drawn(figure, dpi)


def _draw(axes: Axes, rows: Sequence[dict[str, Any]], metric: str, schema: Schema) -> None:
    regions, labels = region_colours(schema), label_colours(schema)
    targets = [
        (kind, *target)
        for kind, colours in (("region", regions), ("label", labels))
        for target in colours.items()
    ]
    # a gap between the kinds
    places = [place + 0.6 * (kind == "label") for place, (kind, _, _) in enumerate(targets)]
    names = []
    for place, (kind, name, colour) in zip(places, targets, strict=True):
        own = [row for row in rows if (row["kind"], row["name"]) == (kind, name)]
        own = [row for row in own if row[metric] == row[metric]]
        own.sort(key=lambda row: (row[metric], row["case"]))
        names.append(f"{name}\nn = {len(own)}")
        values = np.array([row[metric] for row in own])
        if len(own) >= FEWEST_FOR_A_BOX:
            _violin(axes, place, values, colour)
            _box(axes, place, values)
        _dots(axes, place, values, np.array([bool(row["filled"]) for row in own], bool), colour)
    axes.axvline(len(regions) - 0.2, color=RULE, linewidth=1)
    axes.set_xticks(places, names)
    axes.set_xlim(-0.6, places[-1] + 0.6)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)


def _violin(axes: Axes, place: float, values: np.ndarray, colour: str) -> None:
    scale = axes.yaxis.get_transform()
    scaled = scale.transform(values)
    if np.ptp(scaled) == 0:
        return
    heights = np.linspace(scaled.min(), scaled.max(), 101)
    from scipy.stats import gaussian_kde  # takes a second to import

    density = gaussian_kde(scaled)(heights)
    half = density / density.max() * _VIOLIN_WIDTH / 2
    back = scale.inverted().transform(heights)
    axes.fill_betweenx(back, place - half, place + half, color=colour, alpha=0.18, linewidth=0)


def _box(axes: Axes, place: float, values: np.ndarray) -> None:
    axes.boxplot(
        [values],
        positions=[place],
        widths=_BOX_WIDTH,
        showfliers=False,
        showcaps=False,
        patch_artist=True,
        manage_ticks=False,
        zorder=4,
        boxprops={"facecolor": "white", "alpha": 0.85, "edgecolor": INK, "linewidth": 1},
        medianprops={"color": INK, "linewidth": 2.2},
        whiskerprops={"color": INK},
    )


def _dots(axes: Axes, place: float, values: np.ndarray, filled: np.ndarray, colour: str) -> None:
    across = place + jitter(len(values), _DOTS_WIDTH)
    size = 6 if len(values) <= 40 else 3.6
    for hollow in set(filled.tolist()):
        own = filled == hollow
        axes.plot(across[own], values[own], **_mark(colour, hollow, size))


def _mark(colour: str, hollow: bool, size: float) -> Style:
    face = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 0.23 * size}
    solid = dots(colour, size, 0.1 * size)
    return solid | (face if hollow else {}) | {"zorder": 3, "clip_on": False}
