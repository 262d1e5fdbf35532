"""The table of a page: volumes, what validation tells of them, and lesions."""

from collections.abc import Iterator, Mapping
from typing import Any

from ....core.schema import Schema
from ....metrics.diameters import Measured
from ...case_facts import LEAST_MM3
from ..drawing import FAINT
from ..planes import View
from .sheet import LINE_IN, MARGIN_IN, RIGHT_IN, SIZE, SMALL, Sheet
from .slices import DETAIL_IN, draw_lesion
from .text import printable, shortened, wrapped

_COLUMNS = ("Volume", "Range of volume", "Expected Dice", "Lesions", "Largest lesion")
_ENDS = (0.27, 0.47, 0.71, 0.82, 1.0)
"""Right ends of the columns in shares of the width of the table."""
_NOTE_LINES = 3
_BOX_IN, _BETWEEN_IN, _MOST_BOXES = 0.08, 0.015, 5
"""The colours of the labels of a region, side by side."""
_VOLUME_IN = 0.56


def draw_results(
    sheet: Sheet,
    view: View,
    schema: Schema,
    facts: Mapping[str, Any],
    largest: Mapping[str, Measured],
) -> None:
    """The table of the facts of a case, and beside it the largest lesion of the innermost region
    that has one, of the largest ones by region.
    """
    inwards = [*schema.innermost, *reversed(schema.regions)]
    region = next((name for name in inwards if name in largest), None)
    right, end = RIGHT_IN, 0.0
    if region:
        end = draw_lesion(sheet, view, schema, region, largest[region])
        right -= DETAIL_IN + 0.25
    wide = right - MARGIN_IN
    ends = [MARGIN_IN + share * wide for share in _ENDS]
    rows = [(row, _cells(row)) for row in (*facts["regions"], *facts["labels"])]
    filled = max(len(cells) for _, cells in rows)
    boxes = min(max(len(row["colours"]) for row, _ in rows), _MOST_BOXES)
    named = MARGIN_IN + boxes * (_BOX_IN + _BETWEEN_IN) + 0.05
    for title, at in zip(_COLUMNS[:filled], ends, strict=False):
        sheet.text(at, sheet.at, title, SMALL, ha="right", color=FAINT)
    sheet.at += LINE_IN * 1.15
    for row, cells in rows:
        sheet.rule(sheet.at, right)
        for place, colour in enumerate(row["colours"][:_MOST_BOXES]):
            left = MARGIN_IN + place * (_BOX_IN + _BETWEEN_IN)
            sheet.box(left, sheet.at + 0.055, _BOX_IN, _BOX_IN, colour)
        room = ends[0] - named - _VOLUME_IN
        name = shortened(printable(row["name"]), room, SIZE, "bold")
        weight = "bold" if row["name"] in schema.regions else "normal"
        sheet.text(named, sheet.at + 0.02, name, weight=weight)
        for cell, at in zip(cells, ends, strict=False):
            sheet.text(at, sheet.at + 0.02, cell, ha="right")
        sheet.at += LINE_IN * 1.3
    sheet.rule(sheet.at, right)
    sheet.at += 0.05
    for note in _notes(facts, bool(region)):
        for line in wrapped(note, wide, SMALL, _NOTE_LINES):
            sheet.text(MARGIN_IN, sheet.at, line, SMALL, color=FAINT)
            sheet.at += LINE_IN * 0.85
    sheet.at = max(sheet.at, end) + 0.12


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a region, of one that is empty and of a label the volume alone."""
    volume_ml = row["volume_ml"]
    exact = f"{volume_ml:.1f} ml" if volume_ml >= 1 or not volume_ml else f"{volume_ml:.2g} ml"
    if not volume_ml or "dice" not in row:
        return (exact,)
    cells = (exact, _likely(row), _dice(row["dice"]))
    if not row["lesions"]:
        return cells
    lines = f"{row['long_axis_mm']:.0f} × {row['short_axis_mm']:.0f} mm"
    return (*cells, str(row["lesions"]), lines)


def _likely(row: Mapping[str, Any]) -> str:
    """The interval of the true volume, or of its error where that is not known in percent."""
    if row["likely_ml"]:
        low, high = row["likely_ml"]
        return f"{low:.1f}–{high:.1f} ml"
    if row["error_ml"]:
        low, high = row["error_ml"]
        return f"error {low:+.1f} to {high:+.1f} ml"
    return "not known"


def _dice(expected: Mapping[str, Any] | None) -> str:
    if expected is None:
        return ""
    if expected["dice"] is None:
        return "not known"
    return f"{expected['dice']:.2f} ({expected['low']:.2f}–{expected['high']:.2f})"


def _notes(facts: Mapping[str, Any], has_lesions: bool) -> Iterator[str]:
    """What the columns mean."""
    yield f"{facts['ranges']} {facts['dice_ranges']}".strip()
    if has_lesions:
        yield (
            f"Lesions: of at least {LEAST_MM3:.0f} mm³. Diameters: the longest one in an axial"
            " slice, and the longest one perpendicular to it."
        )
