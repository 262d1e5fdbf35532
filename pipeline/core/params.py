"""params.yaml -> frozen typed models, strictly."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import ScalarNode

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

RENAMED = {"unet": "network", "network.residual": "network.encoder"}
"""Section or dotted key of an older params.yaml -> its present name."""
REVALUED: dict[str, dict[Any, Any]] = {"network.encoder": {False: "plain", True: "residual"}}
"""Present name of a renamed key -> its present values by the older ones."""

RESTORE = "Fix it, or restore the last committed version: git checkout params.yaml."
"""What to do with a params.yaml that is no YAML."""

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class Cohort(Strict):
    """The section `cohort`: which cases, from where, and the seed of all random numbers.

    Attributes
    ----------
    source : str
        Name of a source, or ``package.module:attribute`` of the user's own.
    location : str
        Folder or archive, ``~`` expanded; empty where cases are generated or downloaded.
    cases : int
        Number of cases; 0 for all.
    unlabelled : {"refuse", "leave out"}
        What to do with cases that have no mask.
    corrections : str
        Folder of corrected cases that join the cohort for training; `core.extensions.NONE` for
        none.
    seed : int
        Of all random numbers.
    """

    source: str
    location: str
    cases: Count
    unlabelled: Literal["refuse", "leave out"]
    corrections: str
    seed: Count


class Compute(Strict):
    """The section `compute`: where work over cases runs. It does not affect results, so that no
    stage depends on it.

    Attributes
    ----------
    backend : {"loky", "dask", "ray"}
        Processes on this machine, or a cluster (both need their library).
    address : str
        Address of the scheduler of a cluster; empty for workers on this machine.
    workers : int
        Number of workers; 0 for one per core of this machine.
    """

    backend: Literal["loky", "dask", "ray"]
    address: str
    workers: Count


class OwnCode(Strict):
    """The section `own_code`: files or folders of the user's own modules, by the stage that uses
    them; `core.extensions.NONE` where there are none.
    """

    download: str
    augment: str
    train: str
    evaluate: str


_TAG = "tag:yaml.org,2002:"
_JSON_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")


class _Composer(Composer):
    """Rejects aliases: with them, a few lines can expand to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if isinstance(event, AliasEvent):
            raise ComposerError(
                problem="aliases (*) are not supported: write out the value",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)


class _Constructor(SafeConstructor):
    """Knows the types that JSON has; dates are text."""

    yaml_constructors: ClassVar[dict] = {  # type: ignore[misc]  # the stub declares no ClassVar
        **{
            f"{_TAG}{name}": SafeConstructor.yaml_constructors[f"{_TAG}{name}"]
            for name in _JSON_TAGS
        },
        **dict.fromkeys((f"{_TAG}timestamp", f"{_TAG}value"), SafeConstructor.construct_yaml_str),
        None: SafeConstructor.construct_undefined,
    }

    def check_mapping_key(
        self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any
    ) -> bool:
        if not isinstance(key_node, ScalarNode):
            raise ConstructorError(
                problem="a key must be a plain value", problem_mark=key_node.start_mark
            )
        return super().check_mapping_key(node, key_node, mapping, key, value)


def read_yaml(path: Path, remedy: str) -> Any:
    """Read a file as `parse_yaml`; InputError also if it cannot be opened or is not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {remedy}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}\n{remedy}") from None
    return parse_yaml(text, path, remedy)


def parse_yaml(text: str, where: Path | str, remedy: str) -> Any:
    """Parse one YAML 1.2 document, as DVC reads it, from a source that is not trusted.

    Parameters
    ----------
    text : str
        The document.
    where, remedy : str
        Its file, and what the user should do if it cannot be read, for messages.

    Returns
    -------
    dict, list, str, int, float, bool or None
        `on` and dates are text, `1e-4` is a number.

    Raises
    ------
    InputError
        If it is not YAML, repeats a key, or has an alias or a custom tag.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.Constructor = _Composer, _Constructor
    try:
        return yaml.load(text)
    except RecursionError:
        fault = f"it is nested too deeply. {remedy}"
    except (YAMLError, ValueError) as error:
        fault = f"{error}\n{remedy}"
    raise InputError(f"{where}: cannot be read as YAML: {fault}")


def read(path: Path) -> dict[str, Any]:
    """Read params.yaml as a dict from section name to section.

    InputError as of `read_yaml`, and if a section is unknown or missing.
    """
    values = read_yaml(path, RESTORE)
    if fault := sections_fault(values):
        raise InputError(f"{path}: {fault}")
    return values


def sections_fault(values: Any) -> str:
    """What is wrong with the names of the sections; empty if nothing is."""
    found = set(values) if isinstance(values, dict) else set()
    for old, new in RENAMED.items():
        if old in found and new not in found:
            return (
                f"the section {old} is called {new} now. Rename it, and add the keys that the next"
                " run reports as missing."
            )
    unknown = sorted(map(str, found - set(SECTIONS)))
    missing = [name for name in SECTIONS if name not in found]
    if unknown or missing:
        return (
            f"unknown sections {unknown}, missing sections {missing}; the sections are"
            f" {list(SECTIONS)}."
        )
    return ""


def value(values: dict[str, Any], key: str, kind: Any, path: Path) -> Any:
    """Read the typed value of a dotted key.

    Parameters
    ----------
    values : dict
        As returned by `read`.
    key : str
        Such as ``train`` or ``cohort.seed``.
    kind : type
        A `Strict` model for a section, or a plain type; of the value returned.
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value has another type or range; names key, file and
        value.
    """
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    try:
        return TypeAdapter(kind).validate_json(json.dumps(found))
    except ValidationError as error:
        raise InputError(explain(error, f"{path}: {key}", found)) from None


_ADVICE = {"extra_forbidden": ": remove it or correct its name", "missing": ": add it"}


def explain(error: ValidationError, where: str, values: Any = None) -> str:
    """One line per fault: place, key, what is wrong or allowed, and the value received.

    Parameters
    ----------
    error : ValidationError
    where : str
        Place of the validated values, such as their file.
    values : optional
        What was validated. With it, the errors about the kinds of value that a key may have are one
        line, for the kind that the value is most alike.
    """
    faults: dict[tuple[str, ...], list[Any]] = {}
    for finding in error.errors(include_url=False, include_context=False):
        place = finding["loc"] if values is None else _place(finding, values)
        faults.setdefault(tuple(map(str, place)), []).append(finding)
    within = {place[:depth] for place in faults for depth in range(len(place))}
    return "\n".join(
        _line(".".join([where, *place]), found)
        for place, found in faults.items()
        if values is None or place not in within
    )


def _place(finding: Any, values: Any) -> Iterator[int | str]:
    """The keys and numbers of an error's location, without the names of kinds of value."""
    for part in finding["loc"]:
        keys = range(len(values)) if isinstance(values, list) else values
        if isinstance(values, dict | list) and part in keys:
            yield part
            values = values[part]
    if finding["type"] == "missing":
        yield finding["loc"][-1]


def _line(place: str, findings: list[Any]) -> str:
    finding = findings[0]
    messages = dict.fromkeys(one["msg"].removeprefix("Value error, ") for one in findings)
    said, *others = messages
    said += "".join(f" or {other.removeprefix('Input should be ')}" for other in others)
    whole = finding["type"] == "value_error" and isinstance(finding["input"], dict)
    received = "" if finding["type"] == "missing" or whole else f", got {finding['input']!r}"
    advice = _ADVICE.get(finding["type"], "")
    return f"{place}: {said[0].lower()}{said[1:]}{advice}{received}"
