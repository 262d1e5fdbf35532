"""The quality flag: whether a case is unlike those that its network was made of, or of doubtful
input.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

from ..core.strict import Strict
from .known import Interval, Known
from .ranges import Ranges

Flag = Literal["ok", "check", "unknown"]
Code = Literal[
    "input", "histogram", "texture", "correlation", "geometry", "confidence", "empty", "not_known"
]

_MEANINGS = {
    "correlation": "correlation of the two over the brain",
    "roughness": "difference of neighbouring voxels along {}, which noise raises and blur lowers,",
    "spacing": "length in mm of the voxels along {}",
    "extent": "length in mm of the brain along {}",
    "brain": "volume in ml of the brain",
    "tilt": "angle in degrees between the axes of the image and those of the body",
    "dice": "Dice that the network expects of itself",
}


class Reason(Strict, use_attribute_docstrings=True):
    """Why a case should be looked at."""

    code: Code
    """Which comparison it failed; input: the images seem not to be what they are called, or unfit
    for the network; empty: a region is; not_known: there is nothing to compare with."""
    feature: str | None
    """Name of the feature, such as t1c.p95; null where there is none."""
    value: float | None
    """Of this case, in the unit of the feature."""
    lowest: float | None
    """Lowest value of the cases it is compared with."""
    highest: float | None
    """Highest value of the cases it is compared with."""
    deviation: float | None
    """Distance from their median in robust standard deviations (1.4826 times the median absolute
    deviation)."""
    text: str
    """The reason in a sentence."""


class Comparison(Strict, use_attribute_docstrings=True):
    """How far a case lies from others."""

    cases: int
    """Number of the others."""
    deviation: float
    """Of the most unusual feature, in robust standard deviations."""
    limit: float
    """A larger deviation is a reason: that of the most unusual of the others, or more."""


class Expected(Strict, use_attribute_docstrings=True):
    """The Dice to expect of a region."""

    estimated: float
    """By the probabilities alone: 2 sum(p m) / (sum(p) + sum(m)) of probabilities p and the mask m
    of those above 0.5."""
    dice: float | None
    """With the median error of this estimate on the validation cases; null without such."""
    low: float | None
    """With the low end of the errors."""
    high: float | None
    """With the high end of the errors."""
    coverage: float | None
    """Probability that the Dice of a case like those of validation is between `low` and `high`."""
    cases: int
    """Number of validation cases."""


class Quality(Strict, use_attribute_docstrings=True):
    """Whether a case is unlike those that its network was made of. A case like them may still be
    segmented badly."""

    flag: Flag
    """ok; check: unlike them or of doubtful input, see the reasons; unknown: the network's files
    say nothing of them."""
    reasons: tuple[Reason, ...]
    """Why it is not ok, the strongest first."""
    compared: dict[str, Comparison | None]
    """The comparisons histogram, texture, correlation, geometry and confidence; null where there
    are too few cases."""
    expected_dice: dict[str, Expected | None]
    """Of each region; null where the network finds none."""


def assess(
    known: Known | None,
    features: Mapping[str, Mapping[str, float]],
    estimated: Mapping[str, float | None],
    doubts: Sequence[str] = (),
) -> Quality:
    """Compare a case with what is known of the network.

    Parameters
    ----------
    known : Known or None
    features
        Of `features.features_of`.
    estimated
        Of `confidence.estimated_dice`.
    doubts
        About its input, each a sentence (`verification.checks.Noticed`).
    """
    expected = {
        region: None if value is None else _expected(value, _error_of(known, region))
        for region, value in estimated.items()
    }
    confidence = {f"{name}.dice": value for name, value in estimated.items() if value is not None}
    compared: dict[str, Comparison | None] = {}
    reasons: list[Reason] = []
    for code, values in {**features, "confidence": confidence}.items():
        ranges = known.ranges.get(code) if known else None
        compared[code] = _comparison(code, values, ranges) if ranges else None
        reasons += _reasons(code, values, ranges) if ranges else ()
    reasons.sort(key=lambda reason: -(reason.deviation or 0))
    reasons = [*_empty(known, estimated), *reasons]
    flag: Flag = "check" if reasons else "ok"
    if not any(compared.values()):
        flag, reasons = "unknown", [_NOT_KNOWN, *reasons]
    if doubts:
        flag, reasons = "check", [*(_plain("input", text) for text in doubts), *reasons]
    return Quality(flag=flag, reasons=tuple(reasons), compared=compared, expected_dice=expected)


def _plain(code: Code, text: str) -> Reason:
    """A reason without a feature."""
    return Reason(
        code=code, feature=None, value=None, lowest=None, highest=None, deviation=None, text=text
    )


_NOT_KNOWN = _plain(
    "not_known",
    "The files of the network do not say what its cases were like, so that this one cannot be"
    " compared with them. dvc repro evaluate adds it to models/inference.json.",
)


def _error_of(known: Known | None, region: str) -> Interval | None:
    about = known.regions.get(region) if known else None
    return about.dice_error if about else None


def _expected(estimated: float, error: Interval | None) -> Expected:
    if error is None:
        return Expected(
            estimated=round(estimated, 4), dice=None, low=None, high=None, coverage=None, cases=0
        )

    def corrected(by: float) -> float:
        return round(min(1.0, max(0.0, estimated + by)), 4)

    return Expected(
        estimated=round(estimated, 4),
        dice=corrected(error.median),
        low=corrected(error.low),
        high=corrected(error.high),
        coverage=error.coverage,
        cases=error.cases,
    )


def _deviations(code: str, values: Mapping[str, float], ranges: Ranges) -> dict[str, float]:
    """Deviation of each feature that both have: of the confidence, below alone."""
    found = {
        name: known.deviation(values[name])
        for name, known in ranges.features.items()
        if name in values
    }
    return {
        name: max(0.0, -value) if code == "confidence" else abs(value)
        for name, value in found.items()
    }


def _comparison(code: str, values: Mapping[str, float], ranges: Ranges) -> Comparison:
    deviation = max(_deviations(code, values, ranges).values(), default=0.0)
    return Comparison(cases=ranges.cases, deviation=round(deviation, 2), limit=ranges.limit)


def _reasons(code: str, values: Mapping[str, float], ranges: Ranges) -> Iterator[Reason]:
    """The most unusual feature of each modality, pair of them, region or the grid, if that is
    beyond the limit.
    """
    deviations = _deviations(code, values, ranges)
    strongest: dict[str, str] = {}
    for name in sorted(deviations, key=lambda name: -deviations[name]):
        if deviations[name] > ranges.limit:
            strongest.setdefault(name.rpartition(".")[0], name)
    for name in strongest.values():
        known = ranges.features[name]
        yield Reason(
            code=cast(Code, code),
            feature=name,
            value=round(values[name], 4),
            lowest=known.lowest,
            highest=known.highest,
            deviation=round(deviations[name], 2),
            text=_sentence(code, name, values[name], known.lowest, known.highest, ranges.cases),
        )


def _sentence(code: str, name: str, value: float, lowest: float, highest: float, cases: int) -> str:
    subject, _, kind = name.rpartition(".")
    about = f"{subject.replace('~', ' and ')}: " if subject else ""
    whose = "validation cases" if code == "confidence" else "cases of the training"
    text = (
        f"{about}{_meaning(kind)} is {value:.3g}, in the {cases} {whose} {lowest:.3g} to"
        f" {highest:.3g}."
    )
    return text[0].upper() + text[1:] if not subject else text


def _meaning(kind: str) -> str:
    if kind[0] == "p" and kind[1:].isdigit():
        return f"percentile {kind[1:]} of the brain, in standard deviations from its mean,"
    beginning, _, axis = kind.removesuffix("_mm").partition("_")
    return _MEANINGS[beginning].format(axis)


def _empty(known: Known | None, estimated: Mapping[str, float | None]) -> Iterator[Reason]:
    for region in known.never_empty if known else ():
        if region in estimated and estimated[region] is None:
            yield Reason(
                code="empty",
                feature=region,
                value=0.0,
                lowest=None,
                highest=None,
                deviation=None,
                text=f"{region}: the network finds none, but every case of the training has some.",
            )
