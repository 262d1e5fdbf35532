"""Loss, Dice on the validation patches and learning rate, epoch by epoch."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ...core.schema import Schema
from .drawing import FAINT, INK, Files, Style, blank, drawn, style
from .palette import label_colours, region_colours

History = Sequence[dict[str, Any]]


@style()
def learning_curves(history: History, schema: Schema, dpi: int) -> Files:
    """Draw the history of a training run.

    Parameters
    ----------
    history : sequence of dict
        One per epoch: ``epoch``, ``loss``, ``val_loss``, ``learning_rate`` and ``val_dice_NAME``
        for each region and label; NaN where an epoch was not validated.
    """
    figure = blank(11, 3.7)
    loss, dice, rate = figure.subplots(1, 3, gridspec_kw={"width_ratios": (3, 3, 2)})
    _line(loss, history, "loss", INK, "training")
    _line(loss, history, "val_loss", "#D55E00", "validation")
    _finish(loss, "Loss", "loss (no unit)", history)
    for name, colour in region_colours(schema).items():
        _line(dice, history, f"val_dice_{name}", colour, name)
    for name, colour in label_colours(schema).items():
        _line(dice, history, f"val_dice_{name}", colour, name, linestyle=(0, (3, 2)), linewidth=1.2)
    dice.set_ylim(-0.02, 1.02)
    _finish(dice, "Dice on the validation patches", "Dice (0 to 1)", history)
    _line(rate, history, "learning_rate", FAINT)
    rate.set_ylim(bottom=0)
    rate.yaxis.set_major_formatter("{x:g}")
    _finish(rate, "Learning rate", "step size", history)
    figure.tight_layout(w_pad=2)
    return drawn(figure, dpi)


def _line(
    axes: Axes, history: History, column: str, colour: str, name: str | None = None, **dashed: Any
) -> None:
    points = [(row["epoch"], row[column]) for row in history if row[column] == row[column]]
    marker = {"marker": "o", "markersize": 3} if len(points) <= 25 else {}
    if points:
        style: Style = {"linewidth": 1.8, "color": colour, "label": name} | marker | dashed
        axes.plot(*zip(*points, strict=True), **style)


def _finish(axes: Axes, title: str, unit: str, history: History) -> None:
    axes.set_title(title)
    axes.set(xlabel="epoch", ylabel=unit)
    epochs = [row["epoch"] for row in history]
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    names = axes.get_legend_handles_labels()[1]
    if names:
        axes.legend(ncols=1 if len(names) < 4 else 2, loc="best")
