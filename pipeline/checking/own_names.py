"""Whether a user's own ``package.module:attribute`` exists, without running any of its code."""

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def fault_of(name: str, key: str, code: str) -> Iterator[str]:
    """Why `core.extensions.resolve` would reject a name, as far as files tell; nothing else.

    Parameters
    ----------
    name : str
        ``package.module:attribute``.
    key : str
        Its dotted key.
    code : str
        The value of `own_code` for its stage; not for modules of Keras.
    """
    module, _, attribute = name.partition(":")
    if not attribute:
        yield f"{key} is {name!r}, expected your own as package.module:attribute."
        return
    spec = _found(module)
    said = f"{key} is {name!r}, but"
    if spec is None:
        yield f"{said} there is no module {module} in {Path.cwd()}, nor installed."
        return
    file = Path(spec.origin or "/")
    if file.suffix == ".py":
        try:
            names = _names_in(file)
        except (SyntaxError, ValueError, OSError) as error:
            yield f"{said} {file} cannot be read: {error}."
            return
        if names is not None and attribute not in names:
            yield f"{said} {file} defines no {attribute}."
    folder = Path(code).resolve()
    if not name.startswith("keras.") and folder not in (file.resolve(), *file.resolve().parents):
        yield (
            f"{said} own_code names {code}. Name the file or folder of {module} there, so that `dvc"
            " repro` notices when it changes."
        )


def _found(module: str) -> ModuleSpec | None:
    """Where a module is, seen from the current folder; no package around it is imported."""
    spec, path = None, [str(Path.cwd()), *sys.path]
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _names_in(file: Path) -> set[str] | None:
    """The names that a Python file may define; None if it may define others too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return None if names & {"*", "__getattr__"} else names
