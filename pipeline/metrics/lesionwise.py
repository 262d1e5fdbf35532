"""Lesion-wise scores, by which the BraTS challenges of 2023 and 2024 rank: the mean over lesions,
false positives included. Those of 2025 and 2026 are in `pipeline.metrics.matched`.

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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np

from ..core.schema import Schema
from . import registry
from .components import (
    Components,
    Crop,
    around,
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
from .surface_distance import SurfaceDistances

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
    """A lesion of the reference, or a false one of the prediction, and its volume.

    Attributes
    ----------
    found : bool
        Whether a predicted lesion touches its dilated extent.
    dice, hd95_mm : float
        0 and the rules' penalty if missed or false.
    nsd : dict of float to float
        Normalised surface Dice for each of `TOLERANCES_MM`; 0 if missed or false.
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
        Whether the false ones enter the means, which are perfect without any lesion.
    """

    lesions: tuple[Lesion, ...]
    count_false_positives: bool

    @property
    def dice(self) -> float:
        """Mean over `counted`."""
        return self._mean([lesion.dice for lesion in self.counted], 1.0)

    @property
    def hd95_mm(self) -> float:
        """Mean over `counted`."""
        return self._mean([lesion.hd95_mm for lesion in self.counted], 0.0)

    def nsd(self, tolerance_mm: float) -> float:
        """Mean over `counted`, at one of `TOLERANCES_MM`."""
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
        """Predicted lesions that touch no lesion of the reference."""
        return len(self.lesions) - self.reference_lesions

    @property
    def f1(self) -> float:
        """2 found / (lesions + found + false positives), 1 without any."""
        return 2 * self.found / (self.found + len(self.lesions)) if self.lesions else 1.0

    @property
    def counted(self) -> tuple[Lesion, ...]:
        """Those that the means are taken over."""
        count = len(self.lesions) if self.count_false_positives else self.reference_lesions
        return self.lesions[:count]

    @staticmethod
    def _mean(values: list[float], of_none: float) -> float:
        return sum(values) / len(values) if values else of_none


def lesion_rows(
    reference: np.ndarray, prediction: np.ndarray, schema: Schema, spacing_mm: Spacing
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Score every region of a case lesion by lesion, by the rules of 2023 or 2024 that the schema
    names.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid; one slice is (X, Y, 1). ValueError if shapes differ.

    Returns
    -------
    case_rows : list of dict
        One per region: ``name``; the metrics of the table "lesionwise"; ``filled``, which is
        ``no_lesion`` where no lesion counts and none is false, else empty.
    lesion_rows : list of dict
        One per `Lesion`: ``name`` of the region, and what the lesion has but ``nsd``.

    Both are empty where the schema names no such rules.
    """
    require_equal_shapes(reference, prediction)
    if schema.merging_rules is None:
        return [], []
    rules = PRESETS[schema.merging_rules]
    margin = rules.reach_voxels + 1
    crops = cropped(reference, margin), cropped(prediction, margin)

    def found(name: str, members: Sequence[int]) -> Lesions:
        drawn, predicted = (mask_of(crop, members) for crop in crops)
        return lesions_of(drawn, predicted, rules.of(name), spacing_mm)

    case_rows, rows = [], []
    for region in schema.regions:
        lesions = found(region, schema.classes_of(region))
        for label in (label for label in rules.of(region).joined_by if label in schema.labels):
            lesions = lesions.joined(found(label, [list(schema.labels).index(label) + 1]))
        scores = compare_lesions(lesions, spacing_mm, rules.of(region), reference.shape)
        filled = "" if scores.counted else "no_lesion"
        case_rows.append(
            {"name": region} | registry.readings("lesionwise", scores) | {"filled": filled}
        )
        for lesion in scores.lesions:
            row = {"name": region} | vars(lesion) | {"found": int(lesion.found)}
            del row["nsd"]
            rows.append(row)
    return case_rows, rows


@dataclass(frozen=True)
class Lesions:
    """Lesions of a region or label: as drawn in the reference, their dilated extents with the same
    numbers, and those of the prediction.
    """

    drawn: Components
    extents: Components
    predicted: Components

    def joined(self, partners: "Lesions") -> "Lesions":
        """Join the lesions that touch one lesion of another label, in reference and prediction."""
        table = joining(self.drawn, partners.drawn)
        return Lesions(
            self.drawn.renumbered(table),
            self.extents.renumbered(table),
            self.predicted.renumbered(joining(self.predicted, partners.predicted)),
        )


def lesions_of(
    reference: Crop, prediction: Crop, rules: LesionRules, spacing_mm: Spacing
) -> Lesions:
    """Find the lesions of two masks, each with its box in the image, under the rules of their
    region.
    """
    drawn, extents = merged(*reference, rules.dilation_voxels)
    if rules.merge_prediction:
        predicted, _ = merged(*prediction, rules.dilation_voxels)
    else:
        predicted = labelled(*prediction)
    least_voxels = rules.least_prediction_mm3 * ROUNDING / prod(spacing_mm)
    predicted = without_small(predicted, max(rules.least_prediction_voxels, least_voxels))
    return Lesions(drawn, extents, predicted)


def compare_lesions(
    lesions: Lesions, spacing_mm: Spacing, rules: LesionRules, shape: tuple[int, ...]
) -> LesionScores:
    """Score the lesions of one region, under its rules, in an image of that shape."""
    drawn, predicted = lesions.drawn, lesions.predicted
    owners, partners, _ = shared_voxels(lesions.extents, predicted)
    ones, _, shared = shared_voxels(drawn, predicted)
    overlaps = np.bincount(ones, shared, len(drawn.voxels))
    voxel_mm3 = prod(spacing_mm)
    missed = Lesion(
        "reference", 0.0, False, 0.0, rules.penalty_mm(shape), dict.fromkeys(TOLERANCES_MM, 0.0)
    )
    scored = []
    large = drawn.voxels * voxel_mm3 > rules.least_volume_mm3 * ROUNDING
    for number in np.flatnonzero(large).tolist():
        volume_ml = float(drawn.voxels[number] * voxel_mm3 / 1000)
        matched = partners[owners == number]
        if not len(matched):
            scored.append(replace(missed, volume_ml=volume_ml))
            continue
        voxels = drawn.voxels[number] + predicted.voxels[matched].sum()
        box = around([drawn.box_of(number), *map(predicted.box_of, matched)], shape)
        surfaces = SurfaceDistances.of(
            drawn.within(box) == number, np.isin(predicted.within(box), matched), spacing_mm
        )
        nsd = surfaces.nsd if rules.nsd == "surfels" else surfaces.nsd_of_voxels
        scored.append(
            Lesion(
                "reference",
                volume_ml,
                True,
                2 * float(overlaps[number]) / float(voxels),
                surfaces.robust_hausdorff_mm(),
                {tolerance_mm: nsd(tolerance_mm) for tolerance_mm in TOLERANCES_MM},
            )
        )
    volumes_ml = predicted.voxels[np.setdiff1d(predicted.numbers, partners)] * voxel_mm3 / 1000
    false = [
        replace(missed, kind="false_positive", volume_ml=volume_ml)
        for volume_ml in volumes_ml.tolist()
    ]
    return LesionScores((*scored, *false), rules.count_false_positives)
