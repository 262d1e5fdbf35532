"""Sensitivity and false positives of the detection of lesions, by size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...core.schema import Schema
from .drawing import RULE, Files, blank, dots, drawn, style
from .palette import region_colours

ALL = "all"
"""The size of a reading that counts lesions of any size."""

_SPREAD = 0.7


@style()
def detection_plot(readings: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw sensitivity, with 95 % intervals, and false positives per case over sizes, side by side;
    sizes without a lesion have no mark.

    Parameters
    ----------
    readings : sequence of dict
        As `pipeline.metrics.detection.detection` gives them.
    """
    sizes = list(dict.fromkeys(reading["size"] for reading in readings))
    figure = blank(11, 3.8)
    found, false = figure.subplots(1, 2)
    width = _SPREAD / len(schema.regions)
    for number, (region, colour) in enumerate(region_colours(schema).items()):
        by_size = {reading["size"]: reading for reading in readings if reading["name"] == region}
        own = [by_size[size] for size in sizes]
        places = np.arange(len(sizes)) + (number - (len(schema.regions) - 1) / 2) * width
        _sensitivity(found, own, places, region, colour)
        heights = [reading["false_positives_per_case"] for reading in own]
        false.bar(places, heights, 0.9 * width, color=colour)
    found.set(ylim=(-0.03, 1.03), ylabel="sensitivity (0 to 1)")
    found.set_title("Lesions found")
    found.legend(loc="lower right")
    most = max([0.1, *(1.1 * reading["false_positives_per_case"] for reading in readings)])
    false.set(ylim=(0, most), ylabel="false positives in a case")
    false.set_title("False lesions")
    for axes in (found, false):
        _sizes(axes, sizes)
    figure.tight_layout(w_pad=2.5)
    return drawn(figure, dpi)


def _sensitivity(
    axes: Axes, own: list[dict[str, Any]], places: np.ndarray, region: str, colour: str
) -> None:
    marked = [number for number, reading in enumerate(own) if reading["lesions"]]
    low, high, shares = (
        [own[number][f"sensitivity{end}"] for number in marked] for end in ("_low", "_high", "")
    )
    axes.plot([places[marked]] * 2, [low, high], color=colour, linewidth=1.8, alpha=0.7)
    axes.plot(places[marked], shares, **dots(colour, 7, 0.8), label=region)


def _sizes(axes: Axes, sizes: list[str]) -> None:
    names = ["all sizes" if size == ALL else size.replace(" to ", " to\n") for size in sizes]
    axes.set_xticks(range(len(sizes)), names)
    axes.set_xlim(-0.6, len(sizes) - 0.4)
    axes.axvline(0.5, color=RULE, linewidth=1)
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", length=0)
