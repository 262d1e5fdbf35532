"""params.yaml -> frozen typed models, strictly."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.domain.errors import InputError
from pipeline.domain.strict import Strict

SECTIONS = ("cohort", "compute", "native", "preprocess", "split", "augment", "unet", "train", "evaluate", "visualize")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class Cohort(Strict):
    """The section `cohort`: which cases, from where, and the seed of every draw."""

    source: str
    location: str
    cases: Count
    seed: Count


class Compute(Strict):
    """The section `compute`: where work over cases runs. No stage depends on it: the bytes are the same whichever.

    Attributes
    ----------
    backend : {"loky", "dask", "ray"}
        Processes of this machine, or a cluster (both need their library).
    address : str
        Of the scheduler of a cluster; empty for workers on this machine.
    workers : int
        0 takes one for every core of this machine.
    """

    backend: Literal["loky", "dask", "ray"]
    address: str
    workers: Count


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, DVC writes YAML 1.2: `1e-05` must be a number and `on` a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float", ":int", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


def _no_repeated_keys(loader: _Loader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key) for key, _ in node.value]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise yaml.constructor.ConstructorError(None, None, f"key {repeated[0]!r} stands twice", node.start_mark)
    return loader.construct_mapping(node)


_Loader.add_constructor("tag:yaml.org,2002:map", _no_repeated_keys)


def read(path: Path) -> dict[str, Any]:
    """Read params.yaml as YAML 1.2 scalars.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Section name to section.

    Raises
    ------
    InputError
        If the file is missing, is not YAML, repeats a key, or holds an unknown or misses a known section.
    """
    try:
        values = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from None
    found = set(values) if isinstance(values, dict) else set()
    unknown, missing = sorted(map(str, found - set(SECTIONS))), [name for name in SECTIONS if name not in found]
    if unknown or missing:
        raise InputError(f"{path}: unknown sections {unknown}, missing sections {missing}; the sections are {list(SECTIONS)}.")
    return values


def value(values: dict[str, Any], key: str, kind: Any, path: Path) -> Any:
    """Read the typed value of a dotted key.

    Parameters
    ----------
    values : dict
        What `read` gave.
    key : str
        Such as ``train`` or ``cohort.seed``.
    kind : type
        A `Strict` model for a section, or a plain type.
    path : Path
        The file, for the message.

    Returns
    -------
    instance of kind

    Raises
    ------
    InputError
        If a key is unknown or missing or a value has another type or range; names key, file and value.
    """
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        raise InputError(explain(error, f"{path}: {key}")) from None


def explain(error: ValidationError, where: str) -> str:
    """One line per finding of a validation: where, which key, what was wrong, what was received."""
    lines = []
    for finding in error.errors(include_url=False, include_context=False):
        place = ".".join([where, *map(str, finding["loc"])])
        received = "" if finding["type"] == "missing" else f", got {finding['input']!r}"
        advice = ": remove it or mend its name" if finding["type"] == "extra_forbidden" else ""
        lines.append(f"{place}: {finding['msg'][0].lower()}{finding['msg'][1:]}{advice}{received}")
    return "\n".join(lines)
