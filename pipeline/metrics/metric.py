"""What a metric is: how it is computed, and how tables, report and comparisons show it."""

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import isinf
from numbers import Real
from typing import Any, Literal

import numpy as np

from ..core.errors import InputError

Spacing = tuple[float, float, float]
_DESCRIBED = (
    *("name", "title", "group", "unit", "direction", "decimals", "definition", "source"),
    *("signed", "headline"),
)


@dataclass(frozen=True)
class Metric:
    """A number that says how a prediction compares with its reference.

    Attributes
    ----------
    name : str
        Column of the table: lower-case letters, digits and underscores.
    function : callable
        Of an own metric, ``function(reference, prediction, spacing_mm)`` with two (X, Y, Z) bool
        arrays on one grid and the voxel edge lengths in mm; it returns a float, NaN where the
        metric is undefined. Of a metric in `pipeline.metrics.registry`, a function of what its
        table measures once for all columns, such as a `pipeline.metrics.case_scores.MaskPair`. None
        where the metric was read back from metrics/evaluate.json.
    title : str
        For people, with the unit.
    definition, source : str
        One or two sentences, and a citation.
    direction : {"higher", "lower", "neither"}
        Which values are better. `compare` tests metrics with a direction only.
    unit : str
        Such as ``mm`` or ``ml``; empty for a ratio.
    decimals : int
        How many are shown.
    group : str
        Heading under which a table of the report lists the metric.
    empty : mapping of str to float
        Value by the case's entry of ``filled``. For masks the entries are ``both_empty``,
        ``reference_empty`` and ``prediction_empty``, and a value replaces the computed one where
        the cohort's ``empty_rule`` is ``brats``, that of ``prediction_empty`` under every rule; an
        entry that is missing leaves it as it is.
    signed : bool
        Whether the metric is an error with a sign, whose magnitude is compared.
    headline : bool
        Whether `compare` tests the metric by default; the means of the user's own are also in
        metrics/headline.json.

    Raises
    ------
    ValueError
        If the name is not an identifier in lower case, or the direction is unknown.
    """

    name: str
    function: Callable[..., float] | None
    title: str
    definition: str
    direction: Literal["higher", "lower", "neither"]
    unit: str = ""
    decimals: int = 3
    source: str = ""
    group: str = "Own metrics"
    empty: Mapping[str, float] = field(default_factory=dict)
    signed: bool = False
    headline: bool = False

    def __post_init__(self) -> None:
        """Check what a typing error could break."""
        if not re.fullmatch("[a-z][a-z0-9_]*", self.name):
            raise ValueError(
                f"name {self.name!r}: use lower-case letters, digits and underscores, as in dice_2d"
            )
        if self.direction not in ("higher", "lower", "neither"):
            raise ValueError(f"direction {self.direction!r}: use higher, lower or neither")

    @property
    def sign(self) -> int:
        """1 if higher values are better, -1 if lower ones are, 0 for neither."""
        return {"higher": 1, "lower": -1, "neither": 0}[self.direction]

    def describe(self) -> dict[str, Any]:
        """All but the function, as plain values for metrics/evaluate.json."""
        return {name: getattr(self, name) for name in _DESCRIBED}


def described(entry: Mapping[str, Any]) -> Metric:
    """The metric that an entry of metrics/evaluate.json describes, without its function."""
    return Metric(function=None, **{name: entry[name] for name in _DESCRIBED})


def checked(found: Any, name: str, taken: set[str]) -> Metric:
    """What an entry of ``evaluate.metrics`` names; InputError if it is no metric with a function,
    or its column is taken.
    """
    where = f"params.yaml: evaluate.metrics: {name}"
    if not all(hasattr(found, each.name) for each in fields(Metric)) or not callable(
        found.function
    ):
        raise InputError(
            f"{where} is of type {type(found).__name__}, expected a Metric with a function"
            " (docs/extending/metric.md)."
        )
    if found.name in taken:
        raise InputError(
            f"{where}: a column {found.name} exists already. Give the metric another name."
        )
    return found


def measure(
    metric: Metric, reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing, where: str
) -> float:
    """Call the function of an own metric; InputError, which names case and region by `where`, if it
    raises or returns anything but a finite number or NaN.
    """
    assert metric.function is not None
    try:
        value = metric.function(reference, prediction, spacing_mm)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"{where}: metric {metric.name} failed: {type(error).__name__}: {error}"
            f" ({place.filename}, line {place.lineno}). Fix its function."
        ) from error
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_) or isinf(value):
        raise InputError(
            f"{where}: metric {metric.name} returned {value!r:.60}, expected a finite float, or NaN"
            " where it is undefined. Fix its function."
        )
    return float(value)
