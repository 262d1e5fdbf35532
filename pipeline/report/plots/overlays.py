"""Reference and prediction over every modality of a case, in three planes."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from ...core.regions import classes_to_regions
from ...core.schema import Schema
from .drawing import DARK, LIGHT, Style, blank, drawn, png, style
from .palette import label_colours, painted, region_colours
from .planes import DISAGREEMENT, Plane, View, convention, cut, disagreement, planes_of

_FILL_ALPHA = 0.4
_COLUMN_IN, _GAP_IN, _LEFT_IN, _TOP_IN, _LINE_IN = 2.15, 0.06, 0.3, 0.7, 0.25
_WIDE_IN = 9.0
_DASHES = (0, (2.2, 1.4))
_ENLARGED_MM, _AROUND_MM = 45.0, 8.0
"""Smallest width and height of the enlarged part, and its margin around the tumour."""

Box = tuple[float, float, float, float]


@style()
def overlay(
    view: View, schema: Schema, subtitle: str, dpi: int, kind: Literal["png", "svg"] = "png"
) -> bytes:
    """Draw a case: one row per plane, one column per modality, and one for the disagreement.

    Every row is the slice with the largest tumour area. Colour fills are the labels of the
    prediction, lines the outlines of the regions, solid for the reference and dashed for the
    prediction, each in the colour of the label that it adds. The last column enlarges the tumour
    and shows on dimmed anatomy where the two differ: tumour missed, false alarm, tumour under
    another label; the legend counts them in the whole volume.

    Parameters
    ----------
    subtitle : str
        Stands beside the name of the case, such as its scores.
    dpi : int
        Pixels per inch; a column is 2.15 inches wide.
    kind : {"png", "svg"}
        Of the file; in an SVG the anatomy is an image and all else lines and texts as outlines.
    """
    columns, planes = len(view.modalities) + 1, planes_of(view, schema)
    widest = max(view.size_mm(plane)[0] for plane in planes)
    heights = [view.size_mm(plane)[1] / widest * _COLUMN_IN for plane in planes]
    width = _LEFT_IN + columns * (_COLUMN_IN + _GAP_IN)
    foot = _LINE_IN * (2.4 if width > _WIDE_IN else 5.4)
    height = _TOP_IN + sum(heights) + len(heights) * _GAP_IN + foot
    figure, top = blank(width, height, DARK), _TOP_IN
    for plane, tall in zip(planes, heights, strict=True):
        index, bottom = view.busiest_slice(plane), 1 - (top + tall) / height
        for column in range(columns):
            left = _LEFT_IN + column * (_COLUMN_IN + _GAP_IN)
            axes = figure.add_axes((left / width, bottom, _COLUMN_IN / width, tall / height))
            _draw_panel(axes, view, plane, index, column, schema)
        middle, name = 1 - (top + tall / 2) / height, view.cut_name(plane, index)
        _text(figure, _LEFT_IN / 2 / width, middle, name, 8, "center", rotation=90)
        top += tall + _GAP_IN
    _head(figure, view, subtitle)
    _foot(figure, view, schema)
    figure.set_dpi(dpi)
    return png(figure, dpi) if kind == "png" else drawn(figure, dpi)[1]


def _text(
    figure: Figure, x: float, y: float, text: str, size: float, side: str = "left", **more: Any
) -> None:
    usual: Style = {"color": LIGHT, "fontsize": size, "ha": side, "va": "center"}
    figure.text(x, y, text, **usual | more)


def _draw_panel(
    axes: Axes, view: View, plane: Plane, index: int, column: int, schema: Schema
) -> None:
    reference, prediction = (
        cut(classes, plane, index) for classes in (view.reference, view.prediction)
    )
    width, height = view.size_mm(plane)
    box = (-width / 2, width / 2, -height / 2, height / 2)
    last = column == len(view.modalities)
    left, right, bottom, top = enlarged = _around((reference > 0) | (prediction > 0), box)
    grey = cut(view.grey[..., 0 if last else column], plane, index)
    scan: Style = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "bilinear"}
    axes.set_axis_off()
    axes.imshow(grey * 0.55 if last else grey, extent=box, **scan)
    if last:
        shown = painted(disagreement(reference, prediction), DISAGREEMENT, 225)
        axes.imshow(shown, extent=box, interpolation="nearest")
        for classes, line in ((reference, "solid"), (prediction, _DASHES)):
            outlines(axes, (classes > 0)[..., None], box, [LIGHT], line)
    else:
        shown = painted(prediction, label_colours(schema), round(255 * _FILL_ALPHA))
        axes.imshow(shown, extent=box, interpolation="nearest")
        colours = region_colours(schema).values()
        for classes, line in ((prediction, _DASHES), (reference, "solid")):
            outlines(axes, classes_to_regions(classes, schema), box, colours, line)
    axes.set_aspect("equal")
    axes.set_anchor("C")
    if last:
        axes.set(xlim=enlarged[:2], ylim=enlarged[2:])
    elif column == 0:
        letters(axes, plane)
        if right - left < width:
            dotted: Style = {"edgecolor": LIGHT, "linewidth": 0.5, "linestyle": ":"}
            size = right - left, top - bottom
            axes.add_patch(Rectangle((left, bottom), *size, fill=False, **dotted))


def _around(marked: np.ndarray, box: Box) -> Box:
    """The part of a cut around what is marked, in the proportions of the whole; the whole where
    nothing is.
    """
    left, right, bottom, top = box
    if not marked.any():
        return box
    middles, shares = [], []
    for axis, start, length in ((1, left, right - left), (0, top, bottom - top)):
        places = np.flatnonzero(marked.any(axis=1 - axis))
        first, last = (
            start + place * length / marked.shape[axis] for place in (places[0], places[-1] + 1)
        )
        middles.append((first + last) / 2)
        shares.append(max(abs(last - first) + 2 * _AROUND_MM, _ENLARGED_MM) / abs(length))
    share = min(max(shares), 1.0)
    corners = []
    for middle, low, high in zip(middles, (left, bottom), (right, top), strict=True):
        half = share * (high - low) / 2
        middle = min(max(middle, low + half), high - half)
        corners += [middle - half, middle + half]
    return tuple(corners)


def outlines(axes: Axes, regions: np.ndarray, box: Box, colours: Iterable[str], line: Any) -> None:
    """Lines around each region of a (height, width, R) bool array, half-way between pixels inside
    and outside.
    """
    left, right, bottom, top = box
    rows, columns = regions.shape[:2]
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = top - (np.arange(rows) + 0.5) * (top - bottom) / rows
    style: Style = {"linewidths": 0.8 if line == _DASHES else 1.1, "linestyles": [line]}
    for mask, colour in zip(np.moveaxis(regions, -1, 0), colours, strict=True):
        if mask.any() and not mask.all():
            axes.contour(x, y, mask.astype(np.float32), levels=[0.5], colors=[colour], **style)


def letters(axes: Axes, plane: Plane) -> None:
    edge: Style = {
        "color": LIGHT,
        "fontsize": 8.5,
        "transform": axes.transAxes,
        "path_effects": [Stroke(linewidth=2, foreground=DARK), Normal()],
    }
    axes.text(0.02, 0.5, plane.left, ha="left", va="center", **edge)
    axes.text(0.98, 0.5, plane.right, ha="right", va="center", **edge)
    axes.text(0.5, 0.98, plane.top, ha="center", va="top", **edge)
    axes.text(0.5, 0.02, plane.bottom, ha="center", va="bottom", **edge)


def _head(figure: Figure, view: View, subtitle: str) -> None:
    width, height = figure.get_size_inches()
    line = 1 - 0.2 / height
    _text(figure, _LEFT_IN / width, line, view.case, 11.5, color="white", weight="bold")
    _text(figure, 1 - _GAP_IN / width, line, subtitle, 9.5, "right")
    for column, name in enumerate([*view.modalities, "disagreement, enlarged"]):
        middle = _LEFT_IN + column * (_COLUMN_IN + _GAP_IN) + _COLUMN_IN / 2
        _text(figure, middle / width, 1 - 0.55 / height, name, 9.5, "center")


def _foot(figure: Figure, view: View, schema: Schema) -> None:
    """Legends of fills, lines and disagreement, and the convention: in two lines, or in five below
    few columns.
    """
    width, height = figure.get_size_inches()
    fills = [Patch(color=colour, label=name) for name, colour in label_colours(schema).items()]
    regions = [
        Line2D([], [], color=colour, lw=1.6, label=name)
        for name, colour in region_colours(schema).items()
    ]
    sides: tuple[tuple[str, Any], ...] = (("reference", "solid"), ("prediction", _DASHES))
    lines = [
        Line2D([], [], color=LIGHT, lw=1.2, linestyle=line, label=name) for name, line in sides
    ]
    errors = [
        Patch(color=colour, label=f"{name} {amount}")
        for (name, colour), amount in zip(DISAGREEMENT.items(), _amounts(view), strict=True)
    ]
    left, right, line = _LEFT_IN / width, 1 - _GAP_IN / width, _LINE_IN / height
    rows: list[tuple[str, Sequence[Artist]]] = [("Prediction, filled:", fills)]
    if width > _WIDE_IN:
        side, edge, lowest = "right", right, 0.7
        rows += [("Outlines:", [*regions, *lines])]
    else:
        side, edge, lowest = "left", left, 2.7
        rows += [("Outlines:", regions), ("", lines)]
    for place, (name, marks) in enumerate(reversed(rows)):
        y = (place + lowest) * line
        _text(figure, left, y, name, 8.5)
        _legend(figure, marks, "center left", (left + 1.3 / width, y))
    _legend(figure, errors, f"center {side}", (edge, 1.7 * line))
    _text(figure, edge, 0.7 * line, convention(schema), 8.5, side)


def _amounts(view: View) -> list[str]:
    """How much of each kind of disagreement the whole volume has."""
    found = disagreement(view.reference, view.prediction).ravel()
    counts = np.bincount(found, minlength=len(DISAGREEMENT) + 1)[1:]
    if view.reference.shape[2] == 1:
        return [f"{count * np.prod(view.spacing_mm[:2]) / 100:.3g} cm²" for count in counts]
    return [f"{count * np.prod(view.spacing_mm) / 1000:.3g} ml" for count in counts]


def _legend(figure: Figure, marks: Sequence[Artist], place: str, at: tuple[float, float]) -> None:
    options: Style = {"loc": place, "bbox_to_anchor": at, "ncols": len(marks), "labelcolor": LIGHT}
    options |= {"borderaxespad": 0, "borderpad": 0, "handlelength": 1.2, "columnspacing": 1.4}
    figure.legend(handles=marks, **options)
