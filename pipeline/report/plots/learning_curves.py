"""Loss, Dice on the validation patches and learning rate, epoch by epoch."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ...core.schema import Schema
from .drawing import FAINT, INK, blank, drawn, style
from .palette import label_colours, region_colours


def learning_curves(
    history: Sequence[dict[str, float]], schema: Schema, dpi: int
) -> tuple[bytes, bytes]:
    """Draw the history of a training run.

    Parameters
    ----------
    history : sequence of dict
        One per epoch: ``epoch``, ``loss``, ``val_loss``, ``learning_rate`` and ``val_dice_NAME``
        for each region and label; NaN where an epoch was not validated.
    schema : Schema
        Names regions and labels.
    dpi : int
        Pixels per inch of a picture 11 inches wide.

    Returns
    -------
    tuple of bytes
        A PNG file and an SVG file.
    """
    with style():
        figure = blank(11, 3.7)
        loss, dice, rate = figure.subplots(1, 3, gridspec_kw={"width_ratios": (3, 3, 2)})
        _line(loss, history, "loss", INK, "training")
        _line(loss, history, "val_loss", "#D55E00", "validation")
        _finish(loss, "Loss", "loss (no unit)", history)
        for name, colour in region_colours(schema).items():
            _line(dice, history, f"val_dice_{name}", colour, name)
        for name, colour in label_colours(schema).items():
            _line(dice, history, f"val_dice_{name}", colour, name, dashes=(3, 2))
        dice.set_ylim(-0.02, 1.02)
        _finish(dice, "Dice on the validation patches", "Dice (0 to 1)", history)
        _line(rate, history, "learning_rate", FAINT)
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter("{x:g}")
        _finish(rate, "Learning rate", "step size", history)
        figure.tight_layout(w_pad=2)
        return drawn(figure, dpi)


def _line(
    axes: Axes,
    history: Sequence[dict[str, float]],
    column: str,
    colour: str,
    name: str = "",
    dashes: tuple[int, ...] = (),
) -> None:
    points = [(row["epoch"], row[column]) for row in history if row[column] == row[column]]
    if not points:
        return
    marker: dict[str, Any] = {"marker": "o", "markersize": 3} if len(points) <= 25 else {}
    style: dict[str, Any] = (
        {"linewidth": 1.2, "linestyle": (0, dashes)} if dashes else {"linewidth": 1.8}
    )
    axes.plot(*zip(*points, strict=True), color=colour, label=name or None, **style, **marker)


def _finish(axes: Axes, title: str, unit: str, history: Sequence[dict[str, float]]) -> None:
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.set_ylabel(unit)
    axes.set_xlim(
        min(row["epoch"] for row in history) - 0.5, max(row["epoch"] for row in history) + 0.5
    )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    names = axes.get_legend_handles_labels()[1]
    if names:
        axes.legend(ncols=1 if len(names) < 4 else 2, loc="best")
