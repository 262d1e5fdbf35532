"""A segmentation without a reference: labels over the anatomy, one panel per plane."""

from matplotlib.patches import Patch

from ...core.schema import Schema
from .drawing import DARK, LIGHT, blank, png, style
from .palette import label_colours, painted
from .planes import View, cut, planes_of, telling_modalities

_PANEL_IN, _GAP_IN, _TEXT_IN = 2.6, 0.08, 0.35
_FILL_ALPHA = 102  # of 255


@style()
def segmentation_plot(view: View, schema: Schema, dpi: int) -> bytes:
    """Draw the slice with the largest tumour area in every plane, as a PNG file whose panels are
    2.6 inches wide; the reference is not drawn.
    """
    planes, channel = planes_of(view, schema), telling_modalities(view, schema)[0]
    sizes = [view.size_mm(plane) for plane in planes]
    tallest = max(height / width for width, height in sizes) * _PANEL_IN
    width, height = len(planes) * (_PANEL_IN + _GAP_IN) + _GAP_IN, tallest + 2 * _TEXT_IN
    colours = label_colours(schema)
    figure = blank(width, height, DARK)
    for number, (plane, size) in enumerate(zip(planes, sizes, strict=True)):
        left = (_GAP_IN + number * (_PANEL_IN + _GAP_IN)) / width
        axes = figure.add_axes((left, _TEXT_IN / height, _PANEL_IN / width, tallest / height))
        box = (0, size[0], 0, size[1])
        index = view.busiest_slice(plane)
        grey = cut(view.grey[..., channel], plane, index)
        axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=box, interpolation="bilinear")
        labels = painted(cut(view.prediction, plane, index), colours, _FILL_ALPHA)
        axes.imshow(labels, extent=box, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(view.cut_name(plane, index), color=LIGHT, fontsize=8, loc="left")
    name = f"{view.case}, {view.modalities[channel]}"
    figure.text(_GAP_IN / width, 0.02, name, color=LIGHT, fontsize=8)
    marks = [Patch(color=colour, label=label) for label, colour in colours.items()]
    figure.legend(
        handles=marks, loc="lower right", ncols=len(marks), labelcolor=LIGHT, frameon=False
    )
    return png(figure, dpi)
