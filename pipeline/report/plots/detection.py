"""Sensitivity and false positives of the detection of lesions, by size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...core.schema import Schema
from .drawing import blank, drawn, style
from .palette import region_colours

ALL = "all"
"""The size of a reading that counts lesions of any size."""

_SPREAD = 0.7


def detection_plot(
    readings: Sequence[dict[str, Any]], schema: Schema, dpi: int
) -> tuple[bytes, bytes]:
    """Draw sensitivity and false positives per case over sizes, side by side.

    Parameters
    ----------
    readings : sequence of dict
        As `pipeline.metrics.detection.detection` gives them.
    schema : Schema
        Names the regions.
    dpi : int
        Pixels per inch of a picture 11 inches wide.

    Returns
    -------
    tuple of bytes
        A PNG file and an SVG file. Whiskers are 95 % intervals; sizes without a lesion have no
        mark.
    """
    sizes = list(dict.fromkeys(reading["size"] for reading in readings))
    with style():
        figure = blank(11, 3.8)
        found, false = figure.subplots(1, 2)
        width = _SPREAD / len(schema.regions)
        for number, (region, colour) in enumerate(region_colours(schema).items()):
            own = {reading["size"]: reading for reading in readings if reading["name"] == region}
            offset = (number - (len(schema.regions) - 1) / 2) * width
            _sensitivity(found, [own[size] for size in sizes], offset, region, colour)
            false.bar(
                np.arange(len(sizes)) + offset,
                [own[size]["false_positives_per_case"] for size in sizes],
                0.9 * width,
                color=colour,
            )
        found.set(ylim=(-0.03, 1.03), ylabel="sensitivity (0 to 1)")
        found.set_title("Lesions found")
        found.legend(loc="lower right")
        false.set_ylabel("false positives in a case")
        false.set_ylim(
            0, max([0.1, *(1.1 * reading["false_positives_per_case"] for reading in readings)])
        )
        false.set_title("False lesions")
        for axes in (found, false):
            _sizes(axes, sizes)
        figure.tight_layout(w_pad=2.5)
        return drawn(figure, dpi)


def _sensitivity(
    axes: Axes, own: list[dict[str, Any]], offset: float, region: str, colour: str
) -> None:
    marked = [(place, reading) for place, reading in enumerate(own) if reading["lesions"]]
    places = [place + offset for place, _ in marked]
    for place, (_, reading) in zip(places, marked, strict=True):
        axes.plot(
            [place] * 2,
            [reading["sensitivity_low"], reading["sensitivity_high"]],
            color=colour,
            linewidth=1.8,
            alpha=0.7,
        )
    shares = [reading["sensitivity"] for _, reading in marked]
    axes.plot(
        places,
        shares,
        "o",
        color=colour,
        markersize=7,
        markeredgecolor="white",
        markeredgewidth=0.8,
        label=region,
    )


def _sizes(axes: Axes, sizes: list[str]) -> None:
    axes.set_xticks(
        range(len(sizes)),
        ["all sizes" if size == ALL else size.replace(" to ", " to\n") for size in sizes],
    )
    axes.set_xlim(-0.6, len(sizes) - 0.4)
    axes.axvline(0.5, color="#c4c9d0", linewidth=1)
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", length=0)
