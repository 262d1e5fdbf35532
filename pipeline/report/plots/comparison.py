"""Two runs on the same cases: the change of each case, and the mean change with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...statistics.bootstrap import CONFIDENCE
from .drawing import FAINT, INK, Files, Style, blank, drawn, jitter, style

BETTER, WORSE = "#0072B2", "#D55E00"
_LONGEST = 40


@dataclass(frozen=True)
class Pair:
    """A run and another on the same cases.

    Attributes
    ----------
    first, second : str
        What to call them; short.
    targets : mapping
        As `pipeline.statistics.paired.paired_rows` gives it.
    rows : sequence of mapping
        As `pipeline.statistics.paired.compare_pairs` gives them for these runs.
    """

    first: str
    second: str
    targets: Mapping[tuple[str, str], Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]]
    rows: Sequence[Mapping[str, Any]]


@style()
def comparison_plot(pairs: Sequence[Pair], dpi: int) -> Files:
    """Draw what two runs gave each case, and the differences around their mean and its interval.

    Parameters
    ----------
    pairs : sequence of Pair
        All with the same metrics. For one, values and differences are drawn side by side; for
        several, the differences; for more than three, on a picture wider than 11 inches.
    """
    metrics = list(dict.fromkeys(row["metric"] for row in pairs[0].rows))
    names = len({row["name"] for pair in pairs for row in pair.rows})
    height = len(metrics) * (1.15 + 0.62 * names) + 0.9
    figure = blank(11 if len(pairs) < 4 else 3.7 * len(pairs), height)
    grid = figure.subplots(len(metrics), max(2, len(pairs)), squeeze=False)
    for metric, axes in zip(metrics, grid, strict=True):
        if len(pairs) == 1:
            _draw_values(axes[0], pairs[0], metric)
        for pair, own in zip(pairs, axes[-len(pairs) :], strict=True):
            _draw_differences(own, pair, metric)
    figure.tight_layout(h_pad=2, w_pad=2.5, rect=(0, 0.4 / height, 1, 1 - 0.4 / height))
    called = dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second))
    figure.text(0.02, 1 - 0.14 / height, "      ".join(map(_short, called)), va="top", size=10.5)
    figure.legend(handles=_marks(), loc="lower center", ncols=4)
    return drawn(figure, dpi)


def _marks() -> list[Line2D]:
    dots: Style = {"marker": "o", "linestyle": "", "markersize": 5, "markeredgewidth": 0}
    cases = {"a case that got better": BETTER, "worse": WORSE, "unchanged": FAINT}
    mean = f"mean, and {CONFIDENCE:.0%} interval of its difference"
    return [
        *(Line2D([], [], color=colour, label=name, **dots) for name, colour in cases.items()),
        Line2D([], [], color=INK, marker="D", markersize=5, linewidth=1.8, label=mean),
    ]


def _values(pair: Pair, target: tuple[str, str], metric: str) -> np.ndarray:
    """(N, 2) values of the cases in which both are defined."""
    values = [[row[metric] for row in rows] for rows in pair.targets.get(target, ())]
    table = np.array(values).reshape(-1, 2)
    return table[~np.isnan(table).any(axis=1)]


def _targets(pair: Pair) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["kind"], row["name"]) for row in pair.rows))


def _direction(pair: Pair, metric: str) -> int:
    """1 if higher is better, -1 if lower is."""
    return next(row["direction"] for row in pair.rows if row["metric"] == metric)


def _colours(differences: np.ndarray, direction: int) -> list[str]:
    return [
        FAINT if not gain else BETTER if gain > 0 else WORSE
        for gain in np.round(differences, 12) * direction
    ]


def _opacity(cases: int) -> float:
    """Of a mark, so that many still let the mean be seen."""
    return float(np.clip(12 / max(cases, 1), 0.15, 0.75))


def _draw_values(axes: Axes, pair: Pair, metric: str) -> None:
    """A line per case from its value in the first run to that in the second, targets below each
    other.
    """
    targets, direction = _targets(pair), _direction(pair, metric)
    bold: Style = {"ha": "right", "va": "center", "weight": "bold"}
    for place, target in enumerate(targets):
        ends, values = [place - 0.28, place + 0.28], _values(pair, target, metric)
        line: Style = {"linewidth": 1, "marker": "o", "markersize": 3, "markeredgewidth": 0}
        line |= {"alpha": _opacity(len(values)), "clip_on": False}
        colours = _colours(values[:, 1] - values[:, 0], direction)
        for before_after, colour in zip(values, colours, strict=True):
            axes.plot(before_after, ends, color=colour, **line)
        if len(values):
            mean: Style = {"linewidth": 2, "marker": "D", "markersize": 4, "zorder": 3}
            axes.plot(values.mean(axis=0), ends, color=INK, **mean)
    for place, (_, name) in enumerate(targets):
        axes.text(-0.07, place, name, transform=axes.get_yaxis_transform(), **bold)
    places = [place + shift for place in range(len(targets)) for shift in (-0.28, 0.28)]
    axes.set_yticks(places, [*_letters(pair)] * len(targets))
    _finish(axes, len(targets), metric, signed=False)
    low, high = axes.dataLim.intervalx
    margin = 0.04 * (high - low + 0.1)
    limits = (-0.1, max(1.4 * high, 3)) if metric.endswith("_mm") else (low - margin, high + margin)
    axes.set_xlim(limits)
    axes.set_title(f"{metric} of each case")


def _draw_differences(axes: Axes, pair: Pair, metric: str) -> None:
    """A dot per case, and below the dots of a region its mean difference with the interval."""
    targets, direction = _targets(pair), _direction(pair, metric)
    results = {(row["kind"], row["name"]): row for row in pair.rows if row["metric"] == metric}
    for place, target in enumerate(targets):
        values = _values(pair, target, metric)
        differences = np.sort(values[:, 1] - values[:, 0])
        heights = place - 0.12 + jitter(len(differences), 0.4)
        dots: Style = {"s": 16, "linewidths": 0, "alpha": max(_opacity(len(differences)), 0.35)}
        colours = _colours(differences, direction)
        axes.scatter(differences, heights, c=colours, clip_on=False, **dots)
        row = results[target]
        ends: Style = {"markersize": 8, "markeredgewidth": 1.6, "linewidth": 1.6}
        axes.plot([row["low"], row["high"]], [place + 0.3] * 2, marker="|", color=INK, **ends)
        axes.plot([row["difference"]], [place + 0.3], color=INK, marker="D", markersize=3.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    names = [f"{name}\nn = {results[kind, name]['cases']}" for kind, name in targets]
    axes.set_yticks(range(len(targets)), names)
    _finish(axes, len(targets), metric, signed=True)
    one, other = _letters(pair)
    axes.set_title(f"{metric}: {other} - {one}")
    left, right = (one, other) if direction > 0 else (other, one)
    sides = f"\u25c2 {left} better          {right} better \u25b8"
    axes.set_xlabel(sides, color=FAINT)  # on either side of the 0 in the middle


def _letters(pair: Pair) -> tuple[str, str]:
    return pair.first.partition(":")[0], pair.second.partition(":")[0]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:8]} ... {name[-(_LONGEST - 13) :]}"


def _finish(axes: Axes, targets: int, metric: str, signed: bool) -> None:
    axes.set_ylim(targets - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    distance = metric.endswith("_mm")
    if distance:
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        ticks = (-100, -10, -1, 0, 1, 10, 100) if signed else (0, 1, 3, 10, 30, 100, 300)
        axes.set_xticks(ticks, map(str, ticks), minor=False)
        axes.set_xticks([], minor=True)
    if signed:
        reach = max(np.abs(axes.dataLim.intervalx).max(), 1e-3) * (1.4 if distance else 1.06)
        axes.set_xlim(-reach, reach)
