"""Every held-out case in one table, to be sorted and filtered."""

from collections.abc import Mapping
from typing import Any

from ..worst_to_best import mean_region_dice
from .html import Html, element, join
from .run import Run
from .sortable import Cell, Column, sortable_table
from .text import number, signed

_NOTE = (
    "† The reference or the prediction has no voxel of the region, so the cohort's rule decides the"
    " scores. A heading sorts by its column, once more the other way round; undefined scores stay"
    " last. The field above the table keeps the rows that hold all its words."
)


def cases_table(run: Run) -> Html:
    """The table, from the worst case to the best, with a link where the case is pictured."""
    columns, rows = _columns(run), _rows(run)
    place = next(place for place, column in enumerate(columns) if column.title == "Mean")
    return join(
        sortable_table(columns, rows, "From the worst to the best case.", place),
        element("p", _NOTE, class_="faint"),
    )


def _named(run: Run) -> bool:
    return any(row["case"] != row["patient"] for row in run.rows)


def _lesionwise(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["case"], row["name"]): row for row in run.lesionwise}


def _columns(run: Run) -> list[Column]:
    regions = list(run.schema.regions)
    columns = [Column("Case"), *([Column("Patient")] if _named(run) else [])]
    columns += [Column("Mean", "Dice"), *(Column(region, "Dice") for region in regions)]
    columns += [Column(region, "Lesion-wise Dice") for region in regions if run.lesionwise]
    columns += [Column(region, "HD95 (mm)") for region in regions]
    return columns + [
        Column(title, f"Volume of {regions[0]} (ml)")
        for title in ("Reference", "Prediction", "Error")
    ]


def _rows(run: Run) -> list[list[Cell]]:
    scored = {(row["case"], row["name"]): row for row in run.rows if row["kind"] == "region"}
    lesionwise, named = _lesionwise(run), _named(run)
    patients = {row["case"]: row["patient"] for row in run.rows}
    anchors = {pictured.case: f"#case-{place}" for place, pictured in enumerate(run.pictured)}
    rows = []
    for case, mean in mean_region_dice(run.rows).items():
        own = [scored[case, region] for region in run.schema.regions]
        name = element("a", case, href=anchors[case]) if case in anchors else case
        lesions = [
            lesionwise.get((case, region), {}) for region in run.schema.regions if lesionwise
        ]
        rows.append(
            [
                Cell(name),
                *([Cell(patients[case])] if named else []),
                _share(mean),
                *(_share(row["dice"], row["filled"]) for row in own),
                *(
                    _share(row.get("lesion_dice", float("nan")), row.get("filled", ""))
                    for row in lesions
                ),
                *(
                    Cell(number(row["hd95_mm"], 1) + _mark(row["filled"]), row["hd95_mm"])
                    for row in own
                ),
                *_volumes(own[0]),
            ]
        )
    return rows


def _share(value: float, filled: str = "") -> Cell:
    """A cell whose background shows a share."""
    return Cell(number(value) + _mark(filled), value, value if value == value else 0)


def _mark(filled: str) -> str:
    return "†" if filled else ""


def _volumes(row: Mapping[str, Any]) -> list[Cell]:
    error = row["prediction_ml"] - row["reference_ml"]
    return [
        *(Cell(number(row[name], 1), row[name]) for name in ("reference_ml", "prediction_ml")),
        Cell(signed(error, 1), error),
    ]
