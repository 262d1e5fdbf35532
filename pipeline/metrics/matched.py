"""Lesion-wise scores of the BraTS evaluation of 2025 and 2026: lesions are matched one to one.

The package BraTS_evaluation does it by panoptica; `pipeline.metrics.lesion_rules.MATCHING` holds
its numbers.

1. A lesion is a connected component of the mask, of reference and prediction alike; nothing is
   dilated, merged or dropped.
2. Of all ways to match lesions one to one, that with the largest sum of Dice is taken. A pair needs
   a Dice of `LEAST_DICE`, so that one common voxel is enough.
3. A pair has Dice, the 95th percentile of the distances between surface voxels of both directions
   together, and the mean of the two shares of surface voxels within a tolerance.
4. The whole masks are scored likewise, beside.

The challenges average over the pairs alone, where lesions were split or missed only F1 tells; for
metastases over large lesions, missed ones and false ones included. Both means are taken here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from math import nan, prod
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..core.boxes import Box
from ..core.schema import Schema
from . import registry
from .components import Components, around, cropped, labelled, mask_of, shared_voxels
from .lesion_rules import MATCHING, MatchingRules
from .lesionwise import ROUNDING
from .metric import Spacing
from .overlap import ratio, require_equal_shapes
from .surface_distance import SurfaceDistances

Numbers = tuple[int, ...]
LEAST_DICE = 1e-6
"""Of a pair. It is also what a pair is worth beside its Dice, so that of two matchings with the
same sum that with more pairs is taken.
"""


@dataclass(frozen=True)
class Agreement:
    """How well two masks agree.

    Attributes
    ----------
    nsd : float
        Mean of the two shares of surface voxels within the smallest edge of a voxel, for pairs of
        lesions; within half of it, which is none but the same voxels, for whole masks.
    """

    dice: float
    hd95_mm: float
    nsd: float


@dataclass(frozen=True)
class MatchedLesion:
    """A lesion of the reference, and how well its partner agrees, None without a partner."""

    volume_mm3: float
    agreement: Agreement | None


@dataclass(frozen=True)
class MatchedScores:
    """Scores of one mask of one case.

    Attributes
    ----------
    lesions : tuple of MatchedLesion
        Of the reference.
    false_volumes_mm3 : tuple of float
        Of the predicted lesions without a partner.
    whole : Agreement
        Of the whole masks; NaN if both are empty.
    """

    lesions: tuple[MatchedLesion, ...]
    false_volumes_mm3: tuple[float, ...]
    whole: Agreement
    rules: MatchingRules

    @property
    def worst(self) -> Agreement:
        """Of a lesion that is missed or false."""
        return _worst(self.rules)

    @property
    def tp(self) -> int:
        """Matched pairs."""
        return len(self.pairs)

    @property
    def fp(self) -> int:
        """Predicted lesions without a partner."""
        return len(self.false_volumes_mm3)

    @property
    def fn(self) -> int:
        """Lesions of the reference without a partner."""
        return len(self.lesions) - self.tp

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), NaN without any lesion."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 0 if nothing is predicted where there is a lesion."""
        return 0.0 if self.lesions and not self.tp else ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), NaN without a lesion in the reference."""
        return ratio(self.tp, len(self.lesions))

    @cached_property
    def pairs(self) -> list[Agreement]:
        """Of the lesions of the reference that have a partner."""
        return [lesion.agreement for lesion in self.lesions if lesion.agreement]

    @cached_property
    def of_pairs(self) -> Agreement:
        """Mean over `pairs`; the worst without a pair, NaN without any lesion."""
        return _mean(self.pairs or [self.worst] * bool(self.lesions or self.fp))

    @cached_property
    def penalised(self) -> Agreement:
        """Mean over the large lesions of the reference and all false ones; NaN without any."""
        large = [lesion.agreement or self.worst for lesion in self.large.lesions]
        return _mean(large + [self.worst] * self.fp)

    @cached_property
    def large(self) -> "OneSize":
        """The lesions of the reference of at least the least volume."""
        return OneSize([one for one in self.lesions if self._is_large(one)], self.fp, self.rules)

    @cached_property
    def small(self) -> "OneSize":
        """The other lesions of the reference."""
        own = [one for one in self.lesions if not self._is_large(one)]
        return OneSize(own, self.fp, self.rules)

    def _is_large(self, lesion: MatchedLesion) -> bool:
        return lesion.volume_mm3 * ROUNDING >= self.rules.least_volume_mm3


@dataclass(frozen=True)
class OneSize:
    """Lesions of the reference of one size, and the number of false ones of any size."""

    lesions: list[MatchedLesion]
    fp: int
    rules: MatchingRules

    @property
    def count(self) -> int:
        """How many lesions of the reference."""
        return len(self.lesions)

    @property
    def found(self) -> int:
        """How many of them are matched with a Dice of at least `MatchingRules.least_dice`."""
        found = (lesion.agreement for lesion in self.lesions if lesion.agreement)
        return sum(agreement.dice >= self.rules.least_dice for agreement in found)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), NaN without such a lesion in the reference."""
        return ratio(2 * self.found, self.found + self.fp + self.count) if self.lesions else nan


def _worst(rules: MatchingRules) -> Agreement:
    return Agreement(0.0, rules.penalty_hd95_mm, 0.0)


def _mean(agreements: list[Agreement]) -> Agreement:
    if not agreements:
        return Agreement(nan, nan, nan)
    return Agreement(*np.mean([list(vars(one).values()) for one in agreements], axis=0).tolist())


