"""Agreement of predicted and reference volumes, and Dice against volume."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ...core.schema import Schema
from .drawing import DASHED, FAINT, INK, RULE, Files, dots, drawn, panels, style
from .palette import region_colours

FEWEST_FOR_LIMITS = 3
FEWEST_FOR_A_TREND = 20
"""The medians of groups of fewer cases say less than the cases."""

_TREND_GROUPS = 8
_DECADES_WITHOUT_STEPS = 2


@style()
def volume_agreement(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw, for every region, the volume error against the mean of the two volumes.

    Lines are the mean difference (bias) and the limits of agreement, bias ± 1.96 standard
    deviations of the differences, within which 95 % of them lie if they are normal: Bland and
    Altman, "Statistical methods for assessing agreement between two methods of clinical
    measurement", Lancet 327 (1986).

    Parameters
    ----------
    rows : sequence of dict
        With ``kind``, ``name``, ``reference_ml`` and ``prediction_ml``.
    """
    return _panel_per_region(rows, schema, 3.5, _agreement, "prediction minus reference (ml)", dpi)


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
    limits = {"bias": float(bias), "low": float(bias - spread), "high": float(bias + spread)}
    return {"cases": len(errors)} | limits


@style()
def dice_by_volume(rows: Sequence[dict[str, Any]], schema: Schema, dpi: int) -> Files:
    """Draw, for every region, Dice against the volume of the reference, which has a logarithmic
    axis; from 20 cases on, a line joins the medians of eight groups of like volume.

    Parameters
    ----------
    rows : sequence of dict
        With ``case``, ``kind``, ``name``, ``dice`` and ``reference_ml``. Cases without the region
        in the reference have no place on the axis and are counted in the title.
    """
    return _panel_per_region(rows, schema, 3.4, _by_volume, "Dice (0 to 1)", dpi)


def _panel_per_region(
    rows: Sequence[dict[str, Any]],
    schema: Schema,
    height_in: float,
    draw: Callable[[Axes, list[dict[str, Any]], str, str], None],
    label: str,
    dpi: int,
) -> Files:
    figure, axes = panels(len(schema.regions), height_in)
    for panel, (region, colour) in zip(axes, region_colours(schema).items(), strict=True):
        draw(panel, _of_region(rows, region), region, colour)
    axes[0].set_ylabel(label)
    figure.tight_layout(w_pad=2, h_pad=2)
    return drawn(figure, dpi)


def _of_region(rows: Sequence[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    own = [row for row in rows if row["kind"] == "region" and row["name"] == region]
    return sorted(own, key=lambda row: row["case"])


def _agreement(axes: Axes, own: list[dict[str, Any]], region: str, colour: str) -> None:
    reference, prediction = (
        np.array([row[name] for row in own]) for name in ("reference_ml", "prediction_ml")
    )
    errors, found = prediction - reference, agreement(own, region)
    limits = [found[end] for end in ("low", "high") if found[end] == found[end]]
    axes.axhline(0, color=RULE, linewidth=1)
    axes.axhline(found["bias"], color=INK, linewidth=1.6)
    for limit in limits:
        axes.axhline(limit, color=INK, linewidth=1.1, linestyle=DASHED)
    _cloud(axes, (reference + prediction) / 2, errors, colour)
    between = "limits {:+z.1f} to {:+z.1f}" if limits else "too few cases for limits"
    line = f"bias {found['bias']:+z.1f}, {between.format(*limits)} ml".replace("-", "−")
    _title(axes, f"{region}, n = {len(own)}", line)
    axes.set_xlabel("mean of both volumes (ml)")
    reach = 1.15 * max([1e-3, *np.abs(errors), *map(abs, limits)])
    axes.set_ylim(-reach, reach)
    axes.set_xlim(left=0)
    axes.margins(x=0.05)


def _by_volume(axes: Axes, own: list[dict[str, Any]], region: str, colour: str) -> None:
    shown = [row for row in own if row["reference_ml"] > 0 and row["dice"] == row["dice"]]
    volumes, dice = (np.array([row[name] for row in shown]) for name in ("reference_ml", "dice"))
    _cloud(axes, volumes, dice, colour)
    if len(shown) >= FEWEST_FOR_A_TREND:
        groups = np.array_split(np.argsort(volumes, kind="stable"), _TREND_GROUPS)
        x, y = ([np.median(values[group]) for group in groups] for values in (volumes, dice))
        axes.plot(x, y, color=INK, linewidth=1.8)
    absent = sum(row["reference_ml"] == 0 for row in own)
    left_out = f"{absent} without it in the reference not shown" if absent else ""
    _title(axes, f"{region}, n = {len(shown)}", left_out)
    axes.set_xscale("log")
    decades = np.log10(volumes.max() / volumes.min()) if len(shown) else 0
    steps = (1,) if decades > _DECADES_WITHOUT_STEPS else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("volume of the reference (ml, logarithmic)")
    axes.set_ylim(-0.03, 1.03)


def _cloud(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    if len(x):  # an empty line that is not clipped has no size, which tight_layout takes for any
        axes.plot(x, y, **dots(colour, 6 if len(x) <= 40 else 4), clip_on=False, zorder=3)


def _title(axes: Axes, title: str, line: str) -> None:
    axes.set_title(title, pad=20)
    axes.text(0, 1.03, line, transform=axes.transAxes, color=FAINT, fontsize=8.5)
