"""Figures without global state, and files whose bytes depend only on what was drawn."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

Files = tuple[bytes, bytes]
"""A PNG file for the screen and an SVG file for print."""

Style = dict[str, Any]
"""Keywords of a drawing function of Matplotlib."""

INK, FAINT, RULE = "#24292f", "#6b7280", "#c4c9d0"
DARK, LIGHT = "#000000", "#e6e8eb"
DASHED = (0, (5, 3))

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa1ab",
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": "#9aa1ab",
    "ytick.color": "#9aa1ab",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "tumorflow",
}


_GOLDEN = 0.6180339887498949
_COLUMNS = 4


@contextmanager
def style() -> Iterator[None]:
    """Draw with our settings and ignore a user's matplotlibrc; also a decorator."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def blank(width_in: float, height_in: float, background: str = "white") -> Figure:
    """An empty figure of a size in inches."""
    return Figure(figsize=(width_in, height_in), facecolor=background)


def panels(count: int, height_in: float) -> tuple[Figure, Sequence[Axes]]:
    """A figure 11 inches wide of so many panels in rows of the given height; few panels do not fill
    it.
    """
    across, down = min(count, _COLUMNS), -(-count // _COLUMNS)
    figure = blank(11, height_in * down)
    grid = figure.add_gridspec(down, max(across, 3))
    places = [divmod(number, _COLUMNS) for number in range(count)]
    return figure, [figure.add_subplot(grid[place]) for place in places]


def jitter(count: int, width: float) -> np.ndarray:
    """Offsets of dots across a width, neighbours far apart (golden ratio); 0 for a single dot."""
    return (np.arange(count) * _GOLDEN % 1 - 0.5) * width * (count > 1)


def dots(colour: str, size: float, edge: float = 0.5) -> Style:
    """Keywords of `Axes.plot` for dots with a white edge; size and edge in points."""
    return {
        "marker": "o",
        "linestyle": "",
        "markersize": size,
        "markerfacecolor": colour,
        "markeredgecolor": "white",
        "markeredgewidth": edge,
    }


def png(figure: Figure, dpi: int) -> bytes:
    """A figure as a PNG file of three channels without metadata."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    file = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).save(file, "PNG")
    return file.getvalue()


def drawn(figure: Figure, dpi: int) -> Files:
    """A figure for the screen and for print, texts of the latter as outlines, without date or
    program name; to be called within `style`.
    """
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return png(figure, dpi), file.getvalue()
