"""What `evaluate` knows of a network from the cases that made it, kept in models/inference.json."""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from ..core.errors import InputError
from ..core.strict import Strict
from .ranges import Ranges

KEY = "known"
COVERAGE = 0.9
"""Of an interval, where there are enough cases."""


class Interval(Strict, use_attribute_docstrings=True):
    """Values of cases, and between which two of them one of a further case lies."""

    cases: int
    """Number of cases."""
    median: float
    """Median of the values."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    coverage: float
    """Probability that the value of a further case of the same kind lies between `low` and `high`:
    at most 0.9, and (n - 1) / (n + 1) of n cases that are too few for that."""


class Region(Strict):
    """Errors of a region on validation cases, each predicted by a network that was not trained on
    it; None where no case has such an error.

    Attributes
    ----------
    volume_error_ml : Interval or None
        Predicted minus reference volume.
    volume_error_percent : Interval or None
        The same in percent of the predicted volume, of cases where that is above 0.
    dice_error : Interval or None
        Measured Dice minus `confidence.estimated_dice`.
    """

    volume_error_ml: Interval | None
    volume_error_percent: Interval | None
    dice_error: Interval | None


class Known(Strict):
    """What is known of a network.

    Attributes
    ----------
    format_version : int
    ranges : dict of str to (Ranges or None)
        By kind of feature, None of too few cases: those of `features.features_of` over the cases of
        training and validation; ``confidence``, that is ``REGION.dice``, of
        `confidence.estimated_dice`, over the validation cases.
    never_empty : tuple of str
        Regions that each of the cases of training and validation has.
    regions : dict of str to Region
    """

    format_version: Literal[1]
    ranges: dict[str, Ranges | None]
    never_empty: tuple[str, ...]
    regions: dict[str, Region]


def interval_of(values: Sequence[float]) -> Interval | None:
    """The interval of the values of at least one case, NaN left out.

    Of n values that are exchangeable with a further one, this lies between the k-th smallest and
    the k-th largest with probability (n + 1 - 2k) / (n + 1): Vovk, Gammerman and Shafer,
    "Algorithmic Learning in a Random World" (2005). k is the largest by which that is `COVERAGE`,
    or 1.
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    count = len(ordered)
    if not count:
        return None
    least = max(1, math.floor((count + 1) * (1 - COVERAGE) / 2 + 1e-9))
    return Interval(
        cases=count,
        median=round(float(np.median(ordered)), 6),
        low=round(ordered[least - 1], 6),
        high=round(ordered[count - least], 6),
        coverage=round((count + 1 - 2 * least) / (count + 1), 3),
    )


def read_known(folder: Path) -> Known | None:
    """What inference.json of a folder says; None of a network of an earlier version, or of another
    format of this record.
    """
    stored: Any = None
    with suppress(OSError, ValueError):
        stored = json.loads((folder / "inference.json").read_bytes())
    known = stored.get(KEY) if isinstance(stored, dict) else None
    if not isinstance(known, dict) or known.get("format_version") != 1:
        return None
    try:
        return Known.model_validate_json(json.dumps(known))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, (KEY, *first["loc"])))
        raise InputError(
            f"{folder / 'inference.json'}: {key}: {first['msg']}. Make it again: dvc repro"
            " evaluate, or take the files of the network from their source again."
        ) from None
