"""A segmentation without a reference: labels over the anatomy, one panel per plane."""

from matplotlib.patches import Patch

from ...core.regions import classes_to_regions
from ...core.schema import Schema
from .drawing import DARK, LIGHT, Style, blank, png, style
from .overlays import letters, outlines
from .palette import label_colours, painted, region_colours
from .planes import View, cut, planes_of

_PANEL_IN, _GAP_IN, _LINE_IN = 2.6, 0.08, 0.22
_FILL_ALPHA = 0.2
_SHOWN = ("t2f", "t1c")
"""The modality that is drawn of every case, and what replaces it where it is missing."""
_USE = "Research use only"


@style()
def segmentation_plot(view: View, schema: Schema, dpi: int) -> bytes:
    """Draw the slice with the largest tumour area in every plane, as a PNG file whose panels are
    2.6 inches wide, over t2f, else t1c, else the first modality: the same one for all complete
    cases. Labels are filled, regions outlined; the reference is not drawn.
    """
    planes = planes_of(view, schema)
    shown = next((name for name in _SHOWN if name in view.modalities), view.modalities[0])
    sizes = [view.size_mm(plane) for plane in planes]
    tallest = max(height / width for width, height in sizes) * _PANEL_IN
    width, height = len(planes) * (_PANEL_IN + _GAP_IN) + _GAP_IN, tallest + 4 * _LINE_IN
    figure = blank(width, height, DARK)
    small: Style = {"color": LIGHT, "fontsize": 8, "va": "center"}
    first, second = (1 - (line + 0.6) * _LINE_IN / height for line in range(2))
    for number, (plane, size) in enumerate(zip(planes, sizes, strict=True)):
        left = (_GAP_IN + number * (_PANEL_IN + _GAP_IN)) / width
        panel = (left, 1.5 * _LINE_IN / height, _PANEL_IN / width, tallest / height)
        axes = figure.add_axes(panel)
        box = (0, size[0], 0, size[1])
        index = view.busiest_slice(plane)
        grey = cut(view.grey[..., view.modalities.index(shown)], plane, index)
        axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=box, interpolation="bilinear")
        classes = cut(view.prediction, plane, index)
        fills = painted(classes, label_colours(schema), round(255 * _FILL_ALPHA))
        axes.imshow(fills, extent=box, interpolation="nearest")
        regions = classes_to_regions(classes, schema)
        outlines(axes, regions, box, region_colours(schema).values(), "solid")
        letters(axes, plane)
        axes.set_axis_off()
        figure.text(left, second, view.cut_name(plane, index), **small)
    edges = _GAP_IN / width, 1 - _GAP_IN / width
    figure.text(edges[0], first, f"{view.case}, {shown}", **small | {"weight": "bold"})
    figure.text(edges[0], 0.6 * _LINE_IN / height, _USE, **small)
    marks = [Patch(color=colour, label=name) for name, colour in label_colours(schema).items()]
    place: Style = {"loc": "lower right", "bbox_to_anchor": (edges[1], 0), "borderaxespad": 0.3}
    figure.legend(handles=marks, ncols=len(marks), labelcolor=LIGHT, frameon=False, **place)
    return png(figure, dpi)
