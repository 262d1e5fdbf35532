"""A reader of the pages that are written."""

import re
from html.parser import HTMLParser

from pipeline.report.page.report import report_page
from pipeline.report.results import Run

VOID = {"br", "img", "input", "meta"}


class Page(HTMLParser):
    """Text, elements and attributes of a page or a part of it, and its controls without a name;
    fails if elements do not nest.
    """

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.markup, self.elements, self.open, self.unnamed = markup, [], [], []
        self._pieces: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        """Texts of the elements, with one space between words."""
        return " ".join(" ".join(self._pieces).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        named = "label" in self.open or "aria-label" in dict(attributes)
        if tag in ("input", "select") and not named:
            self.unnamed.append(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not set(self.open) & {"script", "style"}:
            self._pieces.append(data)

    def all(self, name, attribute):
        """The values of an attribute of all elements of a name that have it."""
        return [
            attributes[attribute]
            for tag, attributes in self.elements
            if tag == name and attribute in attributes
        ]

    def has(self, name, **attributes):
        """Whether an element of a name has these attributes."""
        return any(
            tag == name and attributes.items() <= found.items() for tag, found in self.elements
        )


def head_of(run: Run) -> Page:
    """The head of the report of a run."""
    return Page(re.search(r"<header.*?</header>", report_page(run, {}), re.DOTALL)[0])


def section_of(run: Run, name: str, *figures: str) -> Page | None:
    """A section of the report of a run with some figures; None where it is left out."""
    page = report_page(run, {figure: (figure.encode(), b"") for figure in figures})
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    return Page(found[0]) if found else None
