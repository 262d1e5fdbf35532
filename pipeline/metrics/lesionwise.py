"""Lesion-wise scores, by which the BraTS challenges rank since 2023: the mean over lesions, false
positives included.

`pipeline.metrics.lesion_rules` holds the numbers in these rules, and what differs between years and
challenges, with their sources.

1. A lesion of the reference is the part of its mask in one connected component of the dilated mask,
   so that specks near a lesion belong to it.
2. A lesion of the prediction is a connected component of its mask; in 2024 components are merged by
   dilation too, and the smallest are dropped.
3. A lesion is found if a predicted one touches its dilated extent. All those that do, together, are
   compared with the lesion as it was drawn: Dice, 95th percentile of the distances between the
   surfaces, normalised surface Dice. A predicted lesion may serve two lesions.
4. A lesion missed has Dice 0 and a fixed distance; so has a predicted lesion that touches none.
5. Lesions of the reference of at most a least volume are left out, found or not, but a predicted
   lesion that touches one is not false.
6. A case's score is the mean over the lesions left and the false ones; without any it is perfect,
   Dice 1 and 0 mm, even if something was left out. Nothing is rounded.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np

from ..core.boxes import Box
from ..core.schema import Schema
from . import registry
from .components import (
    Components,
    cropped,
    joining,
    labelled,
    mask_of,
    merged,
    shared_voxels,
    without_small,
)
from .lesion_rules import PRESETS, LesionRules
from .metric import Spacing
from .overlap import require_equal_shapes
from .surface_distance import surface_distances_mm
from .surface_elements import ROUNDING_MM, robust_hausdorff_mm, surface_dice, surfel_distances

TOLERANCES_MM = (0.5, 1.0, 2.0, 3.0)
"""Of the normalised surface Dice. The challenge of 2024 reports the first two, the table
"lesionwise" all but the first.
"""

ROUNDING = 1 + 1e-6
"""A volume beyond a least one by less than this share is that one: voxel edges of 1 mm read from a
32-bit affine may be 1.0000001.
"""


@dataclass(frozen=True)
class Lesion:
    """A lesion of the reference, or a false one of the prediction.

    Attributes
    ----------
    kind : {"reference", "false_positive"}
    volume_ml : float
        Of the reference lesion, or of the false one.
    found : bool
        Whether a predicted lesion touches its dilated extent.
    dice : float
        In [0, 1]; 0 if missed or false.
    hd95_mm : float
        The rules' penalty if missed or false.
    nsd : dict of float to float
        Normalised surface Dice by tolerance in mm, for each of `TOLERANCES_MM`; 0 if missed or
        false.
    """

    kind: Literal["reference", "false_positive"]
    volume_ml: float
    found: bool
    dice: float
    hd95_mm: float
    nsd: dict[float, float]


@dataclass(frozen=True)
class LesionScores:
    """Lesion-wise scores of one mask of one case.

    Attributes
    ----------
    lesions : tuple of Lesion
        Those of the reference that count, then the false ones; in an order that does not depend on
        the arrays' memory layout.
    count_false_positives : bool
        Whether the false ones enter the means.
    """

    lesions: tuple[Lesion, ...]
    count_false_positives: bool

    @property
    def dice(self) -> float:
        """Mean over lesions and false ones; 1 without any."""
        return self._mean([lesion.dice for lesion in self.counted], 1.0)

    @property
    def hd95_mm(self) -> float:
        """Mean over lesions and false ones; 0 without any."""
        return self._mean([lesion.hd95_mm for lesion in self.counted], 0.0)

    def nsd(self, tolerance_mm: float) -> float:
        """Mean over lesions and false ones, at one of `TOLERANCES_MM`; 1 without any."""
        return self._mean([lesion.nsd[tolerance_mm] for lesion in self.counted], 1.0)

    @property
    def reference_lesions(self) -> int:
        """Lesions of the reference that count."""
        return sum(lesion.kind == "reference" for lesion in self.lesions)

    @property
    def found(self) -> int:
        """How many of these are found."""
        return sum(lesion.found for lesion in self.lesions)

    @property
    def false_positives(self) -> int:
        """Predicted lesions that touch no lesion of the reference, whether or not they enter the
        means.
        """
        return len(self.lesions) - self.reference_lesions

    @property
    def counted(self) -> list[Lesion]:
        """Those that the means are taken over."""
        return [
            lesion
            for lesion in self.lesions
            if self.count_false_positives or lesion.kind == "reference"
        ]

    @staticmethod
    def _mean(values: list[float], of_none: float) -> float:
        return sum(values) / len(values) if values else of_none


def lesion_rows(
    reference: np.ndarray,
    prediction: np.ndarray,
    schema: Schema,
    spacing_mm: Spacing,
    rules: LesionRules | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Score every region of a case lesion by lesion.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid; one slice is (X, Y, 1).
    schema : Schema
        Names the regions and the rules.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.
    rules : LesionRules, optional
        Other rules than those that the schema names.

    Returns
    -------
    case_rows : list of dict
        One per region: ``name``; the metrics of the table "lesionwise"; ``filled``, which is
        ``no_lesion`` where no lesion counts and none is false, else empty.
    lesion_rows : list of dict
        One per `Lesion`: ``name`` of the region, ``kind``, ``volume_ml``, ``found`` (0 or 1),
        ``dice``, ``hd95_mm``.

    Both are empty where the schema names no rules and none are given.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    require_equal_shapes(reference, prediction)
    if rules is None:
        if schema.lesion_rules is None:
            return [], []
        rules = PRESETS[schema.lesion_rules]
    margin = rules.reach_voxels + 1
    crops = cropped(reference, margin), cropped(prediction, margin)
    case = _Case(crops[0], crops[1], schema, spacing_mm, rules, reference.shape)
    case_rows, rows = [], []
    for region in schema.regions:
        row, lesions = case.score(region)
        case_rows.append({"name": region} | row)
        rows += [_row(region, lesion) for lesion in lesions]
    return case_rows, rows


def _row(region: str, lesion: Lesion) -> dict[str, Any]:
    return {
        "name": region,
        "kind": lesion.kind,
        "volume_ml": lesion.volume_ml,
        "found": int(lesion.found),
        "dice": lesion.dice,
        "hd95_mm": lesion.hd95_mm,
    }


@dataclass(frozen=True)
class _Case:
    """Class maps, each cropped to its foreground, and the settings of their scores."""

    reference: tuple[np.ndarray, Box]
    prediction: tuple[np.ndarray, Box]
    schema: Schema
    spacing_mm: Spacing
    rules: LesionRules
    shape: tuple[int, ...]

    def score(self, region: str) -> tuple[dict[str, Any], tuple[Lesion, ...]]:
        rules, members = self.rules.of(region), self.schema.classes_of(region)
        drawn, extents = merged(
            *mask_of(self.reference, members), rules.dilation_voxels, rules.connectivity
        )
        predicted = predicted_lesions(*mask_of(self.prediction, members), rules, self.spacing_mm)
        for label in (label for label in rules.joined_by if label in self.schema.labels):
            partners, predicted_partners = self._partners(label)
            table = joining(drawn, partners)
            drawn, extents = drawn.renumbered(table), extents.renumbered(table)
            predicted = predicted.renumbered(joining(predicted, predicted_partners))
        scores = compare_lesions(drawn, extents, predicted, self.spacing_mm, rules, self.shape)
        filled = "" if scores.counted else "no_lesion"
        return registry.readings("lesionwise", scores) | {"filled": filled}, scores.lesions

    def _partners(self, label: str) -> tuple[Components, Components]:
        rules, members = self.rules.of(label), [list(self.schema.labels).index(label) + 1]
        drawn, _ = merged(
            *mask_of(self.reference, members), rules.dilation_voxels, rules.connectivity
        )
        return drawn, predicted_lesions(*mask_of(self.prediction, members), rules, self.spacing_mm)


def predicted_lesions(
    mask: np.ndarray, box: Box, rules: LesionRules, spacing_mm: Spacing
) -> Components:
    """The lesions of a predicted mask, under the rules of its region."""
    if rules.merge_prediction:
        predicted, _ = merged(mask, box, rules.dilation_voxels, rules.connectivity)
    else:
        predicted = labelled(mask, box, rules.connectivity)
    return without_small(
        predicted,
        max(
            rules.least_prediction_voxels, rules.least_prediction_mm3 * ROUNDING / prod(spacing_mm)
        ),
    )


def compare_lesions(
    drawn: Components,
    extents: Components,
    predicted: Components,
    spacing_mm: Spacing,
    rules: LesionRules,
    shape: tuple[int, ...],
) -> LesionScores:
    """Score the lesions of one region.

    Parameters
    ----------
    drawn, extents : Components
        Lesions of the reference, and their dilations.
    predicted : Components
        Those of the prediction.
    spacing_mm : tuple of 3 float
        Voxel edge lengths in mm.
    rules : LesionRules
        Of the region.
    shape : tuple of int
        Of the image.

    Returns
    -------
    LesionScores
    """
    owners, partners, _ = shared_voxels(extents, predicted)
    ones, _, shared = shared_voxels(drawn, predicted)
    overlaps = np.bincount(ones, shared, len(drawn.voxels))
    voxel_mm3 = prod(spacing_mm)
    missed = Lesion(
        "reference", 0.0, False, 0.0, rules.penalty_mm(shape), dict.fromkeys(TOLERANCES_MM, 0.0)
    )
    lesions = []
    large = drawn.voxels * voxel_mm3 > rules.least_volume_mm3 * ROUNDING
    for number in np.flatnonzero(large).tolist():
        volume_ml = float(drawn.voxels[number] * voxel_mm3 / 1000)
        matched = partners[owners == number]
        if len(matched):
            dice = (
                2
                * float(overlaps[number])
                / float(drawn.voxels[number] + predicted.voxels[matched].sum())
            )
            box = _around([drawn.box_of(number), *map(predicted.box_of, matched)], shape)
            masks = drawn.within(box) == number, _one_of(predicted.within(box), matched)
            lesions.append(
                Lesion(
                    "reference", volume_ml, True, dice, *_distances(*masks, spacing_mm, rules.nsd)
                )
            )
        else:
            lesions.append(replace(missed, volume_ml=volume_ml))
    volumes_ml = predicted.voxels[np.setdiff1d(predicted.numbers, partners)] * voxel_mm3 / 1000
    false = [
        replace(missed, kind="false_positive", volume_ml=volume_ml)
        for volume_ml in volumes_ml.tolist()
    ]
    return LesionScores((*lesions, *false), rules.count_false_positives)


def _one_of(labels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return labels == numbers[0] if len(numbers) == 1 else np.isin(labels, numbers)


def _around(boxes: list[Box], shape: tuple[int, ...]) -> Box:
    """The box around all boxes, with a margin of a voxel within the image."""
    return tuple(
        slice(
            max(min(side.start for side in sides) - 1, 0),
            min(max(side.stop for side in sides) + 1, length),
        )
        for sides, length in zip(zip(*boxes, strict=True), shape, strict=True)
    )


def _distances(
    one: np.ndarray, other: np.ndarray, spacing_mm: Spacing, definition: str
) -> tuple[float, dict[float, float]]:
    """95th percentile of the distances between two surfaces, and the normalised surface Dice by
    tolerance.
    """
    surfels = surfel_distances(one, other, spacing_mm)
    if definition == "surfels":
        nsd = {tolerance: surface_dice(surfels, tolerance) for tolerance in TOLERANCES_MM}
    else:
        directed = surface_distances_mm(one, other, spacing_mm)
        nsd = {
            tolerance: float(np.mean([np.mean(mm <= tolerance + ROUNDING_MM) for mm in directed]))
            for tolerance in TOLERANCES_MM
        }
    return robust_hausdorff_mm(surfels), nsd
