"""What the tables of many cases add up to, as far as masks alone tell it."""

from collections.abc import Sequence
from typing import Any

from ..core.schema import Schema
from . import instances
from . import lesionwise as lesions
from .scores import summarise, summarise_columns
from .surface_distance import DEFINITIONS
from .tumour_types import summarise_types

Rows = Sequence[dict[str, Any]]


def summarise_masks(
    cases: Rows, multiclass: Rows, lesionwise: Rows, matched: Rows, schema: Schema
) -> dict[str, Any]:
    """Summarise everything that is scored of references and predictions.

    Parameters
    ----------
    cases, multiclass, lesionwise, matched : sequence of dict
        The tables cases, multiclass, lesionwise and instances: rows of `score_case`,
        `score_classes`, `lesion_rows` and `instance_rows`, with ``case`` and ``patient``.
    schema : Schema
        Of the cohort.

    Returns
    -------
    dict
        That of `summarise`, and ``cohort``, ``cases``, ``multiclass``, ``lesionwise`` (empty
        without rules), ``lesion_rules`` (their name, or None), ``instances``, ``types`` (None
        unless labels are types) and ``definitions``.
    """
    return summarise(cases, schema.empty_rule) | {
        "cohort": schema.cohort,
        "cases": len(multiclass),
        "multiclass": summarise_columns([{"name": "all"} | row for row in multiclass])["all"],
        "lesionwise": summarise_columns(lesionwise, lesions.FILLS),
        "lesion_rules": schema.lesion_rules,
        "instances": summarise_columns(matched, instances.FILLS),
        "types": summarise_types(cases, schema) if schema.types else None,
        "definitions": DEFINITIONS,
    }
