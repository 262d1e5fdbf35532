"""Reliability of the probabilities, and how well the uncertainty finds the errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...core.schema import Schema
from .drawing import DASHED, FAINT, INK, RULE, Files, Style, blank, dots, drawn, jitter, style
from .palette import region_colours

_FEWEST_FOR_A_MEDIAN = 5


@style()
def reliability_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw the observed share of a region against its predicted probability, and how many voxels
    have such a probability.

    On the diagonal, probabilities are calibrated; below it the network is overconfident. DeGroot
    and Fienberg, "The comparison and evaluation of forecasters", The Statistician 32 (1983); Guo et
    al., "On calibration of modern neural networks", ICML (2017), section 2.

    Parameters
    ----------
    rows : sequence of dict
        One per region and bin: ``name``, ``low``, ``high``, ``voxels``, ``mean_probability``,
        ``share_positive``; the last two NaN for an empty bin.
    """
    figure = blank(11, 4.2)
    curve, counts = figure.subplots(1, 2)
    diagonal: Style = {"linestyle": DASHED, "label": "perfectly calibrated"}
    curve.plot([0, 1], [0, 1], color=FAINT, linewidth=1, **diagonal)
    for region, colour in region_colours(schema).items():
        own = [row for row in rows if row["name"] == region and row["voxels"]]
        own.sort(key=lambda row: row["low"])
        low, high, probability, share, voxels = (
            [row[name] for row in own]
            for name in ("low", "high", "mean_probability", "share_positive", "voxels")
        )
        if own:
            line: Style = {"color": colour, "markersize": 5, "linewidth": 1.8, "label": region}
            curve.plot(probability, share, "o-", **line)
            step: Style = {"color": colour, "linewidth": 3, "solid_capstyle": "butt"}
            counts.plot([low, high], [voxels, voxels], **step)  # a line per bin
    limits, axis = (-0.02, 1.02), "predicted probability"
    curve.set(xlim=limits, ylim=limits, xlabel=axis, ylabel="share of voxels in the region")
    curve.set_title("Reliability: the diagonal is perfect")
    curve.legend(loc="upper left")
    counts.set(xlim=limits, xlabel=axis, ylabel="voxels (logarithmic)", yscale="log")
    counts.set_title("How many voxels")
    figure.tight_layout(w_pad=2.5)
    return drawn(figure, dpi)


@style()
def uncertainty_plot(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw, for every region and case, where its area under the risk-coverage curve lies between
    the best and chance.

    The risk-coverage curve gives the share of wrong voxels among those kept when the most uncertain
    are set aside (Geifman and El-Yaniv, "Selective classification for deep neural networks",
    NeurIPS 2017). Here 0 is an uncertainty that ranks every error above every right voxel, 1 one
    that knows nothing, more than 1 one that misleads: (AURC - oracle) / (chance - oracle).

    Parameters
    ----------
    rows : sequence of dict
        One per case and region: ``case``, ``name``, ``aurc``, ``aurc_random``, ``aurc_oracle``, NaN
        where undefined.
    """
    colours = region_colours(schema)
    relative = {region: _relative(rows, region) for region in colours}
    figure = blank(11, 1.3 + 0.55 * len(colours))
    axes = figure.subplots()
    for place, (region, colour) in enumerate(colours.items()):
        _strip(axes, place, relative[region], colour)
    axes.axvline(0, color=INK, linewidth=1.2)
    axes.axvline(1, color=INK, linewidth=1.2, linestyle=DASHED)
    names = [f"{region}, n = {len(values)}" for region, values in relative.items()]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-0.05, max([1.1, *(1.05 * value for own in relative.values() for value in own)]))
    axes.set_xticks([0, 0.5, 1], ["0\nfinds every error first", "0.5", "1\nno better than chance"])
    axes.set_title("Does uncertainty tell where the errors are? Area under the risk-coverage curve")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout()
    return drawn(figure, dpi)


def _relative(rows: Sequence[dict[str, Any]], region: str) -> list[float]:
    """One value per case with a defined curve, ascending."""
    own = [row for row in rows if row["name"] == region and row["aurc"] == row["aurc"]]
    return sorted(
        (row["aurc"] - row["aurc_oracle"]) / (row["aurc_random"] - row["aurc_oracle"])
        for row in own
        if row["aurc_random"] > row["aurc_oracle"]
    )


def _strip(axes: Axes, place: int, values: list[float], colour: str) -> None:
    axes.axhline(place, color=RULE, linewidth=0.6)
    axes.plot(values, place + jitter(len(values), 0.5), **dots(colour, 5), zorder=3)
    if len(values) >= _FEWEST_FOR_A_MEDIAN:
        ends = [place - 0.34, place + 0.34]
        axes.plot([np.median(values)] * 2, ends, color=INK, linewidth=2.4, zorder=4)
