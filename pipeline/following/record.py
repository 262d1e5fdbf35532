"""The record of a follow-up, and its table: plain values without identity of the patient."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .aligning import Aligned
from .course import Course, Lesion, State
from .rano import Category, confirmation, overall
from .reading import Examination
from .visits import Visit

FORMAT_VERSION = 1
USE = "Research use only, not for diagnosis."
SCOPE = "imaging part only"
CRITERIA = (
    "RANO 2.0, Wen et al., J Clin Oncol 41 (2023), doi:10.1200/JCO.23.01059, as far as stated in"
    " docs/how-to/follow-up.md"
)


def record_of(
    examinations: Sequence[Examination],
    aligned: Sequence[Aligned],
    courses: Sequence[Course],
    warnings: Sequence[str],
    dates: bool = False,
) -> dict[str, Any]:
    """Everything of a follow-up as plain values; dates only where they are asked for."""
    visits = [examination.visit for examination in examinations]
    baseline = courses[0].baseline
    return {
        "format_version": FORMAT_VERSION,
        "use": USE,
        "criteria": CRITERIA,
        "baseline": visits[baseline].number,
        "visits": [
            _visit(examination, way, dates)
            for examination, way in zip(examinations, aligned, strict=True)
        ],
        "kinds": [_kind(course, visits) for course in courses],
        "warnings": list(warnings),
    }


def _visit(examination: Examination, way: Aligned, dates: bool) -> dict[str, Any]:
    visit = examination.visit
    clinical = visit.clinical
    return {
        "visit": visit.number,
        "day": visit.day,
        "date": str(visit.acquired) if dates and visit.acquired else None,
        "case": visit.case.name,
        "labels": examination.labels.origin,
        "checked": examination.labels.checked,
        "clinical": dict(vars(clinical)),
        "missing": clinical.missing,
        "registration": {
            name: round(float(value), 4) for name, value in vars(way).items() if name != "matrix"
        }
        | {"matrix": way.matrix.tolist(), "poor": way.poor},
    }


def _kind(course: Course, visits: Sequence[Visit]) -> dict[str, Any]:
    by_product, by_volume = course.by_product(), course.by_volume()
    days = [visit.day for visit in visits]
    base = visits[course.baseline].clinical
    rows = []
    for number, (visit, state) in enumerate(zip(visits, course.states, strict=True)):
        product = by_product[number]
        unmatched = course.unmatched_at(number)
        name, reason = ("", "") if unmatched else overall(product.category, visit.clinical, base)
        rows.append(
            {
                "visit": visit.number,
                "plane": state.slicing.plane,
                "slice_thickness_mm": round(state.slicing.thickness_mm, 3),
                "lesions": _lesions(state, bool(unmatched)),
                "specks": state.found.specks,
                "specks_ml": round(state.found.specks_mm3 / 1000, 4),
                **_sums(state, bool(unmatched)),
                "by_product": _category(product)
                | {"confirmation": confirmation(by_product, days, number, visit.clinical)},
                "by_volume": _category(by_volume[number])
                | {"confirmation": confirmation(by_volume, days, number, visit.clinical)},
                "with_clinic": {"category": name, "reason": reason},
                "notes": course.notes_at(number),
            }
        )
    return {
        "name": course.kind.name,
        "title": course.kind.title,
        "region": course.kind.region,
        "targets": list(course.targets),
        "visits": rows,
    }


def _lesions(state: State, unmatched: bool) -> list[dict[str, Any]]:
    """What became of every lesion; only what is there, where lesions cannot be matched."""
    if not unmatched:
        return [_lesion(lesion) for lesion in state.lesions]
    unknown = {"status": "unmatched", "others": [], "target": False}
    return [_lesion(lesion) | unknown for lesion in state.present]


def _lesion(lesion: Lesion) -> dict[str, Any]:
    lines = lesion.lines
    return {
        "lesion": lesion.name,
        "status": lesion.sighting.status,
        "others": list(lesion.sighting.others),
        "target": lesion.target,
        "measurable": lesion.measurable,
        "volume_ml": round(lesion.volume_ml, 4),
        "longest_mm": round(lines.long_axis_mm, 2) if lines else None,
        "perpendicular_mm": round(lines.short_axis_mm, 2) if lines else None,
        "product_mm2": round(lines.product_mm2, 2) if lines else None,
        "slice": lines.index + 1 if lines else None,
        "slices": lesion.slices,
        "outside_baseline": round(lesion.outside, 4),
    }


def _sums(state: State, unmatched: bool) -> dict[str, float | None]:
    """None over target lesions where these cannot be matched."""
    return {
        "product_sum_mm2": None if unmatched else round(state.product_mm2, 2),
        "target_ml": None if unmatched else round(state.target_ml, 4),
        "total_ml": round(state.total_ml, 4),
    }


def _category(found: Category) -> dict[str, Any]:
    changes = {"from_baseline": found.from_baseline, "from_nadir": found.from_nadir}
    rounded = {name: None if way is None else round(way, 4) for name, way in changes.items()}
    return {"category": found.category, "reason": found.reason, **rounded}


def table_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per visit and lesion, and one of the sums per visit and kind."""
    return [
        row | {"use": record["use"]}
        for kind in record["kinds"]
        for state in kind["visits"]
        for row in _rows(record, kind, state)
    ]


def _rows(
    record: Mapping[str, Any], kind: Mapping[str, Any], state: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    visit = record["visits"][state["visit"] - 1]
    start = {name: visit[name] for name in ("visit", "day", "date")} | {"disease": kind["name"]}
    by_product, by_volume, clinic = state["by_product"], state["by_volume"], state["with_clinic"]
    empty = dict.fromkeys(
        (
            *("change_from_baseline", "change_from_nadir", "category_by_product"),
            *("category_by_volume", "category_with_clinic", "scope", "missing_fields"),
        )
    )
    for lesion in state["lesions"]:
        own = {name: lesion[name] for name in lesion if name not in ("others", "status")}
        status = " ".join([lesion["status"], *lesion["others"]])
        yield start | {"lesion": "", "status": status} | own | {"plane": state["plane"]} | empty
    yield {
        **start,
        "lesion": "sum",
        "status": "",
        "target": None,
        "measurable": None,
        "volume_ml": state["target_ml"],
        "longest_mm": None,
        "perpendicular_mm": None,
        "product_mm2": state["product_sum_mm2"],
        "slice": None,
        "slices": None,
        "plane": state["plane"],
        "change_from_baseline": by_product["from_baseline"],
        "change_from_nadir": by_product["from_nadir"],
        "category_by_product": by_product["category"],
        "category_by_volume": by_volume["category"],
        "category_with_clinic": clinic["category"],
        "scope": "" if clinic["category"] else SCOPE,
        "missing_fields": " ".join(visit["missing"]),
    }
