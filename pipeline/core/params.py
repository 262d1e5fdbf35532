"""params.yaml -> frozen typed models, strictly."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from .errors import InputError
from .strict import Strict

SECTIONS = (
    "cohort",
    "compute",
    "native",
    "own_code",
    "preprocess",
    "split",
    "augment",
    "network",
    "train",
    "evaluate",
    "visualize",
)

RENAMED = {"unet": "network"}
"""Section of an older params.yaml -> its present name."""

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class Cohort(Strict):
    """The section `cohort`: which cases, from where, and the seed of every draw.

    Attributes
    ----------
    source : str
        Whose naming the files have.
    location : str
        Folder or archive, ``~`` expanded; empty where nothing or a public file is to be got.
    cases : int
        How many; 0 takes all.
    unlabelled : {"refuse", "leave out"}
        What to do with cases that have no mask.
    seed : int
        Of every draw.
    """

    source: str
    location: str
    cases: Count
    unlabelled: Literal["refuse", "leave out"]
    seed: Count


class Compute(Strict):
    """The section `compute`: where work over cases runs. No stage depends on it: the bytes are the
    same whichever.

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


_TAG = "tag:yaml.org,2002:"
# the core schema (YAML 1.2.2, 10.3.2): pattern, first characters, what the text means
_SCALARS = {
    "null": (r"|~|null|Null|NULL", ["", "~", "n", "N"], lambda text: None),
    "bool": (
        r"true|True|TRUE|false|False|FALSE",
        list("tTfF"),
        lambda text: text.lower() == "true",
    ),
    "int": (
        r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
        list("-+0123456789"),
        lambda text: int(text, 0 if text[:2] in ("0o", "0x") else 10),
    ),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
        lambda text: float(re.sub(r"\.(?=[in])", "", text.lower())),
    ),
}


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, DVC writes YAML 1.2: `1e-05` must be a number and `on` a text."""

    yaml_implicit_resolvers: ClassVar[dict] = {}
    yaml_constructors: ClassVar[dict] = {
        f"{_TAG}str": yaml.SafeLoader.construct_yaml_str,
        f"{_TAG}seq": yaml.SafeLoader.construct_yaml_seq,
        None: yaml.SafeLoader.construct_undefined,
    }

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        """Aliases, by which a few lines can stand for gigabytes, are refused."""
        if self.check_event(yaml.AliasEvent):
            self._refuse("it holds an alias (*): write out what it stands for", self.peek_event())
        return super().compose_node(parent, index)

    def construct_distinct(self, node: yaml.MappingNode) -> dict:
        """A mapping in which no key stands twice."""
        if not isinstance(node, yaml.MappingNode):
            self._refuse("what is said to be a mapping is none", node)
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse("a key is no plain value", key_node)
            key = self.construct_object(key_node)
            if key in found:
                self._refuse(f"key {key!r} stands twice", key_node)
            found[key] = self.construct_object(value_node, deep=True)
        return found

    def construct_core(self, node: yaml.ScalarNode) -> Any:
        """A scalar that is no text."""
        pattern, _, meaning = _SCALARS[node.tag.removeprefix(_TAG)]
        if not isinstance(node, yaml.ScalarNode) or not re.fullmatch(pattern, node.value):
            self._refuse(f"{str(node.value)[:40]!r} is no {node.tag.removeprefix(_TAG)}", node)
        return meaning(node.value)

    def _refuse(self, finding: str, place: yaml.Node | yaml.Event) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, finding, place.start_mark)


_Loader.add_constructor(f"{_TAG}map", _Loader.construct_distinct)
for _name, (_pattern, _first, _) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), _first)
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader.construct_core)


def read_yaml(path: Path, remedy: str) -> Any:
    """Read a file of one YAML 1.2 document, trusting nothing of it.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.
    remedy : str
        What the user should do if it cannot be read.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Scalars by the core schema (YAML 1.2.2, 10.3): `on` and dates are text.

    Raises
    ------
    InputError
        If the file cannot be opened, is no YAML, repeats a key, or holds an alias or a tag of
        another schema.
    """
    try:
        return _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {remedy}") from None
    except RecursionError:
        raise InputError(
            f"{path}: cannot be read as YAML: it is nested too deeply. {remedy}"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}\n{remedy}") from None


def read(path: Path) -> dict[str, Any]:
    """Read params.yaml.

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
        As `read_yaml`, and if the file holds an unknown or misses a known section.
    """
    values = read_yaml(
        path, "Mend it, or bring back the last committed one: git checkout params.yaml."
    )
    found = set(values) if isinstance(values, dict) else set()
    for old, new in RENAMED.items():
        if old in found and new not in found:
            raise InputError(
                f"{path}: the section {old} is called {new} now. Rename it, and add the keys that"
                " the next run reports as missing."
            )
    unknown, missing = (
        sorted(map(str, found - set(SECTIONS))),
        [name for name in SECTIONS if name not in found],
    )
    if unknown or missing:
        raise InputError(
            f"{path}: unknown sections {unknown}, missing sections {missing}; the sections are"
            f" {list(SECTIONS)}."
        )
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
        If a key is unknown or missing or a value has another type or range; names key, file and
        value.
    """
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        raise InputError(explain(error, f"{path}: {key}")) from None


_ADVICE = {"extra_forbidden": ": remove it or mend its name", "missing": ": add it"}


def explain(error: ValidationError, where: str) -> str:
    """One line per finding of a validation: where, which key, what was wrong, what was received."""
    lines = []
    for finding in error.errors(include_url=False, include_context=False):
        place = ".".join([where, *map(str, finding["loc"])])
        received = "" if finding["type"] == "missing" else f", got {finding['input']!r}"
        advice = _ADVICE.get(finding["type"], "")
        lines.append(f"{place}: {finding['msg'][0].lower()}{finding['msg'][1:]}{advice}{received}")
    return "\n".join(lines)
