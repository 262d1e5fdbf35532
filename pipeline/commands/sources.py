"""List the sources that cohort.source can be set to, or show all that one of them declares."""

import argparse
import difflib
import json
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from ..cohorts import registry
from ..cohorts.fetching.fetch import Remote
from ..cohorts.registry import SOURCES
from ..cohorts.source import Source
from ..core.errors import InputError
from ..core.schema import Schema

NARROWEST, WIDEST = 80, 140
DESCRIBED = "yours"
EMPTY_RULES = {
    "brats": "of an empty region as in the challenge: Dice 1 if both are empty, 0 if one is",
    "nan": "of two empty regions undefined, left out of means; Dice 0 if one is empty",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("name", nargs="?", help="a source, or package.module:attribute")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> None:
    """Print the list, or one source."""
    one = arguments.name and named(arguments.name)
    chosen = [one] if one else list(SOURCES.values())
    if arguments.json:
        print(json.dumps([record(source) for source in chosen], indent=1))
        return
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    print("\n".join(details(one, width) if one else listing(chosen, width)))


def named(name: str) -> Source:
    """The source of a name or of package.module:attribute; InputError with the most similar name if
    there is none.
    """
    if name not in SOURCES and ":" not in name:
        nearest = difflib.get_close_matches(name, SOURCES, 1)
        raise InputError(
            f"{name}: no such source; {f'did you mean {nearest[0]}? ' if nearest else ''}there are"
            f" {', '.join(SOURCES)}, or your own as package.module:attribute."
        )
    return registry.source(name, "NAME")


def listing(sources: Sequence[Source], width: int) -> Iterator[str]:
    """Lines of a table of sources, `width` characters long, 80 or more."""
    rows = [_row(source) for source in sources]
    name = max(len(row[0]) for row in rows)
    modalities, labels = (7, 16) if width < 110 else (15, 28)
    widths = (name, 4, modalities, labels, width - name - 4 - modalities - labels - 8)
    yield from _wrapped(("source", "", "images", "labels", "what it is, and how to get it"), widths)
    yield "  ".join("-" * wide for wide in widths)
    for row in rows:
        yield from _wrapped(row, widths)
    yield ""
    yield from textwrap.wrap(
        "Everything of one: python -m pipeline sources NAME. More on each, and which preset runs"
        " it: docs/data.md",
        width,
    )


def _row(source: Source) -> tuple[str, str, str, str, str]:
    dimensions = sorted({schema.dimensions for schema in source.schemas})
    return (
        source.name,
        " ".join(f"{number}D" for number in dimensions) or "any",
        " ".join(_united(schema.modalities for schema in source.schemas)) or DESCRIBED,
        " ".join(_united(schema.labels for schema in source.schemas)) or DESCRIBED,
        f"{source.title}\n{_how(source)}",
    )


def _united(names: Iterable[Iterable[str]]) -> list[str]:
    """Distinct names in order."""
    return list(dict.fromkeys(name for some in names for name in some))


def _how(source: Source) -> str:
    if source.generate:
        return "Generated; nothing to download."
    if source.remotes:
        sizes = [remote.size for remote in source.remotes]
        more = " and more" if None in sizes else ""
        return f"Fetched by `download`: {_size(sum(size or 0 for size in sizes))}{more}."
    return re.split(r"[.,;:] ", source.access)[0].rstrip(".") + "."


def _wrapped(cells: Sequence[str], widths: Sequence[int], breaking: bool = True) -> Iterator[str]:
    """One row of a table with wrapped cells; long words are only broken if `breaking`."""
    columns = [
        [
            line
            for part in cell.splitlines()
            for line in textwrap.wrap(part, wide, break_on_hyphens=False, break_long_words=breaking)
        ]
        for cell, wide in zip(cells, widths, strict=True)
    ]
    for parts in zip_longest(*columns, fillvalue=""):
        padded = (f"{part:<{wide}}" for part, wide in zip(parts, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _size(size: int | None) -> str:
    if size is None:
        return "size not published"
    units = {"GB": 1e9, "MB": 1e6, "kB": 1e3, "bytes": 1}
    unit = next((unit for unit, length in units.items() if size >= length), "bytes")
    return f"{size / units[unit]:.3g} {unit}"


def details(source: Source, width: int) -> Iterator[str]:
    """Lines with everything that a source declares, `width` characters long, 80 or more."""
    yield f"{source.name}: {source.title}"
    for schema in source.schemas:
        yield ""
        yield f"{schema.cohort}, {schema.dimensions}D"
        yield from _listed(_of_schema(schema), width)
    yield ""
    pairs = [
        ("cohort", "" if source.schemas else "declared by you"),
        ("patient", source.patients),
        ("licence", source.licence),
        ("citation", source.citation),
        ("access", source.access),
        *(("fetched", _fetched(remote)) for remote in source.remotes),
    ]
    yield from _listed(pairs, width)


def _of_schema(schema: Schema) -> Iterator[tuple[str, str]]:
    yield "modalities", " ".join(schema.modalities)
    yield "labels", ", ".join(f"{value} {name}" for name, value in schema.labels.items())
    for region, members in schema.regions.items():
        yield "regions", region if members == (region,) else f"{region} = {' + '.join(members)}"
    yield "scores", EMPTY_RULES[schema.empty_rule]
    names = [name for name in (schema.merging_rules, schema.matching_rules) if name]
    rules = f"scored by the rules {' and '.join(names)}"
    yield "lesions", rules if names else "not scored one by one: no rules fit"


def _fetched(remote: Remote) -> str:
    checksum = remote.checksum or "no checksum published"
    return f"{remote.name}, {_size(remote.size)}, {checksum}\n{remote.url}"


def _listed(pairs: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Lines of name and text; empty texts are left out, a repeated name is printed once."""
    before = ""
    for name, text in pairs:
        if text:
            cells = ("", "" if name == before else name, text)
            yield from _wrapped(cells, (0, 10, width - 14), breaking=False)
            before = name


def record(source: Source) -> dict:
    """What a source declares, as plain values."""
    return {
        "name": source.name,
        "title": source.title,
        "generated": source.generate is not None,
        "schemas": [schema.model_dump(mode="json") for schema in source.schemas],
        "patients": source.patients,
        "licence": source.licence,
        "citation": source.citation,
        "access": source.access,
        "remotes": [vars(remote) for remote in source.remotes],
    }
