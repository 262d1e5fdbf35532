"""Agreement of predicted and reference volumes, and Dice against volume."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ...core.schema import Schema
from .drawing import FAINT, INK, RULE, drawn, panels, style
from .palette import region_colours

FEWEST_FOR_LIMITS = 3
_FEWEST_FOR_A_TREND = 20
_TREND_GROUPS = 8
_DECADES_WITHOUT_STEPS = 2


def volume_agreement(
    rows: Sequence[dict[str, Any]], schema: Schema, dpi: int
) -> tuple[bytes, bytes]:
    """Draw, for every region, the volume error against the mean of the two volumes.

    Lines are the mean difference (bias) and the limits of agreement, bias ± 1.96 standard
    deviations of the differences, within which 95 % of them lie if they are normal: Bland and
    Altman, "Statistical methods for assessing agreement between two methods of clinical
    measurement", Lancet 327 (1986).

    Parameters
    ----------
    rows : sequence of dict
        With ``kind``, ``name``, ``reference_ml`` and ``prediction_ml``.
    schema : Schema
        Names the regions.
    dpi : int
        Pixels per inch of a picture 11 inches wide.

    Returns
    -------
    tuple of bytes
        A PNG file and an SVG file.
    """
    with style():
        figure, axes = panels(len(schema.regions), 3.5)
        for panel, (region, colour) in zip(axes, region_colours(schema).items(), strict=True):
            _agreement(panel, _of_region(rows, region), region, colour)
        axes[0].set_ylabel("prediction minus reference (ml)")
        figure.tight_layout(w_pad=2, h_pad=2)
        return drawn(figure, dpi)


def agreement(rows: Sequence[dict[str, Any]], region: str) -> dict[str, float]:
    """Bias and limits of agreement of the volumes of a region.

    Parameters
    ----------
    rows : sequence of dict
        As for `volume_agreement`.
    region : str
        Which.

    Returns
    -------
    dict
        ``cases``; ``bias``, ``low`` and ``high`` in ml, the limits NaN for fewer than
        `FEWEST_FOR_LIMITS` cases.
    """
    own = _of_region(rows, region)
    errors = np.array([row["prediction_ml"] - row["reference_ml"] for row in own])
    spread = 1.96 * np.std(errors, ddof=1) if len(errors) >= FEWEST_FOR_LIMITS else np.nan
    bias = np.mean(errors) if len(errors) else np.nan
    return {
        "cases": len(errors),
        "bias": float(bias),
        "low": float(bias - spread),
        "high": float(bias + spread),
    }


def dice_by_volume(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> tuple[bytes, bytes]:
    """Draw, for every region, Dice against the volume of the reference, which has a logarithmic
    axis.

    Parameters
    ----------
    rows : sequence of dict
        With ``case``, ``kind``, ``name``, ``dice`` and ``reference_ml``. Cases without the region
        in the reference have no place on the axis and are counted in the title.
    schema : Schema
        Names the regions.
    dpi : int
        Pixels per inch of a picture 11 inches wide.

    Returns
    -------
    tuple of bytes
        A PNG file and an SVG file. From 20 cases on, a line joins the medians of eight groups of
        like volume.
    """
    with style():
        figure, axes = panels(len(schema.regions), 3.4)
        for panel, (region, colour) in zip(axes, region_colours(schema).items(), strict=True):
            _by_volume(panel, _of_region(rows, region), region, colour)
        axes[0].set_ylabel("Dice (0 to 1)")
        figure.tight_layout(w_pad=2, h_pad=2)
        return drawn(figure, dpi)


def _of_region(rows: Sequence[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    own = [row for row in rows if row["kind"] == "region" and row["name"] == region]
    return sorted(own, key=lambda row: row["case"])


def _agreement(axes: Axes, own: list[dict[str, Any]], region: str, colour: str) -> None:
    reference, prediction = (
        np.array([row[name] for row in own]) for name in ("reference_ml", "prediction_ml")
    )
    found = agreement(own, region)
    axes.axhline(0, color=RULE, linewidth=1)
    axes.axhline(found["bias"], color=INK, linewidth=1.6)
    for limit in ("low", "high"):
        if found[limit] == found[limit]:
            axes.axhline(found[limit], color=INK, linewidth=1.1, linestyle=(0, (5, 3)))
    _cloud(axes, (reference + prediction) / 2, prediction - reference, colour)
    limits = (
        f"limits {found['low']:+z.1f} to {found['high']:+z.1f}"
        if found["low"] == found["low"]
        else "too few cases for limits"
    )
    _title(
        axes,
        f"{region}, n = {len(own)}",
        f"bias {found['bias']:+z.1f}, {limits} ml".replace("-", "−"),
    )
    axes.set_xlabel("mean of both volumes (ml)")
    reach = 1.15 * max(
        [
            1e-3,
            *np.abs(prediction - reference),
            *(abs(found[name]) for name in ("low", "high") if found[name] == found[name]),
        ]
    )
    axes.set_ylim(-reach, reach)
    axes.set_xlim(left=0)
    axes.margins(x=0.05)


def _by_volume(axes: Axes, own: list[dict[str, Any]], region: str, colour: str) -> None:
    shown = [row for row in own if row["reference_ml"] > 0 and row["dice"] == row["dice"]]
    volumes, dice = (np.array([row[name] for row in shown]) for name in ("reference_ml", "dice"))
    _cloud(axes, volumes, dice, colour)
    if len(shown) >= _FEWEST_FOR_A_TREND:
        groups = np.array_split(np.argsort(volumes, kind="stable"), _TREND_GROUPS)
        axes.plot(
            [np.median(volumes[group]) for group in groups],
            [np.median(dice[group]) for group in groups],
            color=INK,
            linewidth=1.8,
        )
    absent = sum(row["reference_ml"] == 0 for row in own)
    _title(
        axes,
        f"{region}, n = {len(shown)}",
        f"{absent} without it in the reference not shown" if absent else "",
    )
    axes.set_xscale("log")
    decades = np.log10(volumes.max() / volumes.min()) if len(shown) else 0
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1,) if decades > _DECADES_WITHOUT_STEPS else (1, 2, 5), numticks=12)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("volume of the reference (ml, logarithmic)")
    axes.set_ylim(-0.03, 1.03)


def _cloud(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    if not len(
        x
    ):  # an empty line that is not clipped has no size, which tight_layout takes for any
        return
    size = 6 if len(x) <= 40 else 4
    axes.plot(
        x,
        y,
        "o",
        markersize=size,
        markerfacecolor=colour,
        markeredgecolor="white",
        markeredgewidth=0.5,
        clip_on=False,
        zorder=3,
    )


def _title(axes: Axes, title: str, line: str) -> None:
    axes.set_title(title, pad=20)
    axes.text(0, 1.03, line, transform=axes.transAxes, color=FAINT, fontsize=8.5)
