"""Where the numbers come from and how to get them again."""

from collections.abc import Mapping
from typing import Any

from .html import Html, element, join
from .run import Run
from .text import facts, flat, plain

_COSTS = (
    "How long each stage ran and what electricity it took differs between equal runs, and the bytes"
    " of this page must not: metrics/costs.csv and the MLflow run of this training keep them."
)
_COMMAND = "command"
_TITLES = {
    "files": "Inputs, with their MD5 as in dvc.lock",
    "changed": "Changed since that commit",
    "commit": "Git commit",
}


def provenance(run: Run) -> Html:
    """How to repeat the run, then code, data, params, versions, seeds and hardware as far as they
    are known.
    """
    known = dict(run.provenance)
    command = known.pop(_COMMAND, "") or "dvc repro"
    single = {name: value for name, value in known.items() if not isinstance(value, Mapping)}
    groups = {name: value for name, value in known.items() if isinstance(value, Mapping) and value}
    return join(
        element("p", "To repeat it, in a clone of the repository:"),
        element("pre", element("code", command), tabindex="0"),
        (
            facts([(_title(name), plain(value)) for name, value in single.items()], "The run.")
            if single
            else ""
        ),
        *(_group(name, value) for name, value in groups.items()),
        element("p", _COSTS, class_="faint"),
    )


def _group(name: str, values: Mapping[str, Any]) -> Html:
    return element(
        "details", element("summary", _title(name)), facts(flat(dict(values)), f"{_title(name)}.")
    )


def _title(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def model(run: Run) -> Html:
    """The model card as a table, folded."""
    table = facts(flat(run.card), "The model card: schema, recipe, settings and versions.")
    use = run.card.get("use")
    return join(
        element("p", use) if use else "",
        element("details", element("summary", "What the model was made with"), table),
    )
