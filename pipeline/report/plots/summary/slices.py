"""The slices of a page: three planes with the outlines of the regions, and a lesion enlarged."""

import numpy as np
from matplotlib.axes import Axes

from ....core.regions import classes_to_regions
from ....core.schema import Schema
from ....metrics.diameters import Measured
from ..drawing import DARK, FAINT, INK, LIGHT, Style
from ..overlays import Box, outlines
from ..palette import region_colours
from ..planes import PLANES, Plane, View, convention, cut, planes_of, telling_modalities
from .sheet import INNER_IN, LINE_IN, MARGIN_IN, RIGHT_IN, SIZE, SMALL, Sheet
from .text import printable, shortened, width_in

_GAP_IN, _CAPTION_IN, _TALLEST_IN = 0.06, 0.22, 2.1
_LETTER_IN = 0.15
"""Around each picture, for the letters of the sides: on it, they may hide a lesion."""
_DASHES = (0, (3.5, 3.5))
"""Of every second region, drawn over the others: the edge of one often lies on that of the next."""
_SCALES_MM = (1, 5, 10, 20, 50)
_NO_TUMOUR = "The network found no tumour in this case."
_USUAL = ("t1c", "t2f")
"""The modalities of the two rows, the same for all cases that have them."""
DETAIL_IN, _LEAST_MM = 1.72, 30.0
"""Edge of the enlarged picture, and the least that it shows."""
_AROUND = 1.5
"""Edge of what it shows, in long axes of the lesion."""


def draw_slices(sheet: Sheet, view: View, schema: Schema) -> None:
    """The slices with the largest tumour area on one scale, a row for each of two modalities; of a
    single slice all in one row.
    """
    planes = planes_of(view, schema)
    rows = [[(*row, plane) for plane in planes] for row in _shown(view, schema)]
    if len(planes) == 1:
        rows = [[panel for row in rows for panel in row]]
    sizes = [view.size_mm(plane) for *_, plane in rows[0]]
    gaps = _GAP_IN * (len(sizes) - 1) + 2 * _LETTER_IN * len(sizes)
    wide, highest = sum(width for width, _ in sizes), max(height for _, height in sizes)
    scale = min((INNER_IN - gaps) / wide, _TALLEST_IN * 2 / len(rows) / highest)
    tall, start = highest * scale, MARGIN_IN + (INNER_IN - gaps - wide * scale) / 2
    row_in = tall + 2 * _LETTER_IN + _CAPTION_IN
    sheet.box(MARGIN_IN, sheet.at, INNER_IN, row_in * len(rows) + _GAP_IN, DARK)
    for row in rows:
        left, top = start + _LETTER_IN, sheet.at + _GAP_IN + _LETTER_IN
        for (channel, outlined, plane), (width, height) in zip(row, sizes, strict=True):
            size = width * scale, height * scale
            corner = left, top + (tall - size[1]) / 2
            _panel(sheet.axes(*corner, *size), view, schema, plane, channel, outlined)
            _letters(sheet, plane, corner, size)
            name = f"{view.modalities[channel]}, {view.cut_name(plane, view.busiest_slice(plane))}"
            below: Style = {"color": LIGHT, "ha": "center"}
            under = top + tall + _LETTER_IN + 0.02
            sheet.text(left + size[0] / 2, under, printable(name), SMALL, **below)
            left += size[0] + 2 * _LETTER_IN + _GAP_IN
        sheet.at += row_in
    sheet.at += 2 * _GAP_IN
    _legend(sheet, view, schema, scale)


