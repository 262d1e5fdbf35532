"""Numbers and tables as lines of a terminal."""

from collections.abc import Container, Iterator, Sequence

WIDTH = 118
"""Characters of a line in a terminal of 120 columns."""


def number(value: float, digits: int, sign: str = "") -> str:
    """A number with fixed digits; a dash for NaN."""
    return f"{value:{sign}.{digits}f}" if value == value else "-"


def aligned(rows: Sequence[Sequence[str]], left: Container[int] = (0,)) -> Iterator[str]:
    """Rows as lines with columns aligned to the right, or to the left where `left` holds the number
    of the column; closer together where the lines would not fit.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = " " if sum(widths) + 2 * (len(widths) - 1) > WIDTH else "  "
    for row in rows:
        padded = (
            f"{text:{'<' if column in left else '>'}{wide}}"
            for column, (text, wide) in enumerate(zip(row, widths, strict=True))
        )
        yield gap.join(padded).rstrip()


def interval(value: float, low: float, high: float, digits: int) -> str:
    """A value and the ends of its interval, such as ``0.880 [0.850, 0.900]``."""
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not 1."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
