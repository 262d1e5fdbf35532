"""params.yaml as text: values are set and keys are added, comments and layout stay."""

import difflib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.representer import RoundTripRepresenter

from ..core import params
from ..core.errors import InputError
from ..core.records import write_bytes

_PACKAGE = Path(__file__).parents[1]
PRESETS = (_PACKAGE if (_PACKAGE / "presets").is_dir() else _PACKAGE.parent) / "presets"
"""Within the package where it is installed, beside it in a clone."""
DEFAULTS = PRESETS / "phantom.yaml"
SCHEMA = PRESETS / "params.schema.json"
"""JSON schema of params.yaml; ``python -m pipeline schema`` writes it."""


class _Representer(RoundTripRepresenter):
    """Writes null as params.yaml does, in letters."""


_Representer.add_representer(
    type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml


def read_text(path: Path) -> str:
    """Read a YAML file as text; InputError if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}). Run this in the folder that holds params.yaml."
        ) from None


def parse(text: str, where: Path | str) -> Any:
    """Parse YAML; mappings keep the comments for `written`. InputError if it is not YAML."""
    try:
        return _yaml().load(text)
    except YAMLError as error:
        raise InputError(f"{where}: cannot be read as YAML: {error}") from None


def written(values: Any) -> str:
    """The text of what `parse` returned, with its comments."""
    buffer = io.StringIO()
    _yaml().dump(values, buffer)
    return buffer.getvalue()


def comment_of(values: Any, key: str) -> str:
    """The comment behind a key, without its mark; empty where there is none."""
    _, _, behind, before_value = values.ca.items.get(key, [None] * 4)
    found = behind or (before_value[0] if before_value else None)
    return found.value.partition("\n")[0].lstrip("# ").rstrip() if found else ""


FREE = ("evaluate.postprocess.thresholds", "network.options")
"""Keys whose value is a mapping with names of the user's own, so that it is set as a whole."""


def leaves(preset: Any, params: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a preset, as deep as params.yaml has keys to set."""
    if isinstance(preset, Mapping) and isinstance(params, Mapping) and name not in FREE:
        for key, value in preset.items():
            yield from leaves(value, params.get(key), f"{name}.{key}".removeprefix("."))
    else:
        yield name, preset


def set_value(values: Any, key: str, value: Any, where: str) -> None:
    """Set a dotted key that exists; an equal value keeps its spelling."""
    *parents, last = key.split(".")
    for depth, part in enumerate([*parents, last]):
        if not isinstance(values, Mapping) or part not in values:
            inside = f"{'.'.join(parents[:depth])} has " if depth else "the sections are "
            names = ", ".join(map(str, values)) if isinstance(values, Mapping) else "no keys"
            raise InputError(f"{where}: no key {key}; {inside}{names}.")
        if depth < len(parents):
            values = values[part]
    if isinstance(values[last], Mapping) and key not in FREE:
        inner = ", ".join(f"{key}.{name}" for name in values[last])
        raise InputError(f"{where}: {key} is a group; set one of {inner}.")
    if values[last] != value or isinstance(values[last], bool) != isinstance(value, bool):
        _end_comment(values, last)
        values[last] = value


def _end_comment(values: Any, key: str) -> None:
    """End the comment behind a key at its line. DVC writes a list below its key, and ruamel.yaml
    would wait for that after the comment and lose a line break.
    """
    items = values.ca.items.get(key) if isinstance(values, CommentedMap) else None
    if items and items[3] is not None:
        items[2], items[3] = items[2] or next(iter(items[3]), None), None


def replaced(path: Path, before: str, after: str) -> str:
    """Write the new text of params.yaml; the change as a unified diff, or that there is none."""
    if after == before:
        return f"{path} has these values already."
    write_bytes(path, after.encode())
    lines = before.splitlines(True), after.splitlines(True)
    return "".join(difflib.unified_diff(*lines, str(path), str(path), n=0)).rstrip("\n")


def complete(text: str, path: Path) -> tuple[str, list[str]]:
    """Bring the text of an older params.yaml up to date. No value of the user is changed.

    Returns
    -------
    text : str
        With the present names (`core.params.RENAMED`) and with every key that the JSON schema
        requires; a missing key gets the value and the comment of presets/phantom.yaml.
    changes : list of str
        One sentence each, such as ``added train.clip_norm: 12.0``.

    Raises
    ------
    InputError
        If the file is not a YAML mapping.
    """
    values = parse(text, path)
    if not isinstance(values, CommentedMap):
        raise InputError(
            f"{path}: holds no sections. Copy the committed file: git checkout params.yaml."
        )
    done = list(_rename(values))
    defaults = parse(read_text(DEFAULTS), DEFAULTS)
    for parent, key in _missing(values, json.loads(SCHEMA.read_text(encoding="utf-8"))):
        done.append(_add(values, defaults, parent, key))
    return (written(values) if done else text), done


def advice(path: Path) -> str:
    """The lines to add to an incomplete params.yaml; empty where no key is missing or renamed."""
    try:
        _, done = complete(read_text(path), path)
    except (InputError, OSError):
        done = []
    head = ["`python -m pipeline doctor --fix` updates the file:"] if done else []
    return "\n".join([*head, *(f"  {line}" for line in done)])


def _rename(values: CommentedMap) -> Iterator[str]:
    """Rename keys in place, as `core.params.RENAMED` says: dotted old name to new last part; and
    give them the values of `REVALUED`.
    """
    for old, new in params.RENAMED.items():
        *parents, key = old.split(".")
        name = new.rpartition(".")[2]
        section: Any = values
        for part in parents:
            section = section.get(part) if isinstance(section, Mapping) else None
        if not isinstance(section, CommentedMap) or key not in section or name in section:
            continue
        value = section[key]
        if isinstance(value, bool | int | str):
            value = params.REVALUED.get(new, {}).get(value, value)
        section.insert(list(section).index(key), name, value)
        if key in section.ca.items:
            section.ca.items[name] = section.ca.items.pop(key)
        del section[key]
        yield f"renamed {old} to {'.'.join([*parents, name])}"


def _missing(values: Any, schema: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Dotted parent and name of each key that a JSON schema requires and the values lack."""
    if not isinstance(values, Mapping):
        return
    for key, inner in schema.get("properties", {}).items():
        if key in values:
            yield from _missing(values[key], inner, f"{within}.{key}".removeprefix("."))
        elif key in schema.get("required", ()):
            yield within, key


def _add(section: CommentedMap, default: CommentedMap, parent: str, key: str) -> str:
    """Insert a key of presets/phantom.yaml after the one that it follows there."""
    for part in filter(None, parent.split(".")):
        section, default = section[part], default[part]
    before = [name for name in list(default)[: list(default).index(key)] if name in section]
    place = list(section).index(before[-1]) + 1 if before else 0
    section.insert(place, key, default[key])
    if key in default.ca.items:
        section.ca.items[key] = default.ca.items[key]
    shown = "default values" if isinstance(default[key], Mapping) else json.dumps(default[key])
    return f"added {f'{parent}.{key}'.removeprefix('.')}: {shown}"
