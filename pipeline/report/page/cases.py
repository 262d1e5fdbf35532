"""Sections of the report that present the held-out cases: the sortable table and the pictures."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ...core.schema import Schema
from ..plots.planes import convention
from ..rendering import number, signed
from ..run import Pictured, Run
from ..worst_to_best import mean_region_dice

_MARKUP_BYTES = 2_000
"""At most so many are written around the pictures of a case."""


def cases_table(run: Run) -> dict[str, Any]:
    """Columns and rows of sections/cases.html.j2, from the worst case to the best."""
    named = any(row["case"] != row["patient"] for row in run.rows)
    columns = _columns(run, named)
    return {
        "groups": [
            (group, len(list(own))) for group, own in groupby(columns, lambda column: column[0])
        ],
        "titles": [title for _, title in columns],
        "sorted_by": columns.index(("Dice", "Mean")),
        "rows": _rows(run, named),
    }


def _columns(run: Run, named: bool) -> list[tuple[str, str]]:
    """Group and title of each."""
    regions = list(run.schema.regions)
    volume = f"Volume of {regions[0]} (ml)"
    return [
        ("", "Case"),
        *([("", "Patient")] if named else []),
        *(("Dice", title) for title in ("Mean", *regions)),
        *(("Lesion-wise Dice", region) for region in regions if run.lesionwise),
        *(("HD95 (mm)", region) for region in regions),
        *((volume, title) for title in ("Reference", "Prediction", "Error")),
    ]


def _rows(run: Run, named: bool) -> list[dict[str, Any]]:
    scored = {(row["case"], row["name"]): row for row in run.rows if row["kind"] == "region"}
    lesionwise = {(row["case"], row["name"]): row for row in run.lesionwise}
    patients = {row["case"]: row["patient"] for row in run.rows}
    places = {pictured.case: place for place, pictured in enumerate(run.pictured)}
    rows = []
    for case, mean in mean_region_dice(run.rows).items():
        own = [scored[case, region] for region in run.schema.regions]
        by_lesion = [lesionwise.get((case, region), {}) for region in run.schema.regions]
        cells = [
            *([{"text": patients[case]}] if named else []),
            _share(mean),
            *(_share(row["dice"], row["filled"]) for row in own),
            *(
                _share(row.get("lesion_dice", float("nan")), row.get("filled", ""))
                for row in by_lesion
                if lesionwise
            ),
            *(
                _cell(number(row["hd95_mm"], 1) + _mark(row["filled"]), row["hd95_mm"])
                for row in own
            ),
            *_volumes(own[0]),
        ]
        rows.append({"case": case, "place": places.get(case), "cells": cells})
    return rows


def _cell(text: str, value: float) -> dict[str, Any]:
    """A cell that is sorted by a value; an undefined one has no key and stays last."""
    return {"text": text, "key": repr(value) if value == value else ""}


def _share(value: float, filled: str = "") -> dict[str, Any]:
    """A cell whose background shows a share."""
    share = f"{value if value == value else 0:.3f}"
    return _cell(number(value) + _mark(filled), value) | {"share": share}


def _mark(filled: str) -> str:
    return "†" if filled else ""


def _volumes(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    reference, prediction = row["reference_ml"], row["prediction_ml"]
    error = prediction - reference
    return [
        _cell(number(reference, 1), reference),
        _cell(number(prediction, 1), prediction),
        _cell(signed(error, 1), error),
    ]


def pictures(run: Run, room: int) -> dict[str, Any]:
    """Pictures of sections/pictures.html.j2, from the worst case to the best.

    Parameters
    ----------
    run : Run
        With ``pictured``.
    room : int
        Bytes of markup that they may take. The worst case goes in first, then the best, the second
        worst, the second best and so on, until one does not fit; it and the rest are named.

    Returns
    -------
    dict
    """
    ranked = list(mean_region_dice(run.rows))
    shown = _fitting(run.pictured, room)
    return {
        "shown": [
            {
                "place": place,
                "case": run.pictured[place].case,
                "rank": _rank(ranked.index(run.pictured[place].case) + 1, len(ranked)),
                "dice": dice_line(run.rows, run.schema, run.pictured[place].case),
                "overlay": run.pictured[place].overlay,
                "film": run.pictured[place].animation,
                "kind": "webp" if run.pictured[place].animation.startswith(b"RIFF") else "gif",
            }
            for place in sorted(shown)
        ],
        "left_out": [
            pictured.case for place, pictured in enumerate(run.pictured) if place not in shown
        ],
        "modalities": run.schema.modalities,
        "convention": convention(run.schema),
    }


def _fitting(pictured: Sequence[Pictured], room: int) -> set[int]:
    """Places of the cases that fit, taken from both ends in turn."""
    fitting: set[int] = set()
    for step in range(len(pictured)):
        place = step // 2 if step % 2 == 0 else len(pictured) - 1 - step // 2
        files = (pictured[place].overlay, pictured[place].animation)
        room -= _MARKUP_BYTES + sum(-(-len(file) // 3) * 4 for file in files)
        if room < 0:
            break
        fitting.add(place)
    return fitting


def _rank(place: int, cases: int) -> str:
    if cases == 1:
        return "the only case"
    return {1: f"the worst of {cases}", cases: f"the best of {cases}"}.get(
        place, f"number {place} of {cases} from the worst"
    )


def dice_line(rows: Sequence[Mapping[str, Any]], schema: Schema, case: str) -> str:
    """Dice of each region of a case in one line."""
    dice = {
        row["name"]: row["dice"] for row in rows if row["case"] == case and row["kind"] == "region"
    }
    return "Dice  " + "   ".join(f"{region} {number(dice[region], 2)}" for region in schema.regions)