def matched_rows(
    reference: np.ndarray, prediction: np.ndarray, schema: Schema, spacing_mm: Spacing
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Score every region of a case by the rules of 2025 that the schema names; where the rules say
    so, then every label that is no region.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid; one slice is (X, Y, 1). ValueError if shapes differ.

    Returns
    -------
    case_rows : list of dict
        One per region or label: ``name``; the metrics of the table "matched", those by size only
        where the rules have sizes; ``filled``, empty: no rule gives a value where both masks are.
    lesion_rows : list of dict
        One per lesion of the reference and false lesion, as those of
        `pipeline.metrics.lesionwise.lesion_rows`.

    Both are empty where the schema names no such rules.
    """
    require_equal_shapes(reference, prediction)
    if schema.matching_rules is None:
        return [], []
    rules = MATCHING[schema.matching_rules]
    crops = cropped(reference, 0), cropped(prediction, 0)
    case_rows, rows = [], []
    for name, members in _masks(schema, rules.labels):
        drawn, predicted = (labelled(*mask_of(crop, members)) for crop in crops)
        scores = match_lesions(drawn, predicted, spacing_mm, rules, reference.shape)
        row = registry.readings("matched", scores)
        if not rules.least_volume_mm3:
            row = {column: row[column] for column in row if column not in registry.BY_SIZE}
        case_rows.append({"name": name} | row | {"filled": ""})
        rows += [{"name": name} | lesion for lesion in _lesion_rows(scores)]
    return case_rows, rows


def _masks(schema: Schema, with_labels: bool) -> Iterator[tuple[str, list[int]]]:
    regions = {name: schema.classes_of(name) for name in schema.regions}
    yield from regions.items()
    for index, label in enumerate(schema.labels if with_labels else (), 1):
        if [index] not in regions.values():
            yield label, [index]


def _lesion_rows(scores: MatchedScores) -> Iterator[dict[str, Any]]:
    for lesion in scores.lesions:
        yield _lesion_row("reference", lesion.volume_mm3, lesion.agreement, scores.worst)
    for volume_mm3 in scores.false_volumes_mm3:
        yield _lesion_row("false_positive", volume_mm3, None, scores.worst)


def _lesion_row(
    kind: str, volume_mm3: float, agreement: Agreement | None, worst: Agreement
) -> dict[str, Any]:
    shown = agreement or worst
    return {
        "kind": kind,
        "volume_ml": volume_mm3 / 1000,
        "found": int(agreement is not None),
        "dice": shown.dice,
        "hd95_mm": shown.hd95_mm,
    }


def match_lesions(
    drawn: Components,
    predicted: Components,
    spacing_mm: Spacing,
    rules: MatchingRules,
    shape: tuple[int, ...],
) -> MatchedScores:
    """Match the lesions of two masks, as `pipeline.metrics.components.labelled` numbers them, in an
    image of that shape, and score them.
    """
    ones, others, shared = shared_voxels(drawn, predicted)
    dices = 2 * shared / (drawn.voxels[ones] + predicted.voxels[others])
    chosen = matching(ones, others, dices, (len(drawn.numbers), len(predicted.numbers)))

    @cache  # a lone pair is the whole masks too
    def surfaces(of: Numbers, partners: Numbers) -> SurfaceDistances:
        box = around([*map(drawn.box_of, of), *map(predicted.box_of, partners)], shape)
        masks = _united(drawn, of, box), _united(predicted, partners, box)
        return SurfaceDistances.of(*masks, spacing_mm)

    def agreement(between: SurfaceDistances, dice: float, edges: float) -> Agreement:
        nsd = between.nsd_of_voxels(edges * min(spacing_mm))
        return Agreement(dice, between.pooled_hd95_mm, nsd)

    pairs = (numbers[chosen].tolist() for numbers in (ones, others, dices))
    found = {
        one: agreement(surfaces((one,), (other,)), dice, 1)
        for one, other, dice in zip(*pairs, strict=True)
    }
    voxels = drawn.voxels.sum() + predicted.voxels.sum()
    if len(ones):
        every = tuple(drawn.numbers.tolist()), tuple(predicted.numbers.tolist())
        whole = agreement(surfaces(*every), float(2 * shared.sum() / voxels), 0.5)
    else:
        whole = _worst(rules) if voxels else Agreement(nan, nan, nan)
    mm3 = prod(spacing_mm)
    false = np.setdiff1d(predicted.numbers, others[chosen])
    return MatchedScores(
        tuple(
            MatchedLesion(float(drawn.voxels[number] * mm3), found.get(number))
            for number in drawn.numbers.tolist()
        ),
        tuple((predicted.voxels[false] * mm3).tolist()),
        whole,
        rules,
    )


def _united(components: Components, numbers: Numbers, box: Box) -> np.ndarray:
    """Mask of one or of all components in a box of the image."""
    within = components.within(box)
    return within == numbers[0] if len(numbers) == 1 else within != 0


def matching(
    ones: np.ndarray, others: np.ndarray, dices: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Choose pairs so that no lesion is in two, for the largest sum of Dice.

    Where several matchings have it, the order of the lesions decides in
    `scipy.optimize.linear_sum_assignment`: with all of them in one matrix as panoptica has it, the
    choice is the same as there.

    Parameters
    ----------
    ones, others : (P,) int64 array
        Lesions of the reference and of the prediction that overlap, pair by pair, from 1.
    dices : (P,) float64 array
        Of each pair.
    shape : tuple of 2 int
        Number of lesions of the reference and of the prediction.

    Returns
    -------
    (M,) int64 array
        Indices of the chosen pairs, ascending.
    """
    able = np.flatnonzero(dices >= LEAST_DICE)
    rows, columns = ones[able] - 1, others[able] - 1
    costs = np.full(shape, 1 + LEAST_DICE)
    costs[rows, columns] = 1 - dices[able]
    row, column = linear_sum_assignment(costs)
    return able[np.isin(rows * shape[1] + columns, row * shape[1] + column)]
