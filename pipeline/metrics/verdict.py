"""What the scores of many cases come to, in two sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.case_means import mean_region_dice, missed_tumours
from ..core.layout import counted, interval, number

_NAMED = 5


@dataclass(frozen=True)
class Verdict:
    """The scores of a cohort at a glance.

    Attributes
    ----------
    cohort : str
    cases : int
    mean : dict
        Mean region Dice: ``value``, ``low`` and ``high``.
    worst : (str, float) or None
        The case of the lowest mean region Dice, and that; None if there is only one, or none is
        defined.
    tumours : int
        Cases whose reference has any region.
    missed : tuple of str
        Those of them where no region of the reference is touched: each has a Dice of 0.
    of_types : bool
        Whether regions are tumour types, so that a tumour of another type is missed, too.
    values : int
        Dice values, of every case and region.
    filled, undefined : int
        Those of them that the rule for empty masks gave, and that are undefined.
    """

    cohort: str
    cases: int
    mean: Mapping[str, Any]
    worst: tuple[str, float] | None
    tumours: int
    missed: tuple[str, ...]
    of_types: bool
    values: int
    filled: int
    undefined: int

    @property
    def sentences(self) -> tuple[str, str]:
        """How good and where worst; then what was missed, and what a rule gave."""
        mean = interval(self.mean["value"], self.mean["low"], self.mean["high"], 3)
        worst = f"; lowest in {self.worst[0]}, {number(self.worst[1], 3)}" if self.worst else ""
        return (
            f"{counted(self.cases, 'case')} of cohort {self.cohort}: mean region Dice"
            f" {mean}{worst}.",
            f"{self._missed()}; {self._by_rule()}.",
        )

    def _missed(self) -> str:
        how = "missed or given another type" if self.of_types else "missed altogether"
        if not self.missed:
            return f"No tumour was {how}"
        more = len(self.missed) - _NAMED
        names = ", ".join(self.missed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"{len(self.missed)} of {counted(self.tumours, 'tumour')} {how}: {names}"

    def _by_rule(self) -> str:
        if self.undefined:
            return f"{self.undefined} of {self.values} Dice values are undefined (empty masks)"
        if not self.filled:
            return f"none of the {self.values} Dice values comes from the rule for empty masks"
        come = "comes" if self.filled == 1 else "come"
        return (
            f"{self.filled} of {self.values} Dice values {come} from the rule for empty masks, not"
            " from overlap"
        )


def verdict(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Verdict:
    """Judge a summary of `pipeline.metrics.case_scores.summarise` and the rows of its table
    "cases".
    """
    dice = {case: mean for case, mean in mean_region_dice(rows).items() if mean == mean}
    missed = missed_tumours(rows)
    mean = summary["mean_region_dice"]
    return Verdict(
        cohort=summary["cohort"],
        cases=summary["cases"],
        mean=mean,
        worst=next(iter(dice.items())) if len(dice) > 1 else None,
        tumours=len(missed),
        missed=tuple(case for case, wholly in missed.items() if wholly),
        of_types=summary["types"] is not None,
        values=mean["cases"] + mean["undefined"],
        filled=mean["filled"],
        undefined=mean["undefined"],
    )
