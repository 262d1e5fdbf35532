"""The name of a run and its description: how well it does, what changed, how to repeat it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOTE = "mlflow.note.content"
_LONGEST_NAME = 80
"""Characters of changed params in a name; of more, the name says how many there are."""
_MOST_LISTED = 30
_LONGEST_COMMAND = 3000  # MLflow cuts a description after 8000 characters


@dataclass(frozen=True)
class Origin:
    """Where a run comes from.

    Attributes
    ----------
    cohort : str
    settings : sequence of str
        Params that differ from the committed ones, as ``train.epochs=30``.
    command : str
        Shell command that repeats the run.
    experiment : str
        Name of the DVC experiment, empty without one.
    """

    cohort: str
    settings: Sequence[str]
    command: str
    experiment: str


def name_of(origin: Origin) -> str:
    """The cohort, the params that differ from the committed ones, and the DVC experiment or the
    time: ``phantom train.epochs=30 (pious-wave)``.
    """
    what = " ".join(origin.settings)
    if len(what) > _LONGEST_NAME:
        what = f"{len(origin.settings)} params changed"
    when = f"({origin.experiment})" if origin.experiment else time.strftime("%Y-%m-%d %H:%M")
    return " ".join(part for part in (origin.cohort, what, when) if part)


def changed_since(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Flattened params that differ between two runs: ``train.epochs: 20 -> 30``."""
    names = sorted({*before, *now})
    return [
        f"{name}: {before.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def note(
    origin: Origin,
    previous: tuple[str, Sequence[str]] | None,
    scores: Mapping[str, Any],
    headline: Mapping[str, float],
    worst: str,
) -> str:
    """The description of a run in Markdown.

    Parameters
    ----------
    origin : Origin
    previous : tuple of str and sequence of str, or None
        Name of the run before, and `changed_since`.
    scores : mapping
        metrics/evaluate.json, empty before the evaluation.
    headline, worst
        As of `metrics.verdict`.
    """
    paragraphs = [_verdict(origin.cohort, scores, headline, worst)]
    if origin.settings:
        paragraphs.append(f"Changed since the commit:\n\n{_listed(origin.settings)}")
    if previous and previous[1]:
        paragraphs.append(f"Changed since the run before, {previous[0]}:\n\n{_listed(previous[1])}")
    paragraphs.append(
        f"Repeat it:\n\n```\n{origin.command}\n```"
        if len(origin.command) <= _LONGEST_COMMAND
        else "The command that repeats it is in metrics/report.html."
    )
    return "\n\n".join(paragraphs)


def _verdict(
    cohort: str, scores: Mapping[str, Any], headline: Mapping[str, float], worst: str
) -> str:
    if "mean_region_dice" not in headline:
        return f"Trained on {cohort}; not evaluated yet."
    mean = scores["mean_region_dice"]
    bounds = (mean.get("low"), mean.get("high"))  # None for few cases
    interval = "" if None in bounds else " (95 % interval {:.3f} to {:.3f})".format(*bounds)
    regions = ", ".join(
        f"{name[5:]} {value:.3f}" for name, value in headline.items() if name.startswith("dice_")
    )
    text = (
        f"**Mean region Dice {headline['mean_region_dice']:.3f}**{interval} on the test part of"
        f" {cohort}, cases: {scores.get('cases')}{regions and f'; {regions}'}."
    )
    if not worst:
        return text
    missed = f"Missed tumours: {headline['missed_tumours']:.0f}."
    return f"{text} Worst case: {worst}, {headline['worst_dice']:.3f}. {missed}"


def _listed(lines: Sequence[str]) -> str:
    left_out = len(lines) - _MOST_LISTED
    more = [f"- and {left_out} more"] if left_out > 0 else []
    return "\n".join([*(f"- `{line}`" for line in lines[:_MOST_LISTED]), *more])
