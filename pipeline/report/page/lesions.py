"""Lesion by lesion: how well each is drawn, and which are found at all."""

from collections.abc import Sequence
from typing import Any

from ...metrics.lesion_rules import why_unscored
from ..plots.detection import ALL
from .html import Html, element, join, table
from .metrics import INSTANCES, LESIONWISE, summary_table
from .plots import Figures, plot
from .run import Run
from .text import interval, number, small

_NOTE = (
    "A case counts here by its lesions, not by its voxels: each lesion of the reference is scored"
    " by itself, a missed lesion and a false alarm count as Dice 0, and the case is the mean of"
    " them all. A large lesion cannot make up for small ones that were missed."
)
_DETECTION_NOTE = (
    "Lesions of all held-out cases together, counted one by one. The intervals (Wilson) take"
    " lesions of one patient as independent, which they are not: they are rather too narrow."
)
_INSTANCES_NOTE = (
    "Connected components of the masks as they are, which need no rules: a pair whose IoU exceeds"
    " 0.5 is a match."
)
_CAPTION = "Mean over cases with 95 % intervals."


def lesions(run: Run, figures: Figures) -> Html:
    """Tables of lesion-wise scores, or why there are none, of detection by size, and of instances;
    nothing where none were scored.
    """
    return join(*_lesionwise(run, figures), *_instances(run))


def _lesionwise(run: Run, figures: Figures) -> Sequence[Html]:
    if not run.lesionwise:
        return (
            [element("p", why_unscored(run.schema.cohort))]
            if run.schema.lesion_rules is None
            else ()
        )
    rules, summaries = run.evaluation.get("lesion_rules"), _by_region(run, "lesionwise")
    return (
        element("p", _NOTE, f" Rules: {rules}." if rules else ""),
        *([summary_table(summaries, LESIONWISE, _CAPTION)] if summaries else []),
        *(_detection(run, figures) if run.detection else ()),
    )


def _instances(run: Run) -> Sequence[Html]:
    summaries = _by_region(run, "instances")
    if not summaries:
        return ()
    return (
        element("h3", "Instances"),
        element("p", _INSTANCES_NOTE),
        summary_table(summaries, INSTANCES, _CAPTION),
    )


def _by_region(run: Run, part: str) -> dict[str, Any]:
    measured = run.evaluation.get(part, {})
    return {region: measured[region] for region in run.schema.regions if region in measured}


def _detection(run: Run, figures: Figures) -> Sequence[Html]:
    regions = list(run.schema.regions)
    read = {(reading["name"], reading["size"]): reading for reading in run.detection}
    sizes = dict.fromkeys(reading["size"] for reading in run.detection)
    rows = [
        [
            "All sizes" if size == ALL else size.capitalize(),
            *(_reading(read[region, size]) for region in regions),
        ]
        for size in sizes
    ]
    alt = (
        f"Left: share of lesions found, by size, for {', '.join(regions)}. Right: false lesions in"
        " a case, by size; numbers below."
    )
    caption = (
        "Dots are the share of lesions found, whiskers its 95 % interval. Sizes are volumes of the"
        " reference left, of the prediction right."
    )
    return (
        element("h3", "Detection by size"),
        element("p", _DETECTION_NOTE),
        plot(figures, "detection", alt, caption),
        table(
            ["Size", *regions],
            rows,
            "Sensitivity with its 95 % interval, lesions found, false positives per case.",
        ),
    )


def _reading(reading: dict[str, Any]) -> Html:
    between = interval(reading["sensitivity_low"], reading["sensitivity_high"], 2)
    share = number(reading["sensitivity"], 2) + f" ({between})" * bool(between)
    counts = (
        f"{reading['found']} of {reading['lesions']} found,"
        f" {number(reading['false_positives_per_case'], 2)} false per case"
    )
    return join(share, small(counts))
