"""Tumour types as a by-product of segmentation, for cohorts whose labels are types: the type of
each case (such as a slice) and of each patient.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import nan
from typing import Any

from ..core.schema import Schema

NONE = "none"
"""Stands for the type of a case without a labelled voxel."""


def type_rows(scores: Iterable[dict[str, Any]], schema: Schema) -> list[dict[str, str]]:
    """The type of every case, in its reference and as predicted, from rows of metrics/cases.csv.

    Returns
    -------
    list of dict
        One per case, in the order of first appearance: ``case``, ``patient``, ``reference``,
        ``predicted``. The type is the label of the largest volume, of equals the first in the
        schema, and `NONE` where nothing is labelled.

    Raises
    ------
    ValueError
        If a reference has several labels.
    """
    rows = []
    for case, own, types in _typed(scores, "case", schema):
        labels = [row["name"] for row in own if row["reference_ml"] > 0]
        if len(labels) > 1:
            raise ValueError(
                f"case {case} has the labels {', '.join(labels)}, but in cohort {schema.cohort}"
                " each case has one type"
            )
        rows.append({"case": case, "patient": own[0]["patient"], **types})
    return rows


def patient_rows(scores: Iterable[dict[str, Any]], schema: Schema) -> list[dict[str, str]]:
    """The type of every patient: that of the summed volumes of the patient's cases, as `type_rows`
    but without ``case``.
    """
    return [{"patient": name, **types} for name, _, types in _typed(scores, "patient", schema)]


def accuracy(rows: Sequence[dict[str, str]]) -> dict[str, float | int]:
    """How often the type is right in rows of `type_rows` or `patient_rows`.

    Returns
    -------
    dict
        ``accuracy``: ``right`` / ``known``, NaN if none is known; ``known``: rows whose reference
        has a type, a predicted `NONE` counting as wrong; ``unknown``: the others.
    """
    known = [row for row in rows if row["reference"] != NONE]
    right = sum(row["predicted"] == row["reference"] for row in known)
    return {
        "accuracy": right / len(known) if known else nan,
        "right": right,
        "known": len(known),
        "unknown": len(rows) - len(known),
    }


def confusion_matrix(rows: Sequence[dict[str, str]], schema: Schema) -> list[dict[str, Any]]:
    """How often each type is taken for each in rows of `type_rows` or `patient_rows`: one row per
    type of the reference with ``reference``, and how many are predicted as each type and as `NONE`.
    """
    pairs = [(row["reference"], row["predicted"]) for row in rows]
    return [
        {"reference": reference}
        | {predicted: pairs.count((reference, predicted)) for predicted in (*schema.labels, NONE)}
        for reference in schema.labels
    ]


def summarise_types(scores: Iterable[dict[str, Any]], schema: Schema) -> dict[str, Any]:
    """`accuracy` and, as ``confusion``, the `confusion_matrix` of cases and of patients, under
    ``case`` and ``patient``.
    """
    scores = list(scores)
    by = {"case": type_rows(scores, schema), "patient": patient_rows(scores, schema)}
    return {
        name: accuracy(rows) | {"confusion": confusion_matrix(rows, schema)}
        for name, rows in by.items()
    }


def _typed(
    scores: Iterable[dict[str, Any]], by: str, schema: Schema
) -> Iterator[tuple[str, list[dict[str, Any]], dict[str, str]]]:
    """Each case or patient, its rows of labels, and its types."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in scores:
        if row["kind"] == "label":
            groups.setdefault(row[by], []).append(row)
    for name, own in groups.items():
        types = {}
        for kind, column in (("reference", "reference_ml"), ("predicted", "prediction_ml")):
            volumes = dict.fromkeys(schema.labels, 0.0)
            for row in own:
                volumes[row["name"]] += row[column]
            largest = max(volumes, key=volumes.__getitem__)  # of equals the first
            types[kind] = largest if volumes[largest] > 0 else NONE
        yield name, own, types
