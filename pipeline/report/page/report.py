"""The report of a run: what was tried on what, how well it went, and what that looks like."""

from .calibration import calibration
from .cases import cases_table
from .data import data, verification
from .definitions import definitions
from .html import INTERACTIVE, Html, document, element, script, section
from .lesions import lesions
from .pictures import STILL, case_pictures
from .plots import Figures, plot
from .provenance import model, provenance
from .run import Run
from .scores import scores
from .sortable import SCRIPT
from .stylesheet import STYLE
from .types import types
from .verdict import limits, verdict

PAGE_BYTES = 24_900_000
"""Pictures of cases are put into the page, worst case first, until it would be longer; the rest are
named.
"""


def report_page(run: Run, figures: Figures) -> str:
    """Write the report.

    Parameters
    ----------
    run : Run
        What to show. Parts without data are left out.
    figures : mapping
        As `pipeline.report.plots.figures.figures_of` gives them.

    Returns
    -------
    str
        One HTML page with everything in it, which loads nothing.
    """
    parts = {
        "scores": ("Scores", scores(run, figures)),
        "lesions": ("Lesions", lesions(run, figures)),
        "types": ("Tumour types", types(run, figures)),
        "cases": ("Case by case", cases_table(run)),
        "pictures": ("Pictures", Html("")),
        "viewer": ("Viewer", run.viewer or Html("")),
        "calibration": ("Calibration", calibration(run, figures)),
        "training": ("Training", _training(figures)),
        "data": ("Data", data(run)),
        "verification": ("Verification", verification(run)),
        "definitions": ("Definitions", definitions(run)),
        "provenance": ("Repeat it", provenance(run)),
        "model": ("Model", model(run)),
        "limits": ("Limits", limits(run)),
    }
    head = verdict(run)
    taken = sum(
        len(piece.encode())
        for piece in (head, STYLE, SCRIPT, STILL, *(content for _, content in parts.values()))
    )
    parts["pictures"] = ("Pictures", case_pictures(run, PAGE_BYTES - taken))
    shown = {name: part for name, part in parts.items() if part[1]}
    links = element(
        "nav",
        *(element("a", title, href=f"#{name}") for name, (title, _) in shown.items()),
        aria_label="Parts of the report",
    )
    sections = [section(name, title, content) for name, (title, content) in shown.items()]
    title = f"TumorFlow report: {run.schema.cohort}"
    return document(
        title,
        STYLE,
        head,
        links,
        element("main", *sections),
        script(SCRIPT + STILL),
        policy=INTERACTIVE,
    )


def _training(figures: Figures) -> Html:
    alt = (
        "Three plots over epochs: training and validation loss, Dice on the validation patches for"
        " each region and label, learning rate."
    )
    caption = (
        "The validation cases steer training, so their Dice flatters; the scores above are those of"
        " cases that training never saw."
    )
    return plot(figures, "learning_curves", alt, caption)
