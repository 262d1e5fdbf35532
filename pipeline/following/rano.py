"""The categories of RANO 2.0, as far as images and the fields of the clinic determine them.

Wen et al., "RANO 2.0: Update to the Response Assessment in Neuro-Oncology Criteria for High- and
Low-Grade Gliomas in Adults", J Clin Oncol 41 (2023), doi:10.1200/JCO.23.01059.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .visits import Clinical

MOST_TARGETS = 3
CONFIRMED_DAYS = 28
"""A response must be seen again after at least four weeks."""
EARLY_WEEKS = 12.0
"""Within so many weeks of radiotherapy, progression must be confirmed."""
_ROUNDING = 1e-9
NAMES = {
    "CR": "complete response",
    "PR": "partial response",
    "MR": "minor response",
    "SD": "stable disease",
    "PD": "progressive disease",
}
RESPONSES = ("CR", "PR", "MR")
NOT_STATED = "not stated"
NO_TARGET = "no measurable lesion at the baseline: no response can be stated"
UNREGISTERED = "the visits could not be registered, so that lesions cannot be matched"


@dataclass(frozen=True)
class Rule:
    """Relative changes that make a category.

    Attributes
    ----------
    name : str
    progression : float
        Least increase from the nadir.
    partial, minor : float
        Least decrease from the baseline; `minor` is None where there is no such category.
    """

    name: str
    progression: float
    partial: float
    minor: float | None = None


PRODUCT = Rule("sum of products", 0.25, 0.5)
PRODUCT_WITH_MINOR = Rule("sum of products", 0.25, 0.5, 0.25)
"""Of disease that does not enhance."""
VOLUME = Rule("volume", 0.40, 0.65)


@dataclass(frozen=True)
class Burden:
    """Disease of one kind at a visit.

    Attributes
    ----------
    value : float
        Of all target lesions: sum of products in mm2, or volume in ml.
    any_left : bool
        Whether any lesion is there, target or not.
    new : tuple of str
        Measurable lesions that were not there at the baseline.
    targets_measurable : bool
        Whether any target lesion is measurable.
    unmatched : str
        Why its lesions cannot be matched with those of the baseline; empty if they can.
    unseen : tuple of str
        Target lesions that lay outside the images.
    undated : tuple of str
        Measurable lesions that may have been there at the baseline, outside its images.
    """

    value: float
    any_left: bool
    new: tuple[str, ...]
    targets_measurable: bool
    unmatched: str = ""
    unseen: tuple[str, ...] = ()
    undated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Category:
    """The category of a visit by one rule.

    Attributes
    ----------
    category : str
        A key of `NAMES`, `NOT_STATED`, ``baseline``, or empty before it.
    reason : str
        In words.
    from_baseline, from_nadir : float or None
        Relative changes, None where they are not defined.
    """

    category: str
    reason: str
    from_baseline: float | None = None
    from_nadir: float | None = None


def categories(burdens: Sequence[Burden], baseline: int, rule: Rule) -> list[Category]:
    """The category of every visit, in order of time.

    Progression is judged from the nadir, the smallest value from the baseline to the visit before;
    response from the baseline.
    """
    found = []
    for number, burden in enumerate(burdens):
        if number < baseline:
            found.append(Category("", "before the baseline"))
        elif number == baseline:
            found.append(Category("baseline", "what later visits are compared with"))
        else:
            earlier = [each.value for each in burdens[baseline:number] if not each.unseen]
            found.append(_category(burden, earlier[0], min(earlier), rule))
    return found


def _category(burden: Burden, first: float, nadir: float, rule: Rule) -> Category:
    if burden.unmatched:
        return Category(NOT_STATED, burden.unmatched)
    changes = _change(burden.value, first), _change(burden.value, nadir)
    name, reason = _judged(burden, first, nadir, rule)
    return Category(name, reason, *changes)


def _judged(burden: Burden, first: float, nadir: float, rule: Rule) -> tuple[str, str]:
    value = burden.value
    worse = []
    if nadir > 0 and value >= nadir * (1 + rule.progression) - _ROUNDING:
        change, limit = _percent(value / nadir - 1), _percent(rule.progression)
        worse.append(f"{rule.name} {change} from the nadir, at least {limit}")
    if burden.new:
        worse.append(f"new and measurable: {', '.join(burden.new)}")
    if worse:
        return "PD", "; ".join(worse)
    if burden.unseen:
        return NOT_STATED, f"outside the images of this visit: {', '.join(burden.unseen)}"
    if burden.undated:
        outside = ", ".join(burden.undated)
        return NOT_STATED, f"outside the images of the baseline, so perhaps not new: {outside}"
    if nadir == 0 and first > 0 and value > 0:
        if burden.targets_measurable:
            return "PD", "a target lesion that had vanished is measurable again"
        return "SD", "a target lesion that had vanished is there again, too small to be measurable"
    if first == 0:
        return NOT_STATED, NO_TARGET
    if not burden.any_left:
        return "CR", "no lesion is left"
    for response, least in (("PR", rule.partial), ("MR", rule.minor)):
        if least is not None and value <= first * (1 - least) + _ROUNDING:
            return response, (
                f"{rule.name} {_percent(value / first - 1)} from the baseline, at most"
                f" {_percent(-least)}"
            )
    return "SD", (
        f"{rule.name} {_percent(value / first - 1)} from the baseline and"
        f" {_percent(value / nadir - 1)} from the nadir"
    )


def _percent(change: float) -> str:
    return f"{100 * change:+z.0f} %".replace("-", "−")


def _change(value: float, start: float) -> float | None:
    return value / start - 1 if start > 0 else None


def confirmation(
    found: Sequence[Category], days: Sequence[int | None], number: int, clinical: Clinical
) -> str:
    """What RANO 2.0 asks for before the category of a visit counts; empty for none."""
    category = found[number].category
    if category == "PD":
        weeks = clinical.weeks_since_radiotherapy
        if weeks is None:
            return (
                "not known when radiotherapy ended: within 12 weeks of it, progression must be"
                " confirmed by a later scan"
            )
        return (
            "within 12 weeks of radiotherapy: to be confirmed by a later scan (pseudoprogression)"
            if weeks <= EARLY_WEEKS
            else ""
        )
    if category not in RESPONSES:
        return ""
    today = days[number]
    for later in range(number + 1, len(found)):
        day = days[later]
        if found[later].category == NOT_STATED:
            continue
        if found[later].category not in RESPONSES:
            return f"not sustained: {found[later].category} at visit {later + 1}"
        if today is not None and day is not None and day - today >= CONFIRMED_DAYS:
            return f"confirmed at visit {later + 1}, after {day - today} days"
    return "to be confirmed by a scan at least 4 weeks later"


def overall(category: str, now: Clinical, baseline: Clinical) -> tuple[str, str]:
    """The category with the fields of the clinic; empty, with what is missing, where they are not
    known.

    Worse clinical status is progression, whatever the images show. Complete response allows no
    corticosteroids, other categories no higher dose than at the baseline.
    """
    if category == NOT_STATED and now.clinical_status == "worse":
        return "PD", "clinical status is worse"
    if category not in NAMES:
        return "", ""
    lacking: list[str] = [name for name in ("steroid_mg", "clinical_status") if name in now.missing]
    if baseline.steroid_mg is None:
        lacking.append("steroid_mg of the baseline")
    if lacking:
        return "", f"imaging part only: {', '.join(lacking)} not known"
    assert now.steroid_mg is not None  # not lacking
    assert baseline.steroid_mg is not None
    if now.clinical_status == "worse":
        return "PD", "clinical status is worse"
    if category == "PD":
        return "PD", "by imaging"
    if now.steroid_mg > baseline.steroid_mg:
        return "not evaluable", "corticosteroid dose is higher than at the baseline"
    if category == "CR" and now.steroid_mg > 0:
        return "PR", "complete response on images, but with corticosteroids"
    return category, "images, corticosteroids and clinical status agree"
