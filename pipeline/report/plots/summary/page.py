"""A segmented case on one page, for the screen and for print."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np

from ....core.schema import Schema
from ...case_facts import USE, case_facts, lesions_of
from ..drawing import FAINT, Style, png, style
from ..planes import View
from .sheet import HEIGHT_IN, INNER_IN, LINE_IN, MARGIN_IN, RIGHT_IN, SIZE, SMALL, WIDTH_IN, Sheet
from .slices import draw_slices
from .table import draw_results
from .text import printable, shortened, width_in, wrapped

_PNG_DPI, _IMAGE_DPI = 150, 220
_FOOT_AT = HEIGHT_IN - MARGIN_IN - 0.66
"""Where what made the page, and its use, start."""
_INDENT_IN, _HEADING_IN, _TERM_IN = 0.13, 0.3, 1.35
_ITEM_LINES = 3
_FLAG_COLOURS = {"ok": "#1a7f37", "check": "#9a5b00", "unknown": "#57606a"}
_RENDERING: dict[Any, Any] = {"pdf.fonttype": 42, "text.parse_math": False, "text.hinting": "none"}
"""TrueType fonts, whose text can be selected; no formula where a name has a $; text as wide on the
screen as in print.
"""


@dataclass(frozen=True)
class Summary:
    """A page as a PDF file and as a PNG file."""

    pdf: bytes
    png: bytes


@style()
def summary(view: View, schema: Schema, record: Mapping[str, Any]) -> Summary:
    """Draw the page of a case.

    It shows the slices with the largest tumour area in three planes with the outlines of the
    regions; the volumes of regions and labels with what validation tells of their errors; number
    and diameters of lesions; the quality flag with its reasons; the warnings; what made it. Of
    reasons and warnings that do not fit, the number is given.

    Parameters
    ----------
    view : View
        Of the prediction; its reference is not shown.
    schema : Schema
    record : mapping
        The run manifest (docs/reference/manifest.md). The date is the day of ``run.created``, so
        that two pages of one record are equal to the last byte.
    """
    view = replace(view, reference=np.zeros_like(view.reference))
    found = lesions_of(view.prediction, schema, view.spacing_mm)
    facts = case_facts(view.prediction, schema, view.spacing_mm, record, found)
    largest = {name: mine[0].measured for name, mine in found.items() if mine}
    with matplotlib.rc_context(_RENDERING):
        sheet = Sheet()
        _head(sheet, view, facts)
        draw_slices(sheet, view, schema)
        draw_results(sheet, view, schema, facts, largest)
        _remarks(sheet, facts)
        _foot(sheet, facts)
        image = png(sheet.figure, _PNG_DPI)
        file = io.BytesIO()
        about = {"Title": f"Segmentation of {printable(view.case)}", "Subject": USE}
        made_by = {"Creator": "TumorFlow", "Producer": None, "CreationDate": None}
        sheet.figure.savefig(file, format="pdf", dpi=_IMAGE_DPI, metadata=about | made_by)
    return Summary(file.getvalue(), image)


def _head(sheet: Sheet, view: View, facts: Mapping[str, Any]) -> None:
    """Name of the case, quality flag, modalities, use."""
    flag, words = facts["quality"]["flag"], facts["quality"]["words"]
    wide = width_in(words, 9, "bold") + 0.24
    name = shortened(printable(view.case) or "case", INNER_IN - wide - 0.2, 15, "bold")
    sheet.text(MARGIN_IN, sheet.at + 0.06, name, 15, weight="bold")
    place = (RIGHT_IN - wide, sheet.at + 0.02, wide, 0.24)
    usual: Style = {"weight": "bold", "ha": "center"}
    if flag == "check":
        sheet.box(*place, _FLAG_COLOURS[flag])
        usual["color"] = "white"
    else:  # no signal that all is well
        sheet.frame(*place, _FLAG_COLOURS[flag])
        usual["color"] = _FLAG_COLOURS[flag]
    sheet.text(RIGHT_IN - wide / 2, sheet.at + 0.06, words, 9, **usual)
    sheet.at += 0.32
    absent = facts["missing_modalities"]
    lacking = f", without {', '.join(absent)}" if absent else ""
    about = printable(f"Brain tumour segmented from {', '.join(view.modalities)}{lacking}")
    room = INNER_IN - width_in(USE, SIZE, "bold") - 0.2
    sheet.text(MARGIN_IN, sheet.at, shortened(about, room, SIZE), color=FAINT)
    sheet.text(RIGHT_IN, sheet.at, USE, ha="right", weight="bold")
    sheet.at += 0.26


def _remarks(sheet: Sheet, facts: Mapping[str, Any]) -> None:
    """The reasons of the quality flag and the warnings, as many as fit."""
    quality, warnings = facts["quality"], facts["warnings"]
    says_more = quality["is_input_doubtful"] or not quality["reasons"]
    said = [*quality["reasons"], *([quality["meaning"]] if says_more else [])]
    blocks = {f"Quality: {quality['words'].lower()}": said}
    if warnings:
        blocks[f"Warnings: {len(warnings)}"] = warnings
    texts = [[_lines(item) for item in items] for items in blocks.values()]
    room = _FOOT_AT - sheet.at - len(blocks) * _HEADING_IN
    shares = _shares([sum(map(len, items)) for items in texts], int(room / LINE_IN))
    for title, items, lines in zip(blocks, texts, shares, strict=True):
        sheet.text(MARGIN_IN, sheet.at, title, 9, weight="bold")
        sheet.at += LINE_IN * 1.25
        _list(sheet, items, lines)
        sheet.at += _HEADING_IN - LINE_IN * 1.25


def _lines(item: str) -> list[str]:
    return wrapped(printable(item), INNER_IN - _INDENT_IN, SIZE, _ITEM_LINES)


def _shares(wanted: Sequence[int], total: int) -> tuple[int, ...]:
    """Lines of one block or two: what each needs, or half of all, or what the other leaves."""
    if len(wanted) == 1:
        return (min(wanted[0], total),)
    first, second = wanted
    given = min(first, max(total - total // 2, total - second))
    return given, min(second, total - given)


def _list(sheet: Sheet, items: Sequence[Sequence[str]], lines: int) -> None:
    """A list in so many lines; how many of its items are left out, if some are."""
    for place, item in enumerate(items):
        rest = len(items) - place - 1
        if len(item) + (rest > 0) > lines and sum(map(len, items[place:])) > lines:
            more = f"{rest + 1} more in the record beside the labels (.json)"
            sheet.text(MARGIN_IN + _INDENT_IN, sheet.at, more, color=FAINT)
            sheet.at += LINE_IN
            return
        sheet.text(MARGIN_IN, sheet.at, "•")
        for line in item:
            sheet.text(MARGIN_IN + _INDENT_IN, sheet.at, line)
            sheet.at += LINE_IN
        lines -= len(item)


def _foot(sheet: Sheet, facts: Mapping[str, Any]) -> None:
    """What made the segmentation, and its use."""
    sheet.at = _FOOT_AT
    sheet.rule(sheet.at)
    sheet.at += 0.06
    for name, text in facts["made_by"]:
        sheet.text(MARGIN_IN, sheet.at, name, SMALL, color=FAINT)
        text = shortened(printable(text), INNER_IN - _TERM_IN, SMALL)
        sheet.text(MARGIN_IN + _TERM_IN, sheet.at, text, SMALL)
        sheet.at += LINE_IN * 0.9
    middle: Style = {"ha": "center", "weight": "bold"}
    sheet.text(WIDTH_IN / 2, sheet.at + 0.08, USE, 9, **middle)
