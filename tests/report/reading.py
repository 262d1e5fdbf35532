"""A reader of the pages that are written."""

from html.parser import HTMLParser

VOID = {"br", "img", "input", "meta"}


class Page(HTMLParser):
    """Text, elements and attributes of a page or a piece of one; refuses elements that do not nest."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text, self.elements, self.open = "", [], []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not set(self.open) & {"script", "style"}:
            self.text += data

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
