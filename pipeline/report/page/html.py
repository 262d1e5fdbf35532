"""Pieces of a web page that opens from disk: text is escaped, pictures are inside, nothing is
fetched.
"""

import base64
import html
from collections.abc import Iterable, Sequence

STATIC = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Policy of a page without scripts: its own styles, and pictures inside it."""

INTERACTIVE = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    " 'wasm-unsafe-eval' blob:; worker-src blob:; connect-src data: blob:; font-src data:"
)
"""Policy of a page whose own scripts may read what the page itself holds; nothing may come from or
go to a network.
"""

_VOID = {"br", "img", "input", "meta"}


class Html(str):
    """Markup that is finished; any other text is escaped when it is put into an element."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str) -> Html:
    """One element.

    Parameters
    ----------
    tag : str
        Such as ``p``.
    *content : str or Html
        Text, which is escaped, and markup, which is not.
    **attributes : str
        By name, with ``_`` for ``-`` and a trailing ``_`` dropped (``class_``); values are escaped.

    Returns
    -------
    Html
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for name, value in attributes.items()
    )
    return Html(f"<{tag}{named}>{join(*content)}" + ("" if tag in _VOID else f"</{tag}>"))


def join(*content: str) -> Html:
    """Pieces one after the other, text escaped."""
    return Html(
        "".join(piece if isinstance(piece, Html) else html.escape(piece) for piece in content)
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> Html:
    """A table that scrolls sideways on a narrow screen.

    Parameters
    ----------
    header : sequence of str
        One per column.
    rows : iterable of sequences of str or Html
        The first cell heads its row; a cell that is a ``td`` already is taken as it is.
    caption : str
        What the table says, in a line.

    Returns
    -------
    Html
    """
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in header)))
    body = element(
        "tbody",
        *(element("tr", element("th", row[0], scope="row"), *map(_cell, row[1:])) for row in rows),
    )
    content = element("table", heading(caption), head, body)
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)


def heading(caption: str) -> Html:
    """The caption of a table, which stays in sight when the table is scrolled sideways."""
    return element("caption", element("span", caption))


def _cell(content: str) -> Html:
    return (
        content
        if isinstance(content, Html) and content.startswith("<td")
        else element("td", content)
    )


def picture(data: bytes, kind: str, alt: str, caption: str, class_: str) -> Html:
    """A picture with its caption.

    Parameters
    ----------
    data : bytes
        The file.
    kind : {"png", "gif", "webp"}
        Of the file.
    alt : str
        What a reader who cannot see it must know.
    caption : str or Html
        Stands below it.
    class_ : {"plot", "small plot", "scan", "film"}
        A plot is drawn on white and turned dark in dark mode, a scan and a film stay as they are;
        plots and scans are wide, so they scroll sideways on a narrow screen; small plots and films
        keep their size.

    Returns
    -------
    Html
    """
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    image = element("img", src=source, alt=alt, class_=class_)
    wide = {
        "class_": "scroll",
        "tabindex": "0",
        "role": "group",
        "aria_label": "picture, scrolls sideways on a narrow screen",
    }
    return element(
        "figure",
        image if class_ in ("film", "small plot") else element("div", image, **wide),
        element("figcaption", caption),
    )


def section(name: str, title: str, *content: str) -> Html:
    """A part of the page that the navigation points to, a landmark with its title as name."""
    return element(
        "section",
        element("h2", title, id=f"{name}-title"),
        *content,
        id=name,
        aria_labelledby=f"{name}-title",
    )


def script(code: str) -> Html:
    """Code of ours that runs when the page is open; it must not hold a closing tag."""
    return element("script", Html(code))


def document(title: str, style: str, *content: str, policy: str = STATIC) -> str:
    """A whole page, which its own policy forbids to load anything from anywhere.

    Parameters
    ----------
    title : str
        In the bar of the browser.
    style : str
        Style sheet.
    *content : str or Html
        What the page shows.
    policy : str
        Its Content-Security-Policy, `STATIC` or `INTERACTIVE`.

    Returns
    -------
    str
        HTML.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(style)),
    )
    return "<!doctype html>\n" + element("html", head, element("body", *content), lang="en") + "\n"
