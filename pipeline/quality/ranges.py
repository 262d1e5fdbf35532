"""Ranges of features over cases, and how far a further case lies outside of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from ..core.strict import Strict

FEWEST = 4
"""Cases; fewer give no range."""
LEAST_LIMIT = 3.0
"""In spreads: nothing nearer to the median is unusual, however alike the cases are."""
_CERTAINTY = 0.99
_DIGITS = 6

Scale = Literal["linear", "log", "logit"]

_KINDS: dict[str, tuple[Scale, float]] = {
    "correlation": ("linear", 0.05),
    "roughness": ("log", 0.1),
    "spacing": ("log", 0.05),
    "extent": ("log", 0.03),
    "brain": ("log", 0.05),
    "tilt": ("linear", 2.0),
    "dice": ("logit", 0.25),
    "p": ("linear", 0.05),
}
"""Beginning of the name of a feature -> its scale, and the least spread on that scale, which cases
that are all alike would not have."""


class Range(Strict):
    """A feature over cases: median and spread (1.4826 times the median absolute deviation) on its
    scale, lowest and highest value in its own unit.
    """

    scale: Scale
    centre: float
    spread: float
    lowest: float
    highest: float

    def deviation(self, value: float) -> float:
        """Distance of a value from the median, in spreads; negative below."""
        return float((_scaled(np.array(value), self.scale) - self.centre) / self.spread)


class Ranges(Strict):
    """Features over cases, and the deviation beyond which a further case is unlike all of them.

    The limit is the largest of four: the deviation of the case that is most unlike the others, each
    by those others alone (leave one out); Tukey's outer fence of these deviations, three
    interquartile ranges above the third quartile; the 99 % prediction limit of Student's t for so
    many cases, 6.5 of four and 3.0 of 19, on one side 5.1 and 2.6; and `LEAST_LIMIT`. The deviation
    of a case is that of its most unusual feature.
    """

    cases: int
    limit: float
    features: dict[str, Range]


def ranges_of(cases: Sequence[Mapping[str, float]], below: bool = False) -> Ranges | None:
    """Ranges of the features that enough cases have; None where there is none.

    Parameters
    ----------
    cases : sequence of mapping of str to float
        Features by name.
    below : bool
        Whether low values alone are unusual, as of a confidence.
    """
    counts = Counter(name for case in cases for name in case)
    names = [name for name, count in counts.items() if count >= FEWEST]
    if not names:
        return None
    kinds = [kind_of(name) for name in names]
    raw = np.array([[case.get(name, np.nan) for name in names] for case in cases])
    values = np.stack(
        [_scaled(raw[:, column], scale) for column, (scale, _) in enumerate(kinds)], axis=1
    )
    least = np.array([floor for _, floor in kinds])
    left_out = []
    for number, own in enumerate(values):
        if np.isnan(own).all():
            continue
        centre, spread = _centre_and_spread(np.delete(values, number, axis=0), least)
        apart = (own - centre) / spread
        unusual = np.maximum(-apart, 0) if below else np.abs(apart)
        left_out.append(float(np.nanmax(unusual)))
    first, third = np.percentile(left_out, (25, 75))
    fence = float(third + 3 * (third - first))
    limit = max(LEAST_LIMIT, _by_count(len(left_out), below), fence, *left_out)
    centre, spread = _centre_and_spread(values, least)
    features = {
        name: Range(
            scale=kinds[column][0],
            centre=_rounded(centre[column]),
            spread=_rounded(spread[column]),
            lowest=_rounded(np.nanmin(raw[:, column])),
            highest=_rounded(np.nanmax(raw[:, column])),
        )
        for column, name in enumerate(names)
    }
    return Ranges(cases=len(cases), limit=_rounded(limit), features=features)


def _by_count(cases: int, below: bool) -> float:
    """The deviation that a further value exceeds with probability 1 - `_CERTAINTY`, on one side or
    on any of two, if all are normal: Student's t, as mean and deviation are of so few cases.
    """
    quantile = _CERTAINTY if below else (1 + _CERTAINTY) / 2
    return float(stdtrit(cases - 1, quantile)) * (1 + 1 / cases) ** 0.5


def kind_of(name: str) -> tuple[Scale, float]:
    """Scale of a feature, and the least spread on it."""
    kind = name.rpartition(".")[2]
    return next(value for beginning, value in _KINDS.items() if kind.startswith(beginning))


def _centre_and_spread(values: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = np.nanmedian(values, axis=0)
    spread = 1.4826 * np.nanmedian(np.abs(values - centre), axis=0)
    return centre, np.maximum(spread, least)


def _scaled(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "linear":
        return values
    if scale == "log":
        return np.log(np.maximum(values, 1e-6))
    share = np.clip(values, 1e-3, 1 - 1e-3)
    return np.log(share / (1 - share))


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)
