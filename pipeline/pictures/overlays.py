"""Reference and prediction over every modality of a case, in three planes."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from pipeline.domain.regions import classes_to_regions
from pipeline.domain.schema import Schema
from pipeline.pictures.drawing import DARK, LIGHT, blank, png, style
from pipeline.pictures.palette import MISSED, MISTAKEN, SURPLUS, label_colours, region_colours, rgb
from pipeline.pictures.view import CONVENTION, Plane, View, cut

_FILL_ALPHA = 0.4
_COLUMN_IN, _GAP_IN, _LEFT_IN, _TOP_IN, _LINE_IN = 2.15, 0.06, 0.3, 0.7, 0.25
_WIDE_IN = 9.0
_DISAGREEMENT = {"missed": MISSED, "false alarm": SURPLUS, "other label": MISTAKEN}


def overlay(view: View, schema: Schema, subtitle: str, dpi: int) -> bytes:
    """Draw a case: one row per plane, one column per modality, and one for the disagreement.

    Every row is the slice with the largest tumour area. Colour fills are the labels of the prediction, lines
    the outlines of the reference's regions, each in the colour of the label that it adds. The last column shows
    on dimmed anatomy where the two differ: tumour missed, false alarm, tumour under another label.

    Parameters
    ----------
    view : View
        The case.
    schema : Schema
        Names the labels.
    subtitle : str
        Stands beside the name of the case, such as its scores.
    dpi : int
        Pixels per inch; a column is 2.15 inches wide.

    Returns
    -------
    bytes
        A PNG file.
    """
    columns = len(view.modalities) + 1
    widest = max(view.size_mm(plane)[0] for plane in view.planes)
    heights = [view.size_mm(plane)[1] / widest * _COLUMN_IN for plane in view.planes]
    width = _LEFT_IN + columns * (_COLUMN_IN + _GAP_IN)
    height = _TOP_IN + sum(heights) + len(heights) * _GAP_IN + _LINE_IN * (2.4 if width > _WIDE_IN else 4.4)
    with style():
        figure = blank(width, height, DARK)
        top = _TOP_IN
        for plane, tall in zip(view.planes, heights, strict=True):
            index = view.busiest_slice(plane)
            for column in range(columns):
                left = _LEFT_IN + column * (_COLUMN_IN + _GAP_IN)
                axes = figure.add_axes((left / width, 1 - (top + tall) / height, _COLUMN_IN / width, tall / height))
                _draw_panel(axes, view, plane, index, column, schema)
            middle = 1 - (top + tall / 2) / height
            name = f"{plane.name}, {view.slice_name(plane, index)}"
            figure.text(_LEFT_IN / 2 / width, middle, name, rotation=90, ha="center", va="center", color=LIGHT, fontsize=8)
            top += tall + _GAP_IN
        _head(figure, view, subtitle)
        _foot(figure, schema)
        return png(figure, dpi)


def _draw_panel(axes: Axes, view: View, plane: Plane, index: int, column: int, schema: Schema) -> None:
    reference, prediction = (cut(classes, plane, index) for classes in (view.reference, view.prediction))
    width, height = view.size_mm(plane)
    box = (-width / 2, width / 2, -height / 2, height / 2)
    disagreement = column == len(view.modalities)
    grey = cut(view.grey[..., 0 if disagreement else column], plane, index)
    axes.set_axis_off()
    axes.imshow(grey * 0.55 if disagreement else grey, cmap="gray", vmin=0, vmax=255, extent=box, interpolation="bilinear")
    if disagreement:
        axes.imshow(_disagreement(reference, prediction), extent=box, interpolation="nearest")
    else:
        axes.imshow(_fill(prediction, schema), extent=box, interpolation="nearest")
        _outlines(axes, classes_to_regions(reference, schema), box, schema)
    axes.set_aspect("equal")
    axes.set_anchor("C")
    if column == 0:
        _letters(axes, plane)


def _fill(prediction: np.ndarray, schema: Schema) -> np.ndarray:
    """(height, width, 4) uint8: the prediction in its labels' colours, transparent elsewhere."""
    colours = [(*rgb(colour), round(255 * _FILL_ALPHA)) for colour in label_colours(schema).values()]
    return np.array([(0, 0, 0, 0), *colours], np.uint8)[prediction]


