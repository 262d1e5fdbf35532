"""Paper and ink: figures without global state, and PNG bytes that depend on nothing but what was drawn."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK, FAINT = "#24292f", "#6b7280"
DARK, LIGHT = "#000000", "#e6e8eb"

_STYLE = {
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
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with our settings, whatever a user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def blank(width_in: float, height_in: float, background: str = "white") -> Figure:
    """An empty figure of a size in inches."""
    figure = Figure(figsize=(width_in, height_in), facecolor=background)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure, dpi: int) -> bytes:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
        From `blank`.
    dpi : int
        Pixels per inch.

    Returns
    -------
    bytes
        A PNG file of three channels without metadata.
    """
    figure.set_dpi(dpi)
    figure.canvas.draw()
    file = io.BytesIO()
    Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()).save(file, "PNG")
    return file.getvalue()
