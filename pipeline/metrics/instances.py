"""Connected pieces of two masks, matched one to one: how many are found, and how well. No rule of a
challenge enters.
"""

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.schema import Schema
from .components import Pieces, cropped, mask_of, numbered, shared_voxels

LEAST_IOU = 0.5
"""A pair whose IoU exceeds this is a match. Above one half no instance can have two."""
READINGS = ("f1", "sq", "pq")
FILLS: dict[str, tuple[str, ...]] = {"": (), "both_empty": READINGS}
"""What of a row of `instance_rows` a rule gave, by its ``filled``: nothing; all readings, since a
cohort of the rule ``brats`` has no instance in reference or prediction.
"""


@dataclass(frozen=True)
class Instances:
    """How the instances of a prediction match those of a reference.

    Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.1: instances match if their IoU
    is greater than 0.5, and such a match is unique. Every reading lies in [0, 1] and is NaN where
    its denominator is 0; what a case without any instance counts for is decided by the caller.

    Attributes
    ----------
    ious : tuple of float
        IoU of each matched pair, in the order of the reference instances.
    false_positives, false_negatives : int
        Instances without a partner, of the prediction and of the reference.
    """

    ious: tuple[float, ...]
    false_positives: int
    false_negatives: int

    @property
    def true_positives(self) -> int:
        """Matched pairs, TP."""
        return len(self.ious)

    @property
    def precision(self) -> float:
        """TP / (TP + FP), NaN where nothing was predicted."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), NaN without a reference instance."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """TP / (TP + FP / 2 + FN / 2), called recognition quality RQ; 0 without a match, NaN
        without any instance.
        """
        return _ratio(self.true_positives, self._weight)

    @property
    def sq(self) -> float:
        """Segmentation quality, the mean IoU of the matched pairs; NaN without a match."""
        return _ratio(sum(self.ious), self.true_positives)

    @property
    def pq(self) -> float:
        """Panoptic quality RQ x SQ = (sum of IoU) / (TP + FP / 2 + FN / 2); 0 without a match, NaN
        without any instance.
        """
        return _ratio(sum(self.ious), self._weight)

    @property
    def _weight(self) -> float:
        return self.true_positives + (self.false_positives + self.false_negatives) / 2


def instance_rows(
    reference: np.ndarray, prediction: np.ndarray, schema: Schema
) -> list[dict[str, Any]]:
    """Match the instances of every region of a case.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) uint8 array
        Class indices 0..K on the same grid; one slice is (X, Y, 1).
    schema : Schema
        Names the regions, and whether a region without any instance counts 1 (``brats``) or is NaN.

    Returns
    -------
    list of dict
        One per region: ``name``; ``f1``, ``sq``, ``pq`` of the 26-connected pieces; ``filled``, a
        key of `FILLS`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _require_equal_shapes(reference, prediction)
    crops = [cropped(classes, 0) for classes in (reference, prediction)]
    rows = []
    for region in schema.regions:
        found = match_pieces(
            *(numbered(*mask_of(crop, schema.classes_of(region))) for crop in crops)
        )
        readings, filled = (found.f1, found.sq, found.pq), ""
        if found.f1 != found.f1 and schema.empty_rule == "brats":
            readings, filled = (1.0, 1.0, 1.0), "both_empty"
        rows.append(
            {"name": region, **dict(zip(READINGS, readings, strict=True)), "filled": filled}
        )
    return rows


def match_instances(reference: np.ndarray, prediction: np.ndarray) -> Instances:
    """Match the 26-connected pieces of two masks.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        On the same grid.

    Returns
    -------
    Instances

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _require_equal_shapes(reference, prediction)
    boxes = bounding_box(reference), bounding_box(prediction)
    return match_pieces(
        *(
            numbered(mask[box], box)
            for mask, box in zip((reference, prediction), boxes, strict=True)
        )
    )


def match_pieces(reference: Pieces, prediction: Pieces) -> Instances:
    """Match instances that are numbered already.

    Parameters
    ----------
    reference, prediction : Pieces
        Of one image.

    Returns
    -------
    Instances
    """
    ones, others, shared = shared_voxels(reference, prediction)
    ious = shared / (reference.voxels[ones] + prediction.voxels[others] - shared)
    matched = ious[ious > LEAST_IOU]
    return Instances(
        tuple(matched.tolist()),
        *(len(pieces.numbers) - len(matched) for pieces in (prediction, reference)),
    )


def _require_equal_shapes(reference: np.ndarray, prediction: np.ndarray) -> None:
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must lie on one grid, got shapes {reference.shape} and"
            f" {prediction.shape}"
        )


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else nan
