"""Rules of lesion-wise scores: those of the BraTS challenges by year and kind of tumour.

2023 and 2024 follow https://github.com/rachitsaluja/BraTS-2023-Metrics and -2024-Metrics; in words
https://www.synapse.org/Synapse:syn51156910/discussion/threadId=10357. 2025 and 2026 follow the
package BraTS_evaluation 0.0.10, which scores by panoptica.
"""

from collections.abc import Sequence
from functools import partial
from math import dist
from typing import Any, Literal

from pydantic import Field

from ..core.strict import Strict


class LesionRules(Strict):
    """The rules of a challenge in one of its years, applied by `pipeline.metrics.lesionwise`.

    Attributes
    ----------
    dilation_voxels : int
        How many times the reference is dilated by the 18-neighbourhood (faces and edges, not
        corners), to merge lesions and to find them.
    least_volume_mm3 : float
        A lesion of the reference counts if its volume, merged, is greater than this.
    merge_prediction : bool
        Whether components of the prediction are merged as those of the reference.
    least_prediction_voxels, least_prediction_mm3 : float
        A predicted lesion of at most so much is dropped before anything else; 0 drops none. The
        challenge compares a number of voxels, but of radiotherapy planning scans, which have other
        voxels, a volume.
    joined_by : tuple of str
        Labels through which lesions are joined in turn: those that touch (18-neighbourhood) the
        same lesion of that label become one, and one that touches several follows the first of
        them. A label that the cohort has not joins none.
    count_false_positives : bool
        Whether false lesions enter the mean.
    penalty_hd95_mm : float or None
        Distance of a lesion missed or false; None for the diagonal of the image in voxels.
    nsd : {"surfels", "voxels"}
        Which normalised surface Dice: DeepMind's share of surface area, or nnU-Net's mean of the
        two shares of surface voxels.
    own : dict of str to LesionRules
        What applies instead to a region, or to a label lesions are joined by, of that name.
    """

    dilation_voxels: int
    least_volume_mm3: float
    merge_prediction: bool = False
    least_prediction_voxels: int = 0
    least_prediction_mm3: float = 0.0
    joined_by: tuple[str, ...] = ()
    count_false_positives: bool = True
    penalty_hd95_mm: float | None = 374.0
    nsd: Literal["surfels", "voxels"] = "surfels"
    own: dict[str, "LesionRules"] = Field(default={})

    def of(self, name: str) -> "LesionRules":
        """The rules for a region or label."""
        return self.own.get(name, self)

    @property
    def reach_voxels(self) -> int:
        """The largest dilation of any region or label."""
        return max([self.dilation_voxels, *(rules.reach_voxels for rules in self.own.values())])

    def penalty_mm(self, shape: Sequence[int]) -> float:
        """Distance of a lesion missed or false in an image of that shape."""
        return (
            dist(shape, [0] * len(shape)) if self.penalty_hd95_mm is None else self.penalty_hd95_mm
        )


def _rules_2024(dilation_voxels: int, least: int, **other: Any) -> LesionRules:
    shared: dict[str, Any] = {
        "dilation_voxels": dilation_voxels,
        "least_volume_mm3": float(least),
        "least_prediction_voxels": least,
        "merge_prediction": True,
        "nsd": "voxels",
    }
    return LesionRules(**(shared | other))


_treated = partial(_rules_2024, penalty_hd95_mm=337.0)
_ADULT_2023 = LesionRules(dilation_voxels=3, least_volume_mm3=50.0)
_NECROSIS = ("necrotic",)

PRESETS: dict[str, LesionRules] = {
    "brats2023-gli": _ADULT_2023,
    "brats2023-ssa": _ADULT_2023,
    "brats2023-ped": _ADULT_2023,
    "brats2023-men": LesionRules(dilation_voxels=1, least_volume_mm3=50.0),
    "brats2023-met": LesionRules(dilation_voxels=1, least_volume_mm3=2.0),
    "brats2024-gli": _treated(
        3,
        20,
        own={
            "ET": _treated(3, 10, joined_by=("necrotic", "cavity")),
            "enhancing": _treated(3, 10),
            "RC": _treated(5, 20, joined_by=("enhancing", "necrotic")),
            "cavity": _treated(5, 20),
            "necrotic": _treated(5, 20),
        },
    ),
    "brats2024-ssa": _rules_2024(3, 50, own={"ET": _rules_2024(3, 50, joined_by=_NECROSIS)}),
    "brats2024-ped": _rules_2024(5, 10),
    "brats2024-met": _rules_2024(1, 2, own={"ET": _rules_2024(1, 2, joined_by=_NECROSIS)}),
    "brats2024-menrt": _rules_2024(
        1,
        50,
        least_prediction_voxels=0,
        least_prediction_mm3=50.0,
        count_false_positives=False,
        penalty_hd95_mm=None,
    ),
}
"""Rules by year and challenge.

2023: ``eval.py`` and ``brats_metrics.py``. The challenge has no surface Dice; DeepMind's fills its
place here, whose surfels it measures.

2024: ``metrics_GLI.py`` and so on. Lesions of the prediction of at most the least volume, in
voxels, are dropped. Gliomas after treatment: the code means 5 dilations for edema too, but
misspells it, so 3. Surface Dice at 0.5 and 1 mm is nnU-Net's, which adds 1e-8 to its denominator;
that is left out here.
"""


class MatchingRules(Strict):
    """The rules of the evaluation of 2025 and 2026, applied by `pipeline.metrics.matched`.

    Attributes
    ----------
    least_volume_mm3 : float
        A lesion of the reference is large if its volume is at least this; the penalised means are
        taken over large ones. 0 makes no difference of size.
    least_dice : float
        A matched lesion is detected, in the counts by size, if its Dice is at least this.
    labels : bool
        Whether labels that are no region are scored too.
    penalty_hd95_mm : float
        Distance of a lesion missed or false, and of a mask that shares no voxel with the other.
    """

    least_volume_mm3: float = 0.0
    least_dice: float = 0.1
    labels: bool = False
    penalty_hd95_mm: float = 373.0


MATCHING: dict[str, MatchingRules] = {
    "brats2025-gli": MatchingRules(labels=True),
    "brats2025-mets": MatchingRules(least_volume_mm3=20.0),
    "brats2025-ped": MatchingRules(labels=True),
    "brats2025-men": MatchingRules(),
    "brats2025-menrt": MatchingRules(),
    "brats2025-goat": MatchingRules(),
}
"""Rules by challenge: ``config_*.yaml`` name the groups of labels, ``metrics_parser.py`` holds the
numbers. The groups that a cohort's schema has are scored.
"""


def why_unscored(cohort: str) -> str:
    """Reason and remedy for a cohort without lesion-wise scores."""
    return (
        f"No lesion-wise score: the schema of cohort {cohort} names no rules, and those for other"
        " tumours would score them wrongly. A cohort described by a cohort.yaml names them there:"
        f" lesion_rules, one of {', '.join((*PRESETS, *MATCHING))}."
    )