def _outlines(axes: Axes, regions: np.ndarray, box: tuple[float, float, float, float], schema: Schema) -> None:
    """Lines around each region of a (height, width, R) bool array, half-way between pixels inside and outside."""
    left, right, bottom, top = box
    rows, columns = regions.shape[:2]
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = top - (np.arange(rows) + 0.5) * (top - bottom) / rows
    for index, colour in enumerate(region_colours(schema).values()):
        mask = regions[..., index]
        if mask.any() and not mask.all():
            axes.contour(x, y, mask.astype(np.float32), levels=[0.5], colors=[colour], linewidths=1.1)


def _disagreement(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """(height, width, 4) uint8: where and how the two differ, transparent where they agree."""
    kinds = np.zeros(reference.shape, np.uint8)
    kinds[(reference > 0) & (prediction == 0)] = 1
    kinds[(reference == 0) & (prediction > 0)] = 2
    kinds[(reference > 0) & (prediction > 0) & (reference != prediction)] = 3
    return np.array([(0, 0, 0, 0), *((*rgb(colour), 225) for colour in _DISAGREEMENT.values())], np.uint8)[kinds]


def _letters(axes: Axes, plane: Plane) -> None:
    edge = {"color": LIGHT, "fontsize": 8.5, "transform": axes.transAxes, "path_effects": [Stroke(linewidth=2, foreground=DARK), Normal()]}
    axes.text(0.02, 0.5, plane.left, ha="left", va="center", **edge)
    axes.text(0.98, 0.5, plane.right, ha="right", va="center", **edge)
    axes.text(0.5, 0.98, plane.top, ha="center", va="top", **edge)
    axes.text(0.5, 0.02, plane.bottom, ha="center", va="bottom", **edge)


def _head(figure: Figure, view: View, subtitle: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(_LEFT_IN / width, 1 - 0.2 / height, view.case, color="white", fontsize=11.5, weight="bold", va="center")
    figure.text(1 - _GAP_IN / width, 1 - 0.2 / height, subtitle, color=LIGHT, fontsize=9.5, ha="right", va="center")
    for column, name in enumerate([*view.modalities, "disagreement"]):
        middle = _LEFT_IN + column * (_COLUMN_IN + _GAP_IN) + _COLUMN_IN / 2
        figure.text(middle / width, 1 - 0.55 / height, name, color=LIGHT, fontsize=9.5, ha="center", va="center")


def _foot(figure: Figure, schema: Schema) -> None:
    """Legends of fills, lines and disagreement, and the convention: in two lines, or in four below few columns."""
    width, height = figure.get_size_inches()
    fills = [Patch(color=colour, label=name) for name, colour in label_colours(schema).items()]
    lines = [Line2D([], [], color=colour, lw=1.6, label=name) for name, colour in region_colours(schema).items()]
    errors = [Patch(color=colour, label=name) for name, colour in _DISAGREEMENT.items()]
    left, right, line = _LEFT_IN / width, 1 - _GAP_IN / width, _LINE_IN / height
    side, edge = ("right", right) if width > _WIDE_IN else ("left", left)
    above = 0 if width > _WIDE_IN else 2 * line
    for y, name, marks in ((above + 1.7 * line, "Prediction, filled:", fills), (above + 0.7 * line, "Reference, outlined:", lines)):
        figure.text(left, y, name, color=LIGHT, fontsize=8.5, va="center")
        _legend(figure, marks, "center left", (left + 1.3 / width, y))
    _legend(figure, errors, f"center {side}", (edge, 1.7 * line))
    figure.text(edge, 0.7 * line, CONVENTION, color=LIGHT, fontsize=8.5, ha=side, va="center")


def _legend(figure: Figure, marks: list[Artist], place: str, at: tuple[float, float]) -> None:
    options = {"labelcolor": LIGHT, "borderaxespad": 0, "borderpad": 0, "handlelength": 1.2, "columnspacing": 1.4}
    figure.legend(handles=marks, loc=place, ncols=len(marks), bbox_to_anchor=at, **options)
