"""Fills the reference pages that are made from the code while the documentation is built.

A page holds a marker such as ``<!-- generated: params -->``; mkdocs calls `on_page_markdown`, which
puts text in its place.
"""

import argparse
import ast
import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
_LINE = re.compile(r"( *)(\w+):(?: +(?!#)(.*?))?(?: +# (.*))?$")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put generated text in the place of its marker."""
    makers = {"params": params, "commands": commands, "stages": stages, "manifest": manifest}
    for name, text in makers.items():
        marker = f"<!-- generated: {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, "\n".join(text()))
    return markdown


def params() -> Iterator[str]:
    """Sections, keys, values and comments of params.yaml, as Markdown tables."""
    path: list[str] = []
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        if not (found := _LINE.match(line)):
            continue
        indent, key, value, comment = found.groups()
        del path[len(indent) // 2 :]
        path.append(key)
        if len(path) == 1:
            yield f"\n## {key}\n"
            if comment:
                yield f"{comment[0].upper()}{comment[1:]}.\n"
            yield "| Key | Value | Meaning |\n|---|---|---|"
        elif value is not None or comment:
            shown = f"`{value}`" if value is not None else ""
            yield f"| `{'.'.join(path)}` | {shown} | {_cell(comment or '')} |"


def commands() -> Iterator[str]:
    """Help of every command, with its arguments in a table."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from pipeline.__main__ import COMMANDS

    for name in COMMANDS:
        command = importlib.import_module(f"pipeline.commands.{name}")
        parser = argparse.ArgumentParser(prog=f"tumorflow {name}")
        command.add_arguments(parser)
        yield f"\n## {name}\n\n{inspect.getdoc(command)}\n"
        arguments = parser._actions[1:]  # the first is --help
        if arguments:
            yield "| Argument | Meaning |\n|---|---|"
        for action in arguments:
            yield f"| {_written(action)} | {_cell(action.help or '')} |"


def stages() -> Iterator[str]:
    """The contract of every stage: the docstring of its module, and its values."""
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in listed.items():
        module = ast.parse((ROOT / "pipeline" / f"{name}.py").read_text(encoding="utf-8"))
        contract = _outside_code(ast.get_docstring(module) or "")
        values = ", ".join(f"`{key}`" for key in stage["params"])
        yield f"\n## {name}\n\n{contract}\n\nValues: {values}."


def manifest() -> Iterator[str]:
    """Keys, types and meanings of presets/manifest.schema.json, as a Markdown table."""
    schema = json.loads((ROOT / "presets/manifest.schema.json").read_text(encoding="utf-8"))
    yield "| Key | Type | Meaning |\n|---|---|---|"
    for key, kind, meaning in _keys(schema, ""):
        yield f"| `{key}` | {kind} | {_cell(meaning)} |"


def _keys(node: dict[str, Any], within: str) -> Iterator[tuple[str, str, str]]:
    """Name, type and description of every key of a schema."""
    described = {
        key: inner for key, inner in node.get("properties", {}).items() if "description" in inner
    }  # keys of a record that is described elsewhere are not
    for key, inner in described.items():
        kinds = inner.get("anyOf", [inner])
        types = " or ".join(dict.fromkeys(_type(kind) for kind in kinds))
        yield within + key, types, inner["description"]
        for kind in kinds:
            yield from _keys(kind, f"{within}{key}.")
            for extra, mark in (("additionalProperties", ".*"), ("items", "[]")):
                below = kind.get(extra)
                for each in below.get("anyOf", [below]) if isinstance(below, dict) else ():
                    yield from _keys(each, f"{within}{key}{mark}.")


def _type(node: dict[str, Any]) -> str:
    if "enum" in node or "const" in node:
        return " or ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    return node.get("type", "any")


def _outside_code(text: str) -> str:
    """Text in which the characters that HTML and Markdown read are escaped, code excepted."""
    escaped = {"<": "&lt;", "*": "\\*"}
    return re.sub(r"`[^`]*`|[<*]", lambda found: escaped.get(found[0], found[0]), text)


def _written(action: argparse.Action) -> str:
    """An argument as one writes it."""
    values = action.metavar or (action.choices and "{" + ",".join(action.choices) + "}")
    if values is None and action.nargs != 0:
        values = action.dest.upper() if action.option_strings else action.dest
    text = " ".join([values] if isinstance(values, str) else values or ())
    names = action.option_strings or [""]
    return ", ".join(f"`{_cell(f'{name} {text}'.strip())}`" for name in names)


def _cell(text: str) -> str:
    """Text in a cell of a table, in which a bar must be escaped."""
    return text.replace("|", "\\|").replace("<", "&lt;")
