"""The packages that TumorFlow needs, as requirements.txt or the installed package lists them."""

import importlib.metadata
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

_FILE = Path(__file__).parents[2] / "requirements.txt"
BACKENDS = ("tensorflow", "jax")
"""Of Keras, that this project supports."""
IN_PLACE_OF = {"tensorflow": ("tensorflow-cpu", "jax")}
"""Packages that can take the place of a required one."""


def required() -> list[Requirement]:
    """Every required package with its versions, extras left out; none if neither list is there."""
    lines: list[str] = []
    if _FILE.is_file():
        lines = _FILE.read_text(encoding="utf-8").splitlines()
    else:
        with suppress(importlib.metadata.PackageNotFoundError):
            lines = importlib.metadata.requires("tumorflow") or []
    texts = (line.partition("#")[0].strip() for line in lines)
    listed = [Requirement(text) for text in texts if text]
    return [one for one in listed if one.marker is None or one.marker.evaluate({"extra": ""})]


def keras_backend() -> str:
    """Name of the backend that Keras will choose, without loading it; as `network.backend`."""
    usual = "tensorflow" if find_spec("tensorflow") else "jax"
    return os.environ.get("KERAS_BACKEND", usual)


def installed(*names: str) -> dict[str, str]:
    """Versions of those of some packages that are installed."""
    found = {}
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
