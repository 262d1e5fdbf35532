"""The table of a page: volumes, what validation tells of them, and lesions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....core.schema import Schema
from ....metrics.diameters import Lesion, lesions
from ..drawing import FAINT
from ..palette import label_colours, region_colours
from ..planes import View
from .sheet import LINE_IN, MARGIN_IN, RIGHT_IN, SIZE, SMALL, Sheet
from .slices import DETAIL_IN, draw_lesion
from .text import printable, shortened, wrapped

LEAST_MM3 = 50.0
"""Smaller connected parts of a region are not counted as lesions, as in the DICOM report."""
_COLUMNS = ("Volume", "Likely volume", "Expected Dice", "Lesions", "Largest lesion")
_ENDS = (0.27, 0.47, 0.71, 0.82, 1.0)
"""Right ends of the columns in shares of the width of the table."""
_NOTE_LINES = 3


@dataclass(frozen=True)
class Row:
    """A row of the table: name and colour of a region, or of a label, and the cells beside."""

    name: str
    colour: str
    cells: tuple[str, ...]
    is_region: bool = True


def draw_results(sheet: Sheet, view: View, schema: Schema, record: Mapping[str, Any]) -> None:
    """The table, and beside it the largest lesion of the innermost region that has one."""
    found = lesions_of(view, schema)
    inwards = [*schema.innermost, *reversed(schema.regions)]
    region = next((name for name in inwards if found[name]), None)
    right, end = RIGHT_IN, 0.0
    if region:
        end = draw_lesion(sheet, view, schema, region, found[region][0].measured)
        right -= DETAIL_IN + 0.25
    rows, wide = list(rows_of(view, schema, record, found)), right - MARGIN_IN
    ends = [MARGIN_IN + share * wide for share in _ENDS]
    filled = max(len(row.cells) for row in rows)
    for title, at in zip(_COLUMNS[:filled], ends, strict=False):
        sheet.text(at, sheet.at, title, SMALL, ha="right", color=FAINT)
    sheet.at += LINE_IN * 1.15
    for row in rows:
        sheet.rule(sheet.at, right)
        sheet.box(MARGIN_IN, sheet.at + 0.055, 0.09, 0.09, row.colour)
        name = shortened(printable(row.name), ends[0] - MARGIN_IN - 0.72, SIZE, "bold")
        weight = "bold" if row.is_region else "normal"
        sheet.text(MARGIN_IN + 0.16, sheet.at + 0.02, name, weight=weight)
        for cell, at in zip(row.cells, ends, strict=False):
            sheet.text(at, sheet.at + 0.02, cell, ha="right")
        sheet.at += LINE_IN * 1.3
    sheet.rule(sheet.at, right)
    sheet.at += 0.05
    for note in _notes(record, filled > 1, bool(region)):
        for line in wrapped(note, wide, SMALL, _NOTE_LINES):
            sheet.text(MARGIN_IN, sheet.at, line, SMALL, color=FAINT)
            sheet.at += LINE_IN * 0.85
    sheet.at = max(sheet.at, end) + 0.12


def lesions_of(view: View, schema: Schema) -> dict[str, list[Lesion]]:
    """The lesions of each region of the prediction, measured in axial slices, the largest first; of
    single slices, whose thickness is not known, none.
    """
    if schema.dimensions == 2:
        return {name: [] for name in schema.regions}
    masks = {name: np.isin(view.prediction, schema.classes_of(name)) for name in schema.regions}
    return {
        name: lesions(mask, view.spacing_mm, least_mm3=LEAST_MM3) if mask.any() else []
        for name, mask in masks.items()
    }


def rows_of(
    view: View, schema: Schema, record: Mapping[str, Any], found: Mapping[str, Sequence[Lesion]]
) -> Iterator[Row]:
    """The regions, and labels that are no region of their own."""
    colours, errors = region_colours(schema), record.get("volume_errors") or {}
    expected = (record.get("quality") or {}).get("expected_dice") or {}
    for name, volume_ml in record["volumes_ml"].items():
        likely, dice = _likely(errors.get(name)), _dice(expected.get(name))
        cells = (_ml(volume_ml), *((likely, dice) if volume_ml else ()))
        cells += _largest(found.get(name, ()))
        yield Row(name, colours.get(name, FAINT), cells)
    alone = {members[0] for members in schema.regions.values() if len(members) == 1}
    voxel_ml = float(np.prod(view.spacing_mm)) / 1000
    for index, (name, colour) in enumerate(label_colours(schema).items(), 1):
        if name not in alone:
            volume_ml = float((view.prediction == index).sum()) * voxel_ml
            yield Row(name, colour, (_ml(volume_ml),), is_region=False)


def _ml(volume_ml: float) -> str:
    return f"{volume_ml:.1f} ml" if volume_ml >= 1 or not volume_ml else f"{volume_ml:.2g} ml"


def _likely(error: Mapping[str, Any] | None) -> str:
    """The interval of the true volume, or of its error where that is not known in percent."""
    if error is None:
        return "not known"
    if error["low_ml"] is not None:
        return f"{error['low_ml']:.1f}–{error['high_ml']:.1f} ml"
    spread = error["error_ml"]
    return f"error {spread['low']:+.1f} to {spread['high']:+.1f} ml"


def _dice(expected: Mapping[str, Any] | None) -> str:
    if expected is None:
        return ""
    if expected["dice"] is None:
        return "not known"
    return f"{expected['dice']:.2f} ({expected['low']:.2f}–{expected['high']:.2f})"


def _largest(found: Sequence[Lesion]) -> tuple[str, ...]:
    """The number of lesions, and the diameters of the first."""
    if not found:
        return ()
    lines = found[0].measured
    return str(len(found)), f"{lines.long_axis_mm:.0f} × {lines.short_axis_mm:.0f} mm"


def _notes(record: Mapping[str, Any], has_tumour: bool, has_lesions: bool) -> Iterator[str]:
    """What the columns mean."""
    is_doubtful = (record.get("quality") or {}).get("flag") == "check"
    errors = [error for error in (record.get("volume_errors") or {}).values() if error]
    spreads = [error["error_percent"] or error["error_ml"] for error in errors]
    if spreads and has_tumour:
        coverages = sorted({f"{100 * spread['coverage']:.0f} %" for spread in spreads})
        cases = max(spread["cases"] for spread in spreads)
        yield (
            f"Likely volume and Dice: intervals with a probability of {' or '.join(coverages)}, by"
            f" the errors on {cases} validation cases."
            + (" They do not hold for this case, see its quality." if is_doubtful else "")
        )
    elif not spreads:
        yield "The errors of these volumes are not known: there were no validation cases."
    if has_lesions:
        yield (
            f"Lesions: of at least {LEAST_MM3:.0f} mm³. Diameters: the longest one in an axial"
            " slice, and the longest one perpendicular to it."
        )
