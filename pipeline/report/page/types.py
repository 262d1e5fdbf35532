"""For cohorts whose labels are types of tumour: how often the type is right."""

from collections.abc import Sequence
from math import nan

from ...metrics.tumour_types import NONE, accuracy, patient_rows
from ...statistics.bootstrap import interval
from .html import Html, element, join
from .plots import Figures, plot
from .run import Run
from .text import count, number
from .text import interval as written


def types(run: Run, figures: Figures) -> Html:
    """Accuracy and confusion matrices of the types, of cases and of patients; nothing for other
    cohorts.
    """
    if not run.types:
        return Html("")
    patients = patient_rows(run.rows, run.schema)
    alt = (
        "Matrix of {}: a row for each type of tumour in the reference, a column for the type that"
        " was predicted."
    )
    caption = "Of {}. Each row adds up to 100 % of those of a type."
    by_patient = [
        _sentence(patients, "patient"),
        plot(
            figures,
            "types_of_patients",
            alt.format("patients"),
            caption.format("patients"),
            "small plot",
        ),
    ]
    return join(
        element(
            "p",
            "The predicted type is that of the label with the largest volume in the prediction.",
        ),
        _sentence(run.types, "case"),
        plot(figures, "types", alt.format("cases"), caption.format("cases"), "small plot"),
        *(by_patient if len(patients) < len(run.types) else []),
    )


def _sentence(rows: Sequence[dict[str, str]], noun: str) -> Html:
    """Such as: The type is right in 90 of 100 cases: accuracy 0.900 (0.840 to 0.950)."""
    found, known = accuracy(rows), [row for row in rows if row["reference"] != NONE]
    right = [float(row["predicted"] == row["reference"]) for row in known]
    resampled = (
        interval(right, "mean", clusters=[row["patient"] for row in known])
        if len(set(right)) > 1
        else (nan, nan)
    )
    between = written(
        *resampled
    )  # where all are right a bootstrap knows no doubt, so nothing is said
    left_out = f" {count(found['unknown'], noun)} without a type in the reference left out." * bool(
        found["unknown"]
    )
    share = f"accuracy {number(found['accuracy'])}" + f" (95 % interval {between})" * bool(between)
    return element(
        "p",
        f"The type is right in {found['right']} of {count(found['known'], noun)}:"
        f" {share}.{left_out}",
    )
