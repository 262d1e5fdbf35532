"""Print the JSON schema of params.yaml, by which editors complete keys and mark wrong values.

    python -m pipeline schema > presets/params.schema.json

It is made from the models that the stages check params.yaml with, and from the comments of
presets/phantom.yaml. The first line of params.yaml names the file for editors with a YAML language
server.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from ..checking.sections import MODELS
from ..runtime import params_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command: none."""


def run(arguments: argparse.Namespace) -> None:
    """Print the schema."""
    print(json.dumps(schema(), indent=1))


def schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of params.yaml, without references."""
    defaults = params_file.parse(params_file.read_text(params_file.DEFAULTS), params_file.DEFAULTS)
    sections = {name: _of_model(model) for name, model in MODELS.items()}
    described = _described(_object(sections), defaults)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | described


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _of_model(model: Any) -> dict[str, Any]:
    found = TypeAdapter(model).json_schema()
    return _inlined(found, found.pop("$defs", {}))


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with its references replaced, and without the titles and docstrings of models."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    inlined = {}
    for key, inner in node.items():
        if key == "properties":
            inlined[key] = {name: _inlined(item, definitions) for name, item in inner.items()}
        elif key not in ("title", "description"):
            inlined[key] = _inlined(inner, definitions)
    return inlined


def _described(node: dict[str, Any], values: Any) -> dict[str, Any]:
    """A schema with the comment behind each key of params.yaml as its description."""
    properties = {}
    for key, inner in node.get("properties", {}).items():
        within = values.get(key) if isinstance(values, Mapping) else None
        comment = params_file.comment_of(values, key) if within is not None else ""
        inner = _described(inner, within)
        properties[key] = {"description": comment} | inner if comment else inner
    return node | {"properties": properties} if properties else node
