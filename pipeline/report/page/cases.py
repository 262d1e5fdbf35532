"""Sections of the report that present the held-out cases: the sortable table and the pictures."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ...core.case_means import mean_region_dice
from ...core.schema import Schema
from ..plots.planes import convention
from ..rendering import base64_bytes, number
from ..results import Pictured, Run
from ..worst_to_best import from_both_ends

LOCAL_HELD_OUT = "http://127.0.0.1:8765/held-out/"
"""Before the name of a held-out case: its address on the page of ``tumorflow serve``."""
_BY_RULE = "†"
_MARKUP_BYTES = 2_000
"""At most so many are written around the pictures of a case."""

Cells = dict[tuple[str, str], dict[str, Any]]
"""Group and title of a column to the cell of a row."""


def cases_table(run: Run) -> dict[str, Any]:
    """Columns and rows of sections/cases.html.j2, from the worst case to the best."""
    places = {pictured.case: place for place, pictured in enumerate(run.pictured)}
    cells = _cells(run)
    columns = [("", "Case"), *next(iter(cells.values()))]
    return {
        "groups": [
            (group, len(list(own))) for group, own in groupby(columns, lambda column: column[0])
        ],
        "titles": [title for _, title in columns],
        "opened_at": LOCAL_HELD_OUT,
        "by_rule": any(_BY_RULE in cell["text"] for own in cells.values() for cell in own.values()),
        "sorted_by": columns.index(("Dice", "Mean")),
        "rows": [
            {"case": case, "place": places.get(case), "cells": list(own.values())}
            for case, own in cells.items()
        ],
    }


def _cells(run: Run) -> dict[str, Cells]:
    """Cells of each case, in the order of the columns."""
    regions = list(run.schema.regions)
    scored = {(row["case"], row["name"]): row for row in run.rows if row["kind"] == "region"}
    lesionwise = {(row["case"], row["name"]): row for row in run.lesionwise}
    patients = {row["case"]: row["patient"] for row in run.rows}
    named = any(case != patient for case, patient in patients.items())
    found = {}
    for case, mean in mean_region_dice(run.rows).items():
        own = {region: scored[case, region] for region in regions}
        cells: Cells = {("", "Patient"): {"text": patients[case]}} if named else {}
        cells["Dice", "Mean"] = _share(mean)
        for region, row in own.items():
            cells["Dice", region] = _share(row["dice"], row["filled"])
        for region in regions if lesionwise else ():
            row = lesionwise.get((case, region), {"lesion_dice": float("nan")})
            cells["Lesion-wise Dice", region] = _share(row["lesion_dice"], row.get("filled", ""))
        for region, row in own.items():
            text = number(row["hd95_mm"], 1) + _mark(row["filled"])
            cells["HD95 (mm)", region] = _cell(text, row["hd95_mm"])
        for region, row in own.items():
            cells |= _volumes(region, row)
        found[case] = cells
    return found


def _cell(text: str, value: float) -> dict[str, Any]:
    """A cell that is sorted by a value; an undefined one has no key and stays last."""
    return {"text": text, "key": repr(value) if value == value else ""}


def _share(value: float, filled: str = "") -> dict[str, Any]:
    """A cell whose background shows a share."""
    share = f"{value if value == value else 0:.3f}"
    return _cell(number(value) + _mark(filled), value) | {"share": share}


def _mark(filled: str) -> str:
    return _BY_RULE if filled else ""


def _volumes(region: str, row: Mapping[str, Any]) -> Cells:
    titles = {"Ref.": row["reference_ml"], "Pred.": row["prediction_ml"]}
    return {
        (f"{region} (ml)", title): _cell(number(volume, 1), volume)
        for title, volume in titles.items()
    }


def pictures(run: Run, room: int) -> dict[str, Any]:
    """Pictures of sections/pictures.html.j2, from the worst case to the best.

    Parameters
    ----------
    room : int
        Bytes of markup that they may take. The worst case goes in first, then the best, the second
        worst, the second best and so on, until one does not fit; it and the rest are named.
    """
    ranked = list(mean_region_dice(run.rows))
    fitting = _fitting(run.pictured, room)
    shown = [
        {
            "place": place,
            "case": pictured.case,
            "rank": _rank(ranked.index(pictured.case) + 1, len(ranked)),
            "dice": dice_line(run.rows, run.schema, pictured.case),
            "overlay": pictured.overlay,
            "film": pictured.animation,
            "kind": "webp" if pictured.animation.startswith(b"RIFF") else "gif",
        }
        for place, pictured in enumerate(run.pictured)
        if pictured.case in fitting
    ]
    return {
        "shown": shown,
        "left_out": [each.case for each in run.pictured if each.case not in fitting],
        "modalities": run.schema.modalities,
        "convention": convention(run.schema),
    }


def _fitting(pictured: Sequence[Pictured], room: int) -> set[str]:
    """The cases that fit, taken from both ends in turn."""
    by_case, fitting = {each.case: each for each in pictured}, set[str]()
    for case in from_both_ends(list(by_case)):
        room -= _MARKUP_BYTES + base64_bytes(by_case[case].overlay, by_case[case].animation)
        if room < 0:
            break
        fitting.add(case)
    return fitting


def _rank(place: int, cases: int) -> str:
    if cases == 1:
        return "the only case"
    ends = {1: f"the worst of {cases}", cases: f"the best of {cases}"}
    return ends.get(place, f"number {place} of {cases} from the worst")


def dice_line(rows: Sequence[Mapping[str, Any]], schema: Schema, case: str) -> str:
    """Dice of each region of a case in one line."""
    dice = {
        row["name"]: row["dice"] for row in rows if row["case"] == case and row["kind"] == "region"
    }
    return "Dice  " + "   ".join(f"{region} {number(dice[region], 2)}" for region in schema.regions)
