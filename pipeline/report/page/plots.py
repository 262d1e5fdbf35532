"""A figure of the report with its words, where it was drawn."""

from collections.abc import Mapping

from .html import Html, picture

Figures = Mapping[str, tuple[bytes, bytes]]
"""Name to a PNG file, which goes into the page, and an SVG file."""


def plot(figures: Figures, name: str, alt: str, caption: str, class_: str = "plot") -> Html:
    """The figure of a name, or nothing if there is none.

    Parameters
    ----------
    figures : mapping
        As `pipeline.report.plots.figures.figures_of` gives them.
    name : str
        Which.
    alt : str
        What a reader who cannot see it must know.
    caption : str
        Stands below it.
    class_ : {"plot", "small plot"}
        See `pipeline.report.page.html.picture`.
    """
    return picture(figures[name][0], "png", alt, caption, class_) if name in figures else Html("")
