"""A user's own source, network, loss, schedule, transform or metric, where params.yaml names ours.

``package.module:attribute`` is imported from the folder that the pipeline runs in. The section
`own_code` names the file or folder that holds it, so that DVC runs the stage again when it changes.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .records import sha256

NONE = "pipeline/__init__.py"
"""What `own_code` names where there is none: a file that never changes."""


def resolve(name: str, known: Mapping[str, Any], key: str, code: str | None = None) -> Any:
    """The object that a value of params.yaml names.

    Parameters
    ----------
    name : str
        A key of `known`, which holds ours, or ``package.module:attribute``.
    key : str
        The dotted key of params.yaml, or the option of a command, that has the name, for messages.
    code : str, optional
        The value of `own_code` for this stage, a path; where it is given, a module outside of it is
        an error, for DVC would miss its changes.

    Raises
    ------
    InputError
        If the name is neither, if the module cannot be imported, lacks the attribute, or is not
        part of `code`.
    """
    if name in known:
        return known[name]
    place = f"params.yaml: {key}" if "." in key else key
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise InputError(
            f"{place} is {name!r}. Set it to one of {', '.join(known)}, "
            "or to your own as package.module:attribute (docs/extending.md)."
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
        found = getattr(module, attribute)
    except (ImportError, SyntaxError, AttributeError) as error:
        raise InputError(
            f"{place} is {name!r}, which cannot be imported: {error}. Check that"
            f" {module_name.replace('.', '/')}.py lies in {Path.cwd()} and defines {attribute}."
        ) from error
    if code is not None and not _is_part_of(module, code):
        raise InputError(
            f"{place} is {name!r}, but own_code names {code}. Name the file or folder of"
            f" {module_name} there, so that `dvc repro` notices when it changes."
        )
    return found


def sha256_of(*codes: str) -> list[str]:
    """Hashes of the Python files of some values of `own_code`."""
    folders = [Path(code) for code in sorted(set(codes) - {NONE})]
    files = [file for path in folders for file in sorted(path.rglob("*.py")) or [path]]
    return [sha256(file) for file in files]


def sha256_of_imported() -> list[str]:
    """Hashes of the Python files below the current folder that are imported, those of this package
    and of installed ones left out.
    """
    package, here = __name__.partition(".")[0], f"{Path.cwd()}/"
    places = {
        getattr(module, "__file__", None) or ""
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] != package
    }
    own = [place for place in sorted(places) if place.startswith(here)]
    return [sha256(Path(place)) for place in own if "/site-packages/" not in place]


def _is_part_of(module: Any, code: str) -> bool:
    file = Path(getattr(module, "__file__", None) or "/").resolve()
    folder = Path(code).resolve()
    return folder == file or folder in file.parents
