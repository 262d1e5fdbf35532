"""The packages that TumorFlow needs, as requirements.txt or the installed package lists them."""

import importlib.metadata
from contextlib import suppress
from pathlib import Path

from packaging.requirements import Requirement

_FILE = Path(__file__).parents[2] / "requirements.txt"
IN_PLACE_OF = {"tensorflow": ("tensorflow-cpu", "jax")}
"""Packages that can take the place of a required one."""


def required() -> list[Requirement]:
    """Every required package with its versions, extras left out; none if neither list is there."""
    lines: list[str] = []
    if _FILE.is_file():
        lines = [line.partition("#")[0] for line in _FILE.read_text(encoding="utf-8").splitlines()]
    else:
        with suppress(importlib.metadata.PackageNotFoundError):
            lines = importlib.metadata.requires("tumorflow") or []
    listed = [Requirement(line) for line in lines if line.strip()]
    return [one for one in listed if one.marker is None or one.marker.evaluate({"extra": ""})]


def installed(*names: str) -> dict[str, str]:
    """Versions of those of some packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
