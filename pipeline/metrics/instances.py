"""Connected components of two masks, matched one to one: how many are found, and how well. No rule
of a challenge enters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.schema import Schema
from . import registry
from .components import Components, cropped, labelled, mask_of, shared_voxels
from .overlap import ratio, require_equal_shapes

LEAST_IOU = 0.5
"""A pair whose IoU exceeds this is a match. Above one half no instance can have two."""


@dataclass(frozen=True)
class Instances:
    """How the instances of a prediction match those of a reference.

    Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.1: instances match if their IoU
    is greater than 0.5, and such a match is unique. Every ratio lies in [0, 1] and is NaN without
    any instance.

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
    def f1(self) -> float:
        """TP / (TP + FP / 2 + FN / 2), called recognition quality RQ."""
        return ratio(self.true_positives, self.weight)

    @property
    def sq(self) -> float:
        """Segmentation quality, the mean IoU of the matched pairs; 0 if instances there are but
        none is matched, as in panoptica.
        """
        return ratio(sum(self.ious), self.true_positives) if self.ious or not self.weight else 0.0

    @property
    def pq(self) -> float:
        """Panoptic quality RQ x SQ = (sum of IoU) / (TP + FP / 2 + FN / 2)."""
        return ratio(sum(self.ious), self.weight)

    @property
    def weight(self) -> float:
        """TP + FP / 2 + FN / 2; 0 if neither mask has an instance."""
        return self.true_positives + (self.false_positives + self.false_negatives) / 2


def instance_rows(
    reference: np.ndarray, prediction: np.ndarray, schema: Schema
) -> list[dict[str, Any]]:
    """Match the instances of every region of a case; parameters as for
    `pipeline.metrics.lesionwise.lesion_rows`.

    Returns
    -------
    list of dict
        One per region: ``name``; the metrics of the table "instances", 1 without any instance under
        the empty rule ``brats``; ``filled``, ``both_empty`` where it gave them, else empty.
    """
    require_equal_shapes(reference, prediction)
    crops = [cropped(classes, 0) for classes in (reference, prediction)]
    rows = []
    for region in schema.regions:
        found = match_components(
            *(labelled(*mask_of(crop, schema.classes_of(region))) for crop in crops)
        )
        row = registry.readings("instances", found)
        filled = "both_empty" if not found.weight and schema.empty_rule == "brats" else ""
        rows.append(
            {"name": region} | row | registry.fills("instances", filled) | {"filled": filled}
        )
    return rows


def match_components(reference: Components, prediction: Components) -> Instances:
    """Match the connected components of two masks of one image."""
    ones, others, shared = shared_voxels(reference, prediction)
    ious = shared / (reference.voxels[ones] + prediction.voxels[others] - shared)
    matched = ious[ious > LEAST_IOU]
    return Instances(
        tuple(matched.tolist()),
        *(len(found.numbers) - len(matched) for found in (prediction, reference)),
    )
