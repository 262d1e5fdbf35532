"""Set a group of values in params.yaml, and show what changed. Without a name: list the presets.

    python -m pipeline preset brats-cpu cohort.location=../brats2021

Comments and layout of params.yaml stay; a value that a stage would reject is not written. A preset
holds sections and keys as params.yaml does; its head says the command, hardware, cost and expected
score. `preset phantom` restores the default values.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..checking.params_file import Checked, check, reject
from ..core.errors import InputError
from ..core.params import RESTORE, parse_yaml
from ..runtime.errors import called_as
from ..runtime.params_file import PRESETS, leaves, parse, read_text, replaced, set_value, written

_LOCATION = "cohort.location="
_PLACES = (_LOCATION, "cohort.corrections=")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("name", nargs="?", help="of a file in presets/, without .yaml")
    parser.add_argument(
        "values",
        nargs="*",
        metavar="key=value",
        help="further values, such as cohort.location=../brats2021",
    )
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="default: params.yaml"
    )


def run(arguments: argparse.Namespace) -> None:
    """List the presets, or apply one, print the change as a unified diff and what to do next."""
    if arguments.name is None:
        print(listing())
        return
    path = arguments.params
    before = read_text(path)
    after = changed(before, arguments.name, arguments.values, path)
    found = _accepted(before, after, arguments.values, path)
    print(replaced(path, before, after))
    for fault in (*found.faults, *found.missing):
        print(f"warning: {fault}")
    print(_next_step(arguments.name, after, found))


def _accepted(before: str, after: str, pairs: Sequence[str], path: Path) -> Checked:
    """What is wrong with the new text.

    Raises
    ------
    InputError
        If the change brings a fault with it, or names a location that is not there.
    """
    found = check(parse_yaml(after, path, RESTORE), path)
    old = check(parse_yaml(before, path, RESTORE), path).faults if found.faults else []
    brought = [fault for fault in found.faults if fault not in old]
    given = any(pair.startswith(_PLACES) and pair not in _PLACES for pair in pairs)
    reject([*brought, *(found.missing if given else ())], path)
    return found


def _next_step(name: str, text: str, found: Checked) -> str:
    if found.faults:
        return f"next: correct {found.faults[0].partition(':')[0]}\nthen: dvc repro"
    if found.missing and not parse(text, name)["cohort"]["location"]:
        return f"next: {called_as()} preset {name} {_LOCATION}FOLDER\nthen: dvc repro"
    return "next: dvc repro"


def listing() -> str:
    """Names of all presets, each with the comment at its head."""
    heads = ((path.stem, _head(path)) for path in sorted(PRESETS.glob("*.yaml")))
    return "\n\n".join("\n".join([name, *(f"    {line}" for line in head)]) for name, head in heads)


def _head(path: Path) -> Iterator[str]:
    for line in read_text(path).splitlines():
        if not line.startswith("#"):
            return
        yield line.removeprefix("#").strip()


def changed(text: str, name: str, pairs: Sequence[str], path: Path) -> str:
    """The text of params.yaml with the values of a preset, then of ``key=value`` pairs."""
    values = parse(text, path)
    preset = PRESETS / f"{name}.yaml"
    if not preset.is_file():
        names = ", ".join(sorted(path.stem for path in PRESETS.glob("*.yaml")))
        raise InputError(f"{name}: no such preset; the presets are {names}.")
    for key, value in leaves(parse(read_text(preset), preset), values):
        set_value(values, key, value, f"{preset}, for {path}")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{pair}: not of the form key=value, such as cohort.cases=6.")
        set_value(values, key, parse(value, pair) if value else "", str(path))
    return written(values)
