"""How the report writes numbers, counts, intervals and plain values."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .html import Html, element, table

MISSING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals, never a negative zero; a dash for None and NaN."""
    return MISSING if value is None or value != value else f"{value:z.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """A number with its sign; a dash for None and NaN."""
    return MISSING if value is None or value != value else f"{value:+z.{digits}f}".replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval, ``0.812 to 0.879``; nothing where a bound is None or NaN."""
    return (
        ""
        if MISSING in (number(low), number(high))
        else f"{number(low, digits)} to {number(high, digits)}"
    )


def count(size: int, noun: str) -> str:
    """A number and what is counted, such as ``3 cases``."""
    return f"{size} {noun}" + "s" * (size != 1)


def small(text: str) -> Html:
    """Text that says more of what stands before it."""
    return element("small", text)


def taken_over(summary: Mapping[str, Any]) -> str:
    """Over how many cases a mean was taken, how many values of them a rule gave, and how many cases
    are left out.
    """
    parts = [f"n = {summary['cases']}"]
    if summary["filled"]:
        parts.append(f"{summary['filled']} by rule")
    if summary["undefined"]:
        parts.append(f"{summary['undefined']} undefined")
    return ", ".join(parts)


def plain(value: Any) -> str:
    """A JSON value as text; lists within a list by a cross, as in 240 × 240 × 155."""
    if isinstance(value, list | tuple):
        return (
            ", ".join(
                " × ".join(map(plain, item)) if isinstance(item, list | tuple) else plain(item)
                for item in value
            )
            or "none"
        )
    if value is None or value == "" or value == {}:
        return MISSING
    return f"{value:g}" if isinstance(value, float) else str(value)


def flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys as dotted names, with their values as text."""
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", plain(item)


def facts(pairs: Iterable[tuple[str, str]], caption: str) -> Html:
    """A table of names and what is to be said of each."""
    return element(
        "div",
        table(["what", "found"], [[name, text] for name, text in pairs], caption),
        class_="words",
    )
