"""Text of any origin on a page of fixed size: only glyphs of the font, within a width."""

import unicodedata
from collections.abc import Callable
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

ELLIPSIS = "…"
_FAMILY = "DejaVu Sans"
_POINTS_PER_INCH = 72
_NO_GLYPH = "\N{REPLACEMENT CHARACTER}"
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of Unicode: among them line breaks, and characters that turn the direction of text."""


def printable(text: str) -> str:
    """The text in one line, white space as single spaces; a mark stands for each character that is
    invisible or has no glyph.
    """
    known = _glyphs()
    return " ".join(
        "".join(
            each
            if each.isspace()
            or (ord(each) in known and unicodedata.category(each) not in _INVISIBLE)
            else _NO_GLYPH
            for each in text
        ).split()
    )


def width_in(text: str, size: float, weight: str = "normal") -> float:
    """Width in inches of printable text, at a size in points."""
    font = FontProperties(family=_FAMILY, size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, False)[0] / _POINTS_PER_INCH


def shortened(text: str, most_in: float, size: float, weight: str = "normal") -> str:
    """The text without its middle where it is wider than `most_in` inches: cases of a cohort often
    differ in the end of their names.
    """

    def fits(shown: str) -> bool:
        return width_in(shown, size, weight) <= most_in

    if fits(text):
        return text
    return _without_middle(text, _most(len(text), lambda kept: fits(_without_middle(text, kept))))


def wrapped(text: str, most_in: float, size: float, lines: int) -> list[str]:
    """The text in at most so many lines, each within `most_in` inches; words wider than a line are
    broken, and the last line ends in an ellipsis where text is left out.
    """
    found, rest = list[str](), text
    while rest and len(found) < lines:
        count = _fitting(rest, most_in, size)
        if count < len(rest):
            space = rest.rfind(" ", 1, count + 1)
            count = space if space > 0 else max(count, 1)
        found.append(rest[:count].strip())
        rest = rest[count:].strip()
    if rest:
        kept = _fitting(found[-1], most_in - width_in(ELLIPSIS, size), size)
        found[-1] = f"{found[-1][:kept].rstrip()}{ELLIPSIS}"
    return found


def _fitting(text: str, most_in: float, size: float) -> int:
    """How many characters from the start are within a width."""
    return _most(len(text), lambda count: width_in(text[:count], size) <= most_in)


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}{ELLIPSIS}{text[len(text) - kept // 2 :]}"


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """The largest of 0 to `count` that fits, where no number above one that does not fit does."""
    low, high = 0, count
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


@cache
def _glyphs() -> frozenset[int]:
    """Code points of the font."""
    return frozenset(get_font(findfont(FontProperties(family=_FAMILY))).get_charmap())
