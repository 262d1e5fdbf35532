"""Print the JSON schema of params.yaml, or of the run manifest that `predict` writes.

    python -m pipeline schema > presets/params.schema.json
    python -m pipeline schema manifest > presets/manifest.schema.json

By that of params.yaml editors complete keys and mark wrong values. It is made from the models that
the stages check params.yaml with, and from the comments of presets/phantom.yaml. The first line of
params.yaml names the file for editors with a YAML language server.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from ..checking.sections import MODELS
from ..runtime import params_file

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "of",
        nargs="?",
        default="params",
        choices=("params", "manifest"),
        help="params.yaml (default), or CASE.nii.gz.json of `predict`",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the schema."""
    found = manifest_schema() if arguments.of == "manifest" else schema()
    print(json.dumps(found, indent=1))


def manifest_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the run manifest, without references."""
    from ..segmenting.manifest import Manifest

    found = Manifest.model_json_schema(mode="serialization")
    inlined = json.dumps(_inlined(found, found.pop("$defs"), ("title",)))
    title = {"title": "TumorFlow run manifest"}
    return {"$schema": _DRAFT} | title | json.loads(inlined, object_hook=_briefly)


def _briefly(node: dict[str, Any]) -> dict[str, Any]:
    """A schema whose description is the first paragraph of a docstring."""
    said = node.get("description")
    return node | {"description": " ".join(said.split("\n\n")[0].split())} if said else node


def schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of params.yaml, without references."""
    defaults = params_file.parse(params_file.read_text(params_file.DEFAULTS), params_file.DEFAULTS)
    sections = {name: _of_model(model) for name, model in MODELS.items()}
    described = _described(_object(sections), defaults)
    return {"$schema": _DRAFT} | described


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


def _inlined(
    node: Any, definitions: Mapping[str, Any], without: tuple[str, ...] = ("title", "description")
) -> Any:
    """A schema with its references replaced, and without some keys, such as the titles and
    docstrings of models. What is said beside a reference comes before what it refers to says.
    """
    if isinstance(node, list):
        return [_inlined(item, definitions, without) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        meant = definitions[node["$ref"].rpartition("/")[2]]
        own = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined(meant | own, definitions, without)
    inlined = {}
    for key, inner in node.items():
        if key == "properties":
            inlined[key] = {
                name: _inlined(item, definitions, without) for name, item in inner.items()
            }
        elif key not in without:
            inlined[key] = _inlined(inner, definitions, without)
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