def _letters(
    sheet: Sheet, plane: Plane, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    """The sides of the patient around a picture, in inches from the corner of the page."""
    (left, top), (width, height) = corner, size
    usual: Style = {"color": LIGHT, "ha": "center"}
    for name, x, y in (
        (plane.left, -_LETTER_IN / 2, height / 2),
        (plane.right, width + _LETTER_IN / 2, height / 2),
        (plane.top, width / 2, -_LETTER_IN / 2),
        (plane.bottom, width / 2, height + _LETTER_IN / 2),
    ):
        sheet.text(left + x, top + y - LINE_IN / 2, name, **usual)


def _shown(view: View, schema: Schema) -> list[tuple[int, bool]]:
    """The channels of the two rows, and whether outlines are drawn: the usual ones, else those in
    which the innermost and the outermost region are seen best; of one alone also without outlines.
    """
    usual = [view.modalities.index(name) for name in _USUAL if name in view.modalities]
    if not view.prediction.any():
        return [(channel, False) for channel in usual] or [(0, False)]
    telling = telling_modalities(view, schema)[::-1]
    channels = [*dict.fromkeys((*usual, *telling))][:2]
    outlined = [(channel, True) for channel in channels]
    return outlined if len(channels) > 1 else [*outlined, (channels[0], False)]


def _panel(
    axes: Axes, view: View, schema: Schema, plane: Plane, channel: int, outlined: bool
) -> None:
    width, height = view.size_mm(plane)
    box, index = (0.0, width, 0.0, height), view.busiest_slice(plane)
    _grey(axes, cut(view.grey[..., channel], plane, index), box)
    if outlined:
        regions = classes_to_regions(cut(view.prediction, plane, index), schema)
        colours = [*region_colours(schema).values()]
        for first, line in enumerate(("solid", _DASHES)):
            outlines(axes, regions[..., first::2], box, colours[first::2], line)


def _grey(axes: Axes, grey: np.ndarray, box: Box) -> None:
    scan: Style = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "bilinear"}
    axes.imshow(grey, extent=box, **scan)


def _legend(sheet: Sheet, view: View, schema: Schema, inches_per_mm: float) -> None:
    """Colours of the outlines, length of the scale, and sides."""
    left = MARGIN_IN
    if view.prediction.any():
        for place, (name, colour) in enumerate(region_colours(schema).items()):
            if np.isin(view.prediction, schema.classes_of(name)).any():
                for dash in (0, 0.09) if place % 2 else (0, 0.07):
                    sheet.box(
                        left + dash, sheet.at + 0.06, 0.07 if place % 2 else 0.09, 0.035, colour
                    )
                sheet.text(left + 0.22, sheet.at, printable(name), SMALL)
                left += 0.38 + width_in(printable(name), SMALL)
    else:
        sheet.text(left, sheet.at, _NO_TUMOUR, weight="bold")
        left += width_in(_NO_TUMOUR, SIZE, "bold")
    sides = convention(schema)
    faint: Style = {"color": FAINT, "ha": "right"}
    length = max(mm for mm in _SCALES_MM if mm * inches_per_mm < 1 or mm == min(_SCALES_MM))
    start = RIGHT_IN - width_in(sides, SMALL) - 0.25 - length * inches_per_mm
    if left > start - 0.6:
        sheet.at += LINE_IN
    sheet.text(RIGHT_IN, sheet.at, sides, SMALL, **faint)
    if schema.dimensions == 3:
        sheet.box(start, sheet.at + 0.07, length * inches_per_mm, 0.02, INK)
        sheet.text(start - 0.06, sheet.at, f"{length} mm", SMALL, **faint)
    sheet.at += 0.25


def draw_lesion(sheet: Sheet, view: View, schema: Schema, region: str, lines: Measured) -> float:
    """The axial slice of the largest lesion of a region with its two diameters, enlarged, at the
    right margin; returns where it ends.
    """
    plane, channel = PLANES[0], _shown(view, schema)[0][0]
    left, top, shape = RIGHT_IN - DETAIL_IN, sheet.at, view.prediction.shape
    width, height = view.size_mm(plane)
    box = (0.0, width, 0.0, height)
    sheet.box(left, top, DETAIL_IN, DETAIL_IN, DARK)
    axes = sheet.axes(left, top, DETAIL_IN, DETAIL_IN)
    _grey(axes, cut(view.grey[..., channel], plane, lines.index), box)
    inside = np.isin(cut(view.prediction, plane, lines.index), schema.classes_of(region))
    outlines(axes, inside[..., None], box, [region_colours(schema)[region]], "solid")
    for ends in (lines.long_ends, lines.short_ends):
        x_mm = (shape[0] - 0.5 - ends[:, 0]) * view.spacing_mm[0]  # the right side is on the left
        y_mm = (ends[:, 1] + 0.5) * view.spacing_mm[1]
        axes.plot(x_mm, y_mm, color="white", linewidth=0.9)
        if ends is lines.long_ends:
            middle = float(x_mm.mean()), float(y_mm.mean())
    half = max(_LEAST_MM, _AROUND * lines.long_axis_mm) / 2
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    name = f"Largest lesion of {printable(region)}, {view.modalities[channel]}"
    top += DETAIL_IN + 0.03
    for text in (name, view.cut_name(plane, lines.index)):
        sheet.text(left, top, shortened(text, DETAIL_IN, SMALL), SMALL, color=FAINT)
        top += LINE_IN * 0.85
    return top
