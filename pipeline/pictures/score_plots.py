"""The scores of every case, region by region and label by label, each case a dot."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pipeline.domain.schema import Schema
from pipeline.pictures.drawing import FAINT, INK, blank, png, style
from pipeline.pictures.palette import label_colours, region_colours

_GOLDEN = 0.6180339887498949
_DOTS_WIDTH = 0.36


def score_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> bytes:
    """Draw Dice and HD95 of all cases: a box over quartiles and median, whiskers to 1.5 times their distance, a dot per case.

    Parameters
    ----------
    rows : sequence of dict
        As `pipeline.domain.scores.score_case` gives them, of all cases. A dot is hollow where ``filled`` says that
        the empty rule decided the scores; undefined scores have no dot and are counted under the name.
    schema : Schema
        Names regions and labels.
    dpi : int
        Pixels per inch of a picture 11 inches wide.

    Returns
    -------
    bytes
        A PNG file.
    """
    with style():
        figure = blank(11, 4.1)
        dice, distance = figure.subplots(1, 2)
        _draw(dice, rows, "dice", schema)
        dice.set_ylim(-0.03, 1.03)
        dice.set_title("Dice: 1 is perfect")
        dice.set_ylabel("Dice (0 to 1)")
        _draw(distance, rows, "hd95_mm", schema)
        distance.set_yscale("symlog", linthresh=1, linscale=0.5)
        distance.set_yticks([0, 1, 3, 10, 30, 100, 300], ["0", "1", "3", "10", "30", "100", "300"], minor=False)
        distance.set_yticks([], minor=True)
        distance.set_ylim(-0.1, max([500, *(1.3 * row["hd95_mm"] for row in rows if row["hd95_mm"] == row["hd95_mm"])]))
        distance.set_title("Hausdorff distance (95 %): 0 is perfect")
        distance.set_ylabel("HD95 (mm, logarithmic above 1)")
        kinds = ((False, "a case"), (True, "a case with an empty mask, scored by rule"))
        marks = [Line2D([], [], **_mark(FAINT, hollow), linestyle="", label=name) for hollow, name in kinds]
        figure.tight_layout(w_pad=2.5, rect=(0, 0.06, 1, 1))
        figure.legend(handles=marks, loc="lower center", ncols=2)
        return png(figure, dpi)


def _draw(axes: Axes, rows: Sequence[dict[str, Any]], metric: str, schema: Schema) -> None:
    regions, labels = region_colours(schema), label_colours(schema)
    targets = [*(("region", *item) for item in regions.items()), *(("label", *item) for item in labels.items())]
    places = [place + (0.6 if kind == "label" else 0) for place, (kind, _, _) in enumerate(targets)]  # a gap between the kinds
    names = []
    for place, (kind, name, colour) in zip(places, targets, strict=True):
        own = [row for row in rows if (row["kind"], row["name"]) == (kind, name) and row[metric] == row[metric]]
        own.sort(key=lambda row: (row[metric], row["case"]))
        names.append(f"{name}\nn = {len(own)}")
        if own:
            _column(axes, place, [row[metric] for row in own], [bool(row["filled"]) for row in own], colour)
    axes.axvline(len(regions) - 0.2, color="#c4c9d0", linewidth=1)
    axes.set_xticks(places, names)
    axes.set_xlim(-0.6, places[-1] + 0.6)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)


def _column(axes: Axes, place: float, values: list[float], filled: list[bool], colour: str) -> None:
    axes.boxplot(
        [values], positions=[place], widths=0.62, showfliers=False, patch_artist=True, manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.28, "edgecolor": colour}, medianprops={"color": INK, "linewidth": 1.6},
        whiskerprops={"color": colour}, capprops={"color": colour},
    )  # fmt: skip
    across = (np.arange(len(values)) * _GOLDEN % 1 - 0.5) * _DOTS_WIDTH * (len(values) > 1)  # neighbours in value far apart
    for x, value, hollow in zip(place + across, values, filled, strict=True):
        axes.plot(x, value, **_mark(colour, hollow))


def _mark(colour: str, hollow: bool) -> dict[str, Any]:
    face = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.4}
    solid = {"markerfacecolor": colour, "markeredgecolor": "white", "markeredgewidth": 0.6}
    return {"marker": "o", "markersize": 6, "zorder": 3, "clip_on": False, **(face if hollow else solid)}
