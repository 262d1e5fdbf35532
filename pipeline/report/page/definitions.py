"""How every number of the report is computed, and where its definition comes from."""

from .html import Html, join
from .metrics import CALIBRATION, INSTANCES, LESIONWISE, SCORES
from .run import Run
from .text import facts

_TAHA = "Taha and Hanbury, BMC Medical Imaging 15:29 (2015)"
_BRATS = "BraTS 2023 and 2024 challenges; Moawad et al., arXiv:2306.00838"

_GROUPS = (
    (SCORES, ""),
    (LESIONWISE, "By lesions: "),
    (INSTANCES, "By instances: "),
    (CALIBRATION, ""),
)

_SURFACE_DICE = (
    "Normalised surface Dice: the share of both surfaces that lies within {} mm of the other. "
    "Nikolov et al., J Med Internet Res 23(7):e26151 (2021)."
)

_METRICS = {
    "dice": f"2 TP / (2 TP + FP + FN) of the voxels of two masks. {_TAHA}.",
    "iou": f"TP / (TP + FP + FN), the Jaccard index. {_TAHA}.",
    "precision": f"TP / (TP + FP): the share of the prediction that is right. {_TAHA}.",
    "sensitivity": f"TP / (TP + FN): the share of the reference that is found. {_TAHA}.",
    "specificity": (
        "TN / (TN + FP). Near 1 for any small structure in a large image: it says little about a"
        " tumour."
    ),
    "hd_mm": (
        "The larger of the two directed Hausdorff distances of the surfaces. Huttenlocher et al.,"
        " IEEE TPAMI 15(9) (1993)."
    ),
    "hd95_mm": (
        "The larger of the two directed 95th percentiles of the distances of the surfaces."
        " Huttenlocher et al. (1993)."
    ),
    "assd_mm": (
        "Mean of the distances from each surface to the other. Heimann et al., IEEE TMI 28(8)"
        " (2009)."
    ),
    **{f"nsd_{tolerance}mm": _SURFACE_DICE.format(tolerance) for tolerance in (1, 2, 3)},
    "volume_error_ml": "Prediction minus reference.",
    "relative_volume_error": (
        "(Prediction minus reference) / reference; undefined where the reference is empty."
    ),
    "lesion_dice": (
        f"Mean over lesions of the reference and false positives, which count 0. {_BRATS}."
    ),
    "lesion_hd95_mm": (
        "The same mean of the robust Hausdorff distance, in which a piece of surface counts by its"
        " area (in each direction the smallest distance that holds 95 % of it; the larger of the"
        f" two); missed lesions and false positives count the worst distance. {_BRATS}."
    ),
    **{
        f"lesion_nsd_{tolerance}mm": (
            f"The same mean of the normalised surface Dice at {tolerance} mm, of areas by the rules"
            " of 2023, of surface voxels by those of 2024."
        )
        for tolerance in (1, 2, 3)
    },
    "lesions": "Lesions of the reference that are large enough to count under the rules.",
    "found": "Those that a predicted lesion touches, a few voxels of dilation allowed.",
    "false_positives": "Predicted lesions that touch no lesion of the reference.",
    "f1": (
        "Connected components matched by IoU above 0.5: 2 TP / (2 TP + FP + FN). Kirillov et al.,"
        " CVPR (2019)."
    ),
    "sq": "Mean IoU of the matched components. Kirillov et al., CVPR (2019).",
    "pq": "F1 times segmentation quality. Kirillov et al., CVPR (2019).",
    "ece": (
        "Mean over bins of |share of voxels in the region - mean probability|, weighted by voxels"
        " of the brain. Guo et al., ICML (2017)."
    ),
    "brier": (
        "Mean squared difference of the probability and 1 in the region, 0 outside. Brier, Monthly"
        " Weather Review 78 (1950)."
    ),
    "mean_entropy": (
        "Mean over the brain of - p log2 p - (1 - p) log2 (1 - p), p being the probability: 0 if"
        " sure, 1 if not at all."
    ),
    "mean_disagreement": (
        "Mean over the brain of the standard deviation of the probability over mirror images of the"
        " input."
    ),
    "aurc": (
        "Area under the risk-coverage curve: the share of wrong voxels among the most certain ones,"
        " over their share of all, the entropy being the uncertainty. Geifman and El-Yaniv, NeurIPS"
        " (2017)."
    ),
    "aurc_disagreement": "The same with the disagreement of mirror images as the uncertainty.",
    "aurc_random": "The same with an uncertainty that knows nothing.",
    "aurc_oracle": (
        "The same with an uncertainty that ranks every wrong voxel above every right one."
    ),
}

_STATISTICS = {
    "95 % interval": (
        "Bootstrap over cases, bias-corrected and accelerated (BCa), with a fixed seed. Efron, JASA"
        " 82 (1987)."
    ),
    "Mean region Dice": (
        "Mean over the regions of the mean Dice over cases; a region undefined in every case is"
        " left out."
    ),
    "by rule": (
        "A score that is undefined because a mask is empty, filled by the empty rule of the cohort"
        " and counted as such."
    ),
    "Limits of agreement": (
        "Bias ± 1.96 standard deviations of the volume errors. Bland and Altman, Lancet 327 (1986)."
    ),
}


def definitions(run: Run) -> Html:
    """Definitions of what the report shows: those the evaluation wrote down, else those above."""
    given = dict(run.evaluation["definitions"])
    titles = {
        name: f"{prefix}{each.title}" for group, prefix in _GROUPS for name, each in group.items()
    }
    parts = (
        run.evaluation.get(part, {})
        for part in ("region", "lesionwise", "instances", "calibration")
    )
    shown = {name for part in parts for summaries in part.values() for name in summaries}
    texts = {name: text for name, text in _METRICS.items() if name in shown} | given
    rows = [
        (titles.get(name, name.replace("_", " ").capitalize()), text)
        for name, text in texts.items()
    ]
    return join(
        facts(rows, "How the numbers are computed."),
        facts(_STATISTICS.items(), "How they are put together."),
    )
