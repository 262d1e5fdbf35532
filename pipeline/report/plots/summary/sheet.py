"""A page in inches from its top left corner."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..drawing import INK, RULE, Style, blank

WIDTH_IN, HEIGHT_IN, MARGIN_IN = 8.27, 11.69, 0.55
"""A4, upright."""
RIGHT_IN = WIDTH_IN - MARGIN_IN
INNER_IN = RIGHT_IN - MARGIN_IN
LINE_IN = 0.155
SIZE, SMALL = 8.0, 7.0
"""Of letters, in points."""


class Sheet:
    """A white page that is filled from the top: `at` is the place, in inches, of what comes next.

    Attributes
    ----------
    figure : Figure
    at : float
    """

    def __init__(self) -> None:
        self.figure: Figure = blank(WIDTH_IN, HEIGHT_IN)
        self.at = MARGIN_IN - 0.1

    def text(self, left: float, top: float, text: str, size: float = SIZE, **more: Any) -> None:
        """Write one line whose middle is half a line below `top`."""
        usual: Style = {"fontsize": size, "va": "center", "color": INK}
        self.figure.text(*_share(left, top + LINE_IN / 2), text, **usual | more)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """An empty panel."""
        x, y = _share(left, top + height)
        axes = self.figure.add_axes((x, y, width / WIDTH_IN, height / HEIGHT_IN))
        axes.set_axis_off()
        return axes

    def rule(self, top: float, right: float = RIGHT_IN) -> None:
        """A thin line from the left margin."""
        (x, y), (end, _) = _share(MARGIN_IN, top), _share(right, top)
        self.figure.add_artist(Line2D([x, end], [y, y], color=RULE, linewidth=0.6))

    def box(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle behind everything else."""
        size = width / WIDTH_IN, height / HEIGHT_IN
        corner = _share(left, top + height)
        self.figure.add_artist(Rectangle(corner, *size, facecolor=colour, linewidth=0, zorder=-1))

    def frame(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """The edge of a rectangle."""
        size = width / WIDTH_IN, height / HEIGHT_IN
        edge: Style = {"fill": False, "edgecolor": colour, "linewidth": 0.8}
        self.figure.add_artist(Rectangle(_share(left, top + height), *size, **edge))


def _share(left: float, top: float) -> tuple[float, float]:
    return left / WIDTH_IN, 1 - top / HEIGHT_IN
