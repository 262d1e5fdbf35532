"""The cases themselves, from the worst to the best, as far as the page has room."""

from collections.abc import Sequence
from typing import Any

from ...core.schema import Schema
from ..plots.planes import convention
from ..worst_to_best import mean_region_dice
from .html import Html, element, join, picture
from .run import Pictured, Run
from .text import number

STILL = """
if (matchMedia("(prefers-reduced-motion: reduce)").matches)
  for (const film of document.querySelectorAll("details.moving")) film.open = false;
"""
"""A script that closes what moves, for readers who want nothing to."""

_INTRO = (
    "Fills are the labels of the prediction; lines outline the regions, solid for the reference and"
    " dashed for the prediction."
)
_ROWS = " Each row shows the slice with the largest tumour area in one plane."
_RULE = (
    "This page stays below 25 MB. Text, tables, plots, the viewer and the small pictures of cases"
    " come first; of the cases above as many are shown as then fit: the worst, the best, the second"
    " worst, the second best and so on."
)


def case_pictures(run: Run, room: int) -> Html:
    """Pictures of cases, from the worst to the best, as many as there is room for.

    Parameters
    ----------
    run : Run
        With ``pictured``.
    room : int
        Bytes of markup that they may take. The worst case goes in first, then the best, the second
        worst, the second best and so on, until one does not fit; that and the rest are named.

    Returns
    -------
    Html
        Nothing if no case is pictured.
    """
    if not run.pictured:
        return Html("")
    ranked, shown = list(mean_region_dice(run.rows)), {}
    for place in _from_both_ends(len(run.pictured)):
        markup = _case(run, place, run.pictured[place], ranked)
        room -= len(markup.encode())
        if room < 0:
            break
        shown[place] = markup
    left_out = [pictured.case for place, pictured in enumerate(run.pictured) if place not in shown]
    rest = (
        f"Left out, to be found in metrics/figures: {', '.join(left_out)}."
        if left_out
        else "None was left out."
    )
    intro = f"{_INTRO}{_ROWS * (run.schema.dimensions == 3)} {convention(run.schema)}"
    rule = element("p", f"{_RULE} {rest}", class_="faint")
    return join(element("p", intro), *(shown[place] for place in sorted(shown)), rule)


def _from_both_ends(count: int) -> list[int]:
    """0, the last, 1, the last but one ..."""
    return [place // 2 if place % 2 == 0 else count - 1 - place // 2 for place in range(count)]


def _case(run: Run, place: int, pictured: Pictured, ranked: Sequence[str]) -> Html:
    dice = dice_line(run.rows, run.schema, pictured.case)
    alt = (
        f"Case {pictured.case} in {', '.join(run.schema.modalities)}, the prediction filled, both"
        f" outlined. {dice}."
    )
    caption = (
        f"{dice}. The last column enlarges the tumour: what was missed, false alarms, and tumour"
        " under another label."
    )
    slices = (
        f"Axial slices of case {pictured.case} from bottom to top through the tumour"
        if run.schema.dimensions == 3
        else pictured.case
    )
    film = f"{slices}: the reference left, the prediction right."
    return join(
        element("h3", f"{pictured.case}: {_rank(pictured.case, ranked)}", id=f"case-{place}"),
        picture(pictured.overlay, "png", alt, caption, "scan"),
        element(
            "details",
            element("summary", "Film through the slices"),
            picture(pictured.animation, _kind(pictured.animation), film, film, "film"),
            open="",
            class_="moving",
        ),
    )


def _kind(film: bytes) -> str:
    return "webp" if film.startswith(b"RIFF") else "gif"


def _rank(case: str, ranked: Sequence[str]) -> str:
    place, cases = ranked.index(case) + 1, len(ranked)
    if cases == 1:
        return "the only case"
    return {1: f"the worst of {cases}", cases: f"the best of {cases}"}.get(
        place, f"number {place} of {cases} from the worst"
    )


def dice_line(rows: Sequence[dict[str, Any]], schema: Schema, case: str) -> str:
    """Dice of each region of a case in one line."""
    dice = {
        row["name"]: row["dice"] for row in rows if row["case"] == case and row["kind"] == "region"
    }
    return "Dice  " + "   ".join(f"{region} {number(dice[region], 2)}" for region in schema.regions)
