"""Templates and assets of the report and the model card, and the notation of their numbers."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ..core.layout import counted

MISSING = "–"

ASSETS = Path(__file__).parent / "assets"
TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **context: Any) -> str:
    """Fill in a template, given by its path below templates/; text is escaped in those of HTML, not
    in those of Markdown. A name that the template uses and that is not given is an error.
    """
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (base64_of, counted, interval, listed, number, plain, signed, taken_over)
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def base64_of(data: bytes) -> Markup:
    """Bytes in base64."""
    return Markup(base64.b64encode(data).decode())


def base64_bytes(*files: bytes) -> int:
    """How many bytes files take in base64."""
    return sum(-(-len(file) // 3) * 4 for file in files)


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A number with fixed decimals, never a negative zero; a dash for None and NaN."""
    if value is None or value != value:
        return MISSING
    return f"{value:{sign}z.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """A number with its sign; a dash for None and NaN."""
    return number(value, digits, "+")


def interval(summary: Mapping[str, Any], name: str = "", digits: int = 3) -> str:
    """An interval, ``0.812 to 0.879``, of the bounds ``low`` and ``high`` of a summary, with
    ``name_`` before them if a statistic such as ``mean`` is named; empty where one is missing, None
    or NaN.
    """
    prefix = f"{name}_" if name else ""
    bounds = [number(summary.get(f"{prefix}{end}"), digits) for end in ("low", "high")]
    return "" if MISSING in bounds else " to ".join(bounds)


def listed(names: Iterable[str]) -> str:
    """Names joined as in a sentence, such as ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def taken_over(summary: Mapping[str, Any]) -> str:
    """The number of cases in a mean, of values that a rule gave, and of undefined values."""
    kinds = {"filled": "by rule", "undefined": "undefined"}
    counts = [f"{summary[kind]} {words}" for kind, words in kinds.items() if summary[kind]]
    return ", ".join([f"n = {summary['cases']}", *counts])


def plain(value: Any) -> str:
    """A JSON value as text; a list within a list is joined by crosses, as in 240 × 240 × 155."""
    if isinstance(value, list | tuple):
        items = [
            " × ".join(map(plain, item)) if isinstance(item, list | tuple) else plain(item)
            for item in value
        ]
        return ", ".join(items) or "none"
    if value is None or value == "" or value == {}:
        return MISSING
    return f"{value:g}" if isinstance(value, float) else str(value)


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys as dotted names, with their values as text."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", plain(item)
