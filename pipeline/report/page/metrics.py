"""How the report presents each metric: order, title, group, decimals and definition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TAHA = "Taha and Hanbury, BMC Medical Imaging 15:29 (2015)"
_BRATS = "BraTS 2023 and 2024 challenges; Moawad et al., arXiv:2306.00838"
_OWN = "Own metrics"
_INSTANCES = "Instances, matched by IoU above 0.5"
_RISK = "Does uncertainty find the errors?"


@dataclass(frozen=True)
class Presentation:
    """A metric as the report shows it.

    Attributes
    ----------
    title : str
        With the unit in brackets.
    group : str
        Heading of the rows that it is listed among.
    definition : str
        With its source; metrics/evaluate.json may hold a more exact one.
    digits : int
        Decimals that carry information.
    """

    title: str
    group: str
    definition: str
    digits: int = 3


def _surface_dice(tolerance: int) -> Presentation:
    return Presentation(
        f"Surface Dice at {tolerance} mm",
        "Distance",
        f"Normalised surface Dice: the share of both surfaces that lies within {tolerance} mm of"
        " the other. Nikolov et al., J Med Internet Res 23(7):e26151 (2021).",
    )


def _lesion_surface_dice(tolerance: int) -> Presentation:
    return Presentation(
        f"Surface Dice at {tolerance} mm",
        "Mean over lesions",
        f"The same mean of the normalised surface Dice at {tolerance} mm: of areas under the rules"
        " of 2023, of surface voxels under those of 2024.",
    )


METRICS = {
    "region": {
        "dice": Presentation(
            "Dice", "Overlap", f"2 TP / (2 TP + FP + FN) of the voxels of two masks. {_TAHA}."
        ),
        "iou": Presentation("IoU", "Overlap", f"TP / (TP + FP + FN), the Jaccard index. {_TAHA}."),
        "precision": Presentation(
            "Precision",
            "Overlap",
            f"TP / (TP + FP): the share of the prediction that is right. {_TAHA}.",
        ),
        "sensitivity": Presentation(
            "Sensitivity",
            "Overlap",
            f"TP / (TP + FN): the share of the reference that is found. {_TAHA}.",
        ),
        "specificity": Presentation(
            "Specificity",
            "Overlap",
            "TN / (TN + FP). Near 1 for any small structure in a large image: it says little about"
            " a tumour.",
            4,
        ),
        "hd95_mm": Presentation(
            "HD95 (mm)",
            "Distance",
            "The larger of the two directed 95th percentiles of the distances of the surfaces."
            " Huttenlocher et al. (1993).",
            2,
        ),
        "hd_mm": Presentation(
            "Hausdorff distance (mm)",
            "Distance",
            "The larger of the two directed Hausdorff distances of the surfaces. Huttenlocher et"
            " al., IEEE TPAMI 15(9) (1993).",
            2,
        ),
        "assd_mm": Presentation(
            "Mean surface distance (mm)",
            "Distance",
            "Mean of the distances from each surface to the other. Heimann et al., IEEE TMI 28(8)"
            " (2009).",
            2,
        ),
        **{f"nsd_{tolerance}mm": _surface_dice(tolerance) for tolerance in (1, 2, 3)},
        "reference_ml": Presentation("Reference (ml)", "Volume", "", 1),
        "prediction_ml": Presentation("Prediction (ml)", "Volume", "", 1),
        "volume_error_ml": Presentation("Error (ml)", "Volume", "Prediction minus reference.", 1),
        "relative_volume_error": Presentation(
            "Relative error",
            "Volume",
            "(Prediction minus reference) / reference; undefined where the reference is empty.",
        ),
    },
    "lesionwise": {
        "lesion_dice": Presentation(
            "Dice",
            "Mean over lesions",
            f"Mean over lesions of the reference and false positives, which count 0. {_BRATS}.",
        ),
        "lesion_hd95_mm": Presentation(
            "HD95 (mm)",
            "Mean over lesions",
            "The same mean of the robust Hausdorff distance, in which each surface element counts"
            " by its area (in each direction the smallest distance that holds 95 % of the area;"
            " the larger of the two); missed lesions and false positives count the worst distance."
            f" {_BRATS}.",
            2,
        ),
        **{f"lesion_nsd_{tolerance}mm": _lesion_surface_dice(tolerance) for tolerance in (1, 2, 3)},
        "lesions": Presentation(
            "Lesions in the reference",
            "Lesions in a case",
            "Lesions of the reference that are large enough to count under the rules.",
            2,
        ),
        "found": Presentation(
            "Lesions found",
            "Lesions in a case",
            "Those that a predicted lesion touches, after a dilation by a few voxels.",
            2,
        ),
        "false_positives": Presentation(
            "False positives",
            "Lesions in a case",
            "Predicted lesions that touch no lesion of the reference.",
            2,
        ),
    },
    "instances": {
        "f1": Presentation(
            "F1 (recognition quality)",
            _INSTANCES,
            "Connected components matched by IoU above 0.5: 2 TP / (2 TP + FP + FN). Kirillov et"
            " al., CVPR (2019).",
        ),
        "sq": Presentation(
            "Segmentation quality",
            _INSTANCES,
            "Mean IoU of the matched components. Kirillov et al., CVPR (2019).",
        ),
        "pq": Presentation(
            "Panoptic quality",
            _INSTANCES,
            "F1 times segmentation quality. Kirillov et al., CVPR (2019).",
        ),
    },
    "calibration": {
        "ece": Presentation(
            "Expected calibration error",
            "Calibration",
            "Mean over bins of |share of voxels in the region - mean probability|, weighted by"
            " voxels of the brain. Guo et al., ICML (2017).",
            4,
        ),
        "brier": Presentation(
            "Brier score",
            "Calibration",
            "Mean squared difference of the probability and 1 in the region, 0 outside. Brier,"
            " Monthly Weather Review 78 (1950).",
            4,
        ),
        "mean_entropy": Presentation(
            "Mean entropy (bits)",
            "Uncertainty",
            "Mean over the brain of - p log2 p - (1 - p) log2 (1 - p), where p is the probability:"
            " 0 if certain, 1 if p = 0.5.",
            4,
        ),
        "mean_disagreement": Presentation(
            "Disagreement of mirror images",
            "Uncertainty",
            "Mean over the brain of the standard deviation of the probability over mirror images of"
            " the input.",
            4,
        ),
        "aurc": Presentation(
            "AURC of the entropy",
            _RISK,
            "Area under the risk-coverage curve: the share of wrong voxels among the most certain"
            " ones, over their share of all, with the entropy as uncertainty. Geifman and El-Yaniv,"
            " NeurIPS (2017).",
            5,
        ),
        "aurc_disagreement": Presentation(
            "AURC of the disagreement",
            _RISK,
            "The same with the disagreement of mirror images as the uncertainty.",
            5,
        ),
        "aurc_random": Presentation(
            "AURC by chance", _RISK, "The same with a random uncertainty.", 5
        ),
        "aurc_oracle": Presentation(
            "AURC at best",
            _RISK,
            "The same with an uncertainty that ranks every wrong voxel above every right one.",
            5,
        ),
    },
}
_HIDDEN = {"voxels"}
PREFIXES = {"region": "", "lesionwise": "By lesions: ", "instances": "By instances: "}
"""Before the titles of a part of the evaluation where all titles are listed together."""


def presentations(part: str, names: Iterable[str]) -> dict[str, Presentation]:
    """The metrics of a part of the evaluation in the order of the report.

    Parameters
    ----------
    part : {"region", "label", "lesionwise", "instances", "calibration"}
        Key of metrics/evaluate.json.
    names : iterable of str
        Metrics that were measured; those that the report does not know come last, under their
        names.

    Returns
    -------
    dict of str to Presentation
    """
    known: Mapping[str, Any] = METRICS["region" if part == "label" else part]
    measured = set(names) - _HIDDEN
    own = {
        name: Presentation(name.replace("_", " ").capitalize(), _OWN, "")
        for name in sorted(measured - set(known))
    }
    return {name: shown for name, shown in known.items() if name in measured} | own
