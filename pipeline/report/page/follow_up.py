"""The page of a follow-up: one HTML file that opens from disk and loads nothing."""

from collections.abc import Mapping
from math import nan
from typing import Any

from markupsafe import Markup

from ..plots.follow_up import Trend, trend_plot
from ..rendering import ASSETS, listed, render

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_DPI = 150
_RULES = {"product": (0.25, 0.5), "volume": (0.40, 0.65)}
_CATEGORIES = {
    "CR": "Complete response",
    "PR": "Partial response",
    "MR": "Minor response",
    "SD": "Stable disease",
    "PD": "Progressive disease",
    "not stated": "Not stated",
    "baseline": "Baseline",
    "": "Before the baseline",
}
_FIELDS = {
    "steroid_mg": "corticosteroid dose",
    "clinical_status": "clinical status",
    "weeks_since_radiotherapy": "time since radiotherapy",
}
_NOT_STATED = "not stated"
_NO_TARGET = "No response can be stated"
_UNREGISTERED = "Not stated: the visits could not be registered"
Pictures = Mapping[tuple[str, str, int], bytes]
"""By kind, lesion and visit: PNG files of measured slices."""
_QUANTITIES = {
    "product": ("Sum of products (mm²)", "product_sum_mm2", "product_mm2"),
    "volume": ("Volume of target lesions (ml)", "target_ml", "volume_ml"),
}


def follow_up_page(record: Mapping[str, Any], pictures: Pictures) -> str:
    """The page of a record (`following.record.record_of`), self-contained and without scripts."""
    styles = [
        Markup((ASSETS / f"{name}.css").read_text(encoding="utf-8"))
        for name in ("page", "follow_up")
    ]
    context = _context(record, pictures)
    return render("follow_up.html.j2", policy=_POLICY, styles=styles, **context)


def follow_up_parts(record: Mapping[str, Any], pictures: Pictures) -> tuple[str, str]:
    """The verdict of `follow_up_page` and what follows it, to be parts of another page that has its
    styles.
    """
    context = _context(record, pictures)
    verdict, rest = (
        render(f"sections/{name}.html.j2", **context) for name in ("follow_up_verdict", "follow_up")
    )
    return verdict, rest


def _context(record: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    return {
        "record": record,
        "visits": record["visits"],
        "kinds": [_kind(record, kind, pictures) for kind in record["kinds"]],
        "categories": _CATEGORIES,
        "missing": _missing(record),
        "headline": _headline,
        "unchecked": _unchecked(record),
    }


def _headline(kind: Mapping[str, Any]) -> str:
    """The category of the last visit in words, with the fields of the clinic where they are known;
    else why there is none.
    """
    state = kind["visits"][-1]
    category = state["with_clinic"]["category"] or state["by_product"]["category"]
    if category != _NOT_STATED:
        return _CATEGORIES.get(category, category)
    if state["product_sum_mm2"] is None:
        return _UNREGISTERED
    return _CATEGORIES[category] if kind["targets"] else _NO_TARGET


def _unchecked(record: Mapping[str, Any]) -> str:
    """Of whom the segmentations are."""
    checked = [f"{visit['visit']}" for visit in record["visits"] if visit["checked"]]
    if not checked:
        return "segmentations that nobody has checked here"
    if len(checked) == len(record["visits"]):
        return "segmentations that a reader has corrected"
    word = "visit" if len(checked) == 1 else "visits"
    return (
        f"segmentations: a reader has corrected those of {word} {listed(checked)}, nobody has"
        " checked the others here"
    )


def _missing(record: Mapping[str, Any]) -> list[str]:
    """Fields of the clinic that some visit from the baseline on lacks."""
    later = record["visits"][record["baseline"] - 1 :]
    fields = dict.fromkeys(name for visit in later for name in visit["missing"])
    return [_FIELDS[name] for name in fields]


def _kind(record: Mapping[str, Any], kind: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    """A kind of disease with its charts and the pictures of its lesions."""
    drawn = list(dict.fromkeys(lesion for name, lesion, _ in pictures if name == kind["name"]))
    strips = {lesion: _strip(record, kind, pictures, lesion) for lesion in drawn}
    charts = {
        quantity: trend_plot(_trend(record, kind, quantity), _DPI)[0] for quantity in _QUANTITIES
    }
    return {**kind, "strips": strips, "charts": charts if kind["targets"] else {}}


def _strip(
    record: Mapping[str, Any], kind: Mapping[str, Any], pictures: Pictures, lesion: str
) -> list[dict[str, Any]]:
    """A lesion at every visit: its measurements and picture, or why there is none."""
    panels, absent = [], "not there yet"
    for visit, state in zip(record["visits"], kind["visits"], strict=True):
        own = _of(state, lesion)
        if state["product_sum_mm2"] is None:
            absent = "not matched"
        elif own:
            merged = own["status"] == "merged"
            absent = f"merged into {', '.join(own['others'])}" if merged else "not there"
        drawn = pictures.get((kind["name"], lesion, visit["visit"]))
        panels.append({"visit": visit, "own": own, "png": drawn, "absent": absent})
    return panels


def _of(state: Mapping[str, Any], lesion: str) -> Mapping[str, Any] | None:
    return next((own for own in state["lesions"] if own["lesion"] == lesion), None)


def _trend(record: Mapping[str, Any], kind: Mapping[str, Any], quantity: str) -> Trend:
    label, total, single = _QUANTITIES[quantity]
    values = [nan if state[total] is None else state[total] for state in kind["visits"]]
    days = [visit["day"] for visit in record["visits"]]
    known = all(day is not None for day in days)
    start = record["baseline"] - 1
    more, less = _RULES[quantity]
    progression: list[float | None] = [
        min(values[start:number]) * (1 + more) if number > start and value == value else None
        for number, value in enumerate(values)
    ]
    return Trend(
        label=label,
        places=days if known else [visit["visit"] for visit in record["visits"]],
        axis="days since the first visit" if known else "visit (dates unknown)",
        total=values,
        lesions={
            lesion: [_value(_of(state, lesion), single) for state in kind["visits"]]
            for lesion in kind["targets"]
        },
        categories=[state[f"by_{quantity}"]["category"] for state in kind["visits"]],
        progression=progression,
        response=values[start] * (1 - less) if values[start] else None,
    )


def _value(own: Mapping[str, Any] | None, name: str) -> float:
    """A measurement of a lesion at a visit: 0 where it vanished, NaN where it is part of another
    one or not known yet.
    """
    if own is None or own["status"] == "merged":
        return nan
    return own[name] or 0.0
