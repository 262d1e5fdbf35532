"""The version of this code."""

import importlib.metadata
import tomllib
from pathlib import Path

from .programs import state_of_code

_CLONE = Path(__file__).parents[2]
_ABOUT = _CLONE / "pyproject.toml"


def version() -> str:
    """Version of the package; of a clone also its commit, and whether the code differs from it;
    "unknown" of a copy of the package alone, such as the code of a model in MLflow.
    """
    if not _ABOUT.is_file():
        try:
            return importlib.metadata.version("tumorflow")
        except importlib.metadata.PackageNotFoundError:
            return "unknown"
    number = tomllib.loads(_ABOUT.read_text(encoding="utf-8"))["project"]["version"]
    commit, changed = state_of_code(_CLONE)
    state = f" (commit {commit[:10]}{', changed' if changed else ''})" if commit else ""
    return f"{number}{state}"
