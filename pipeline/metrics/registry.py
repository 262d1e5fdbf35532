"""All metrics, by the table that holds them, in reading order.

Columns of tables, metrics/evaluate.json, the report, `compare` and docs/metrics.md follow this
list. A new metric is an entry here, with a function of what its table measures: a
`pipeline.metrics.case_scores.MaskPair` for "cases".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter, methodcaller
from typing import Any

from ..core.errors import InputError
from ..core.extensions import resolve
from .metric import Metric, checked

TOLERANCES_MM = (0.5, 1, 2, 3)
"""Of the normalised surface Dice."""

WORST_HD95_MM = 373.128664
"""Diagonal of the 240x240x155 mm grid of BraTS, sqrt(240^2 + 240^2 + 155^2)."""

_TAHA = "Taha and Hanbury, BMC Medical Imaging 15:29 (2015)"
_HUTTENLOCHER = "Huttenlocher et al., IEEE TPAMI 15(9) (1993)"
_NIKOLOV = "Nikolov et al., J Med Internet Res 23(7):e26151 (2021)"
_BRATS = "BraTS 2023 and 2024 challenges; Moawad et al., arXiv:2306.00838"
_BRATS_2025 = "BraTS 2025 and 2026 challenges, package BraTS_evaluation 0.0.10"

# What an undefined value counts for under the rule `brats`: the convention of the challenge's
# evaluation as nnU-Net's Task082_BraTS_2020.py re-implements it, for Dice and HD95; sensitivity is
# that of the challenge's own code of 2023 (rachitsaluja/BraTS-2023-Metrics, which rounds the
# distance to 374 mm). The challenge of those years scores no other metric: they follow by analogy.
# Dice, IoU and surface Dice of one empty mask need no entry: their formulas give 0.
_ALIKE = {"both_empty": 1.0}
_APART = {"both_empty": 0.0, "reference_empty": WORST_HD95_MM, "prediction_empty": WORST_HD95_MM}


def written(tolerance_mm: float) -> str:
    """A tolerance in the name of a column: 0.5 is ``0_5``."""
    return f"{tolerance_mm:g}".replace(".", "_")


def _group(prefix: str = "", **shared: Any) -> Callable[..., Metric]:
    """Metrics of one group; each reads the attribute of its name unless it has a function."""

    def metric(name: str, title: str, definition: str, **own: Any) -> Metric:
        read = {"function": attrgetter(prefix + name)}
        return Metric(name=name, title=title, definition=definition, **(read | shared | own))

    return metric


_overlap = _group("overlap.", direction="higher", source=_TAHA, group="Overlap")
_OVERLAP = (
    _overlap(
        "dice",
        "Dice",
        "2 TP / (2 TP + FP + FN) of the voxels of two masks.",
        empty=_ALIKE,
        headline=True,
    ),
    _overlap("iou", "IoU", "TP / (TP + FP + FN), the Jaccard index.", empty=_ALIKE),
    _overlap(
        "precision",
        "Precision",
        "TP / (TP + FP): the share of the prediction that is right.",
        empty=_ALIKE | {"prediction_empty": 0.0},
    ),
    _overlap(
        "sensitivity",
        "Sensitivity",
        "TP / (TP + FN), or recall: the share of the reference that is found.",
        empty=_ALIKE | {"reference_empty": 0.0},
    ),
    _overlap(
        "specificity",
        "Specificity",
        "TN / (TN + FP). Near 1 for any small structure in a large image.",
        decimals=4,
    ),
)

_distance = _group(
    "surfaces.", direction="lower", unit="mm", decimals=2, group="Distance", empty=_APART
)
_DISTANCES = (
    _distance(
        "hd_mm",
        "Hausdorff distance (mm)",
        "Hausdorff distance: the largest distance in mm from the centre of a surface voxel of one"
        " mask to the nearest of the other, in either direction; surface voxels as for HD95.",
        source=_HUTTENLOCHER,
    ),
    _distance(
        "hd95_mm",
        "HD95 (mm)",
        "HD95: the larger of the two directed 95th percentiles (linear interpolation) of the"
        " distances in mm between the centres of surface voxels; a surface voxel has one of its 6"
        " face neighbours outside the mask, and beyond the image border is outside.",
        source=_HUTTENLOCHER,
        headline=True,
    ),
    _distance(
        "assd_mm",
        "Mean surface distance (mm)",
        "ASSD: the mean distance in mm from the centres of all surface voxels of both masks to the"
        " nearest of the other mask, every voxel counting once (not the mean of the two directed"
        " means); surface voxels as for HD95.",
        source="Heimann et al., IEEE TMI 28(8) (2009)",
    ),
    *(
        Metric(
            f"nsd_{written(tolerance)}mm",
            lambda pair, mm=tolerance: pair.surfaces.nsd(mm),
            f"Surface Dice at {tolerance} mm",
            "Normalised surface Dice (NSD): the area of the reference's surface that lies within"
            f" {tolerance} mm of the prediction's surface, plus the same from the prediction to the"
            " reference, divided by the sum of both areas. Surface elements are those of marching"
            " cubes on 2x2x2 voxels, distances in mm those between the corners where these voxels"
            " meet, as in DeepMind's surface-distance; 0 if one mask is empty, undefined if both"
            " are.",
            "higher",
            source=_NIKOLOV,
            group="Distance",
            empty=_ALIKE,
            headline=tolerance == 1,
        )
        for tolerance in TOLERANCES_MM
    ),
)

_volume = _group(group="Volume")
_ml = _group(group="Volume", unit="ml", decimals=1)
_VOLUMES = (
    _ml("reference_ml", "Reference (ml)", "Volume of the reference.", direction="neither"),
    _ml("prediction_ml", "Prediction (ml)", "Volume of the prediction.", direction="neither"),
    _ml(
        "volume_error_ml",
        "Error (ml)",
        "Prediction minus reference.",
        direction="lower",
        signed=True,
    ),
    _volume(
        "relative_volume_error",
        "Relative error",
        "(Prediction minus reference) / reference; undefined where the reference is empty.",
        direction="lower",
        function=attrgetter("overlap.relative_error"),
        signed=True,
    ),
)

_lesion = _group(source=_BRATS, group="Mean over lesions")
_count = _group(source=_BRATS, unit="lesions", decimals=2, group="Lesions in a case")
_LESIONWISE = (
    _lesion(
        "lesion_dice",
        "Dice",
        "Mean over lesions of the reference and false positives, which count 0.",
        direction="higher",
        function=attrgetter("dice"),
        empty={"no_lesion": 1.0},
        headline=True,
    ),
    _lesion(
        "lesion_hd95_mm",
        "HD95 (mm)",
        "The same mean of the robust Hausdorff distance, which weights surface elements by area: in"
        " each direction the smallest distance that holds 95 % of the area, then the larger of the"
        " two. Missed lesions and false positives count the worst distance.",
        direction="lower",
        function=attrgetter("hd95_mm"),
        unit="mm",
        decimals=2,
        empty={"no_lesion": 0.0},
        headline=True,
    ),
    *(
        _lesion(
            f"lesion_nsd_{written(tolerance)}mm",
            f"Surface Dice at {tolerance} mm",
            f"The same mean of the normalised surface Dice at {tolerance} mm: of areas by the rules"
            " of 2023, of surface voxels by those of 2024.",
            direction="higher",
            function=methodcaller("nsd", tolerance),
            empty={"no_lesion": 1.0},
            headline=tolerance == 1,
        )
        for tolerance in TOLERANCES_MM
    ),
    _lesion(
        "lesion_f1",
        "F1",
        "2 found / (lesions + found + false positives), counted as below.",
        direction="higher",
        function=attrgetter("f1"),
        empty={"no_lesion": 1.0},
    ),
    _count(
        "lesions",
        "Lesions in the reference",
        "Lesions of the reference that are large enough to count under the rules.",
        direction="neither",
        function=attrgetter("reference_lesions"),
    ),
    _count(
        "found",
        "Lesions found",
        "Those that a predicted lesion touches, a few voxels of dilation allowed.",
        direction="higher",
    ),
    _count(
        "false_positives",
        "False positives",
        "Predicted lesions that touch no lesion of the reference.",
        direction="lower",
    ),
)

_matched = _group(source=_BRATS_2025, group="Lesions matched one to one")
_SIZED = "By size: detected with a Dice of 0.1 or more"
_MATCHED_KINDS = (
    (
        "matched",
        "of_pairs",
        "of pairs",
        "Mean over pairs",
        "Mean over the lesions of the reference that have a partner; the worst value where none has"
        " and either mask holds a lesion",
        "the smallest edge of a voxel",
    ),
    (
        "penalised",
        "penalised",
        "with penalties",
        "Mean over large lesions, missed and false ones included",
        "Mean over the lesions of the reference of at least the rules' volume and all false ones; a"
        " missed or false one counts the worst value",
        "the smallest edge of a voxel",
    ),
    (
        "whole",
        "whole",
        "of whole masks",
        "Whole masks",
        "Of the whole masks; the worst value where they share no voxel",
        "half the smallest edge of a voxel",
    ),
)


def _agreement(
    prefix: str, measured: str, title: str, group: str, of: str, tolerance: str
) -> tuple[Metric, ...]:
    """Dice, HD95 and surface Dice of one kind of pairs of masks."""
    shared = _group(f"{measured}.", source=_BRATS_2025, group=group)
    headline = prefix == "penalised"
    return (
        shared(
            f"{prefix}_dice",
            f"Dice {title}",
            f"{of}: Dice.",
            direction="higher",
            function=attrgetter(f"{measured}.dice"),
            headline=headline,
        ),
        shared(
            f"{prefix}_hd95_mm",
            f"HD95 {title} (mm)",
            f"{of}, 373 mm: the 95th percentile (linear interpolation) of the distances between"
            " surface voxels of both directions together.",
            direction="lower",
            function=attrgetter(f"{measured}.hd95_mm"),
            unit="mm",
            decimals=2,
            headline=headline,
        ),
        shared(
            f"{prefix}_nsd",
            f"Surface Dice {title}",
            f"{of}: mean of the two shares of surface voxels within {tolerance}.",
            direction="higher",
            function=attrgetter(f"{measured}.nsd"),
        ),
    )


def _by_size(size: str, which: str) -> tuple[Metric, ...]:
    """Detection of the lesions of one size."""
    counted: dict[str, Any] = {"unit": "lesions", "decimals": 2, "group": _SIZED}
    return (
        _matched(
            f"{size}_f1",
            f"F1 of {size} lesions",
            f"F1 of the lesions of the reference {which}, all false ones of any size included;"
            " undefined without such a lesion.",
            function=attrgetter(f"{size}.f1"),
            direction="higher",
            group=_SIZED,
        ),
        _matched(
            f"{size}_lesions",
            f"{size.capitalize()} lesions in the reference",
            f"Lesions of the reference {which}.",
            function=attrgetter(f"{size}.count"),
            direction="neither",
            **counted,
        ),
        _matched(
            f"{size}_found",
            f"{size.capitalize()} lesions detected",
            "Those with a partner and a Dice of at least 0.1.",
            function=attrgetter(f"{size}.found"),
            direction="higher",
            **counted,
        ),
    )


_BY_SIZE = (
    *_by_size("large", "of at least the rules' volume, 20 mm3 for metastases"),
    *_by_size("small", "below the rules' volume, 20 mm3 for metastases"),
)
BY_SIZE = tuple(metric.name for metric in _BY_SIZE)
"""Columns of the table "matched" that only rules with sizes have."""
_PAIRS: dict[str, Any] = {"unit": "lesions", "decimals": 2}
_MATCHED = (
    _matched(
        "matched_f1",
        "F1",
        "Connected components matched one to one for the largest sum of Dice, one common voxel"
        " being enough: 2 TP / (2 TP + FP + FN).",
        direction="higher",
        function=attrgetter("f1"),
        headline=True,
    ),
    _matched(
        "matched_precision",
        "Precision",
        "TP / (TP + FP) of the same pairs; 0 if no lesion of the reference has a partner.",
        direction="higher",
        function=attrgetter("precision"),
    ),
    _matched(
        "matched_recall",
        "Recall",
        "TP / (TP + FN) of the same pairs; undefined without a lesion in the reference.",
        direction="higher",
        function=attrgetter("recall"),
    ),
    _matched("tp", "Matched lesions (TP)", "Pairs.", direction="higher", **_PAIRS),
    _matched(
        "fp",
        "False lesions (FP)",
        "Lesions of the prediction without a partner.",
        direction="lower",
        **_PAIRS,
    ),
    _matched(
        "fn",
        "Missed lesions (FN)",
        "Lesions of the reference without a partner.",
        direction="lower",
        **_PAIRS,
    ),
    *(metric for kind in _MATCHED_KINDS for metric in _agreement(*kind)),
    *_BY_SIZE,
)

_instance = _group(
    direction="higher",
    source="Kirillov et al., CVPR (2019)",
    group="Instances, matched by IoU above 0.5",
    empty=_ALIKE,
)
_INSTANCES = (
    _instance(
        "f1",
        "F1 (recognition quality)",
        "Connected components matched by IoU above 0.5: 2 TP / (2 TP + FP + FN).",
        headline=True,
    ),
    _instance(
        "sq", "Segmentation quality", "Mean IoU of the matched components, 0 if none is matched."
    ),
    _instance("pq", "Panoptic quality", "F1 times segmentation quality.", headline=True),
)

_calibration = _group("bins.", direction="lower", decimals=4, group="Calibration")
_uncertainty = _group(direction="neither", decimals=4, group="Uncertainty")
_aurc = _group(
    decimals=5,
    source="Geifman and El-Yaniv, NeurIPS (2017)",
    group="Does uncertainty find the errors?",
)
_CALIBRATION = (
    _calibration(
        "brier",
        "Brier score",
        "Mean squared difference of the probability and 1 in the region, 0 outside.",
        source="Brier, Monthly Weather Review 78 (1950)",
    ),
    _calibration(
        "ece",
        "Expected calibration error",
        "Mean over bins of |share of voxels in the region - mean probability|, weighted by voxels"
        " of the brain.",
        source="Guo et al., ICML (2017)",
    ),
    _uncertainty(
        "mean_entropy",
        "Mean entropy (bits)",
        "Mean over the brain of - p log2 p - (1 - p) log2 (1 - p), p being the probability: 0 where"
        " it is 0 or 1, 1 where it is 0.5.",
        unit="bits",
        source="Shannon, Bell System Technical Journal 27 (1948)",
    ),
    _uncertainty(
        "mean_disagreement",
        "Disagreement of mirror images",
        "Mean over the brain of the standard deviation of the probability over mirror images of the"
        " input.",
        source="Wang et al., Neurocomputing 338 (2019)",
    ),
    _aurc(
        "aurc",
        "AURC of the entropy",
        "Area under the risk-coverage curve: the share of wrong voxels among the most certain ones,"
        " over their share of all, the entropy being the uncertainty.",
        direction="lower",
    ),
    _aurc(
        "aurc_random",
        "AURC by chance",
        "The same with an uncertainty unrelated to the errors.",
        direction="neither",
    ),
    _aurc(
        "aurc_oracle",
        "AURC at best",
        "The same with an uncertainty that ranks every wrong voxel above every right one.",
        direction="neither",
    ),
    _aurc(
        "aurc_disagreement",
        "AURC of the disagreement",
        "The same with the disagreement of mirror images as the uncertainty.",
        direction="lower",
    ),
)

_MULTICLASS = (
    Metric(
        "accuracy",
        None,  # of the confusion matrix, not of one class
        "Accuracy",
        "Share of voxels whose class is right; without background, of those that the reference or"
        " the prediction calls tumour.",
        "higher",
        decimals=4,
        source=_TAHA,
        group="All classes",
        empty=_ALIKE,
    ),
    *(
        replace(
            metric,
            name=name,
            function=attrgetter(metric.name),
            title=metric.title if name == metric.name else f"Mean {metric.title}",
            definition=f"Mean over classes of: {metric.definition}",
            decimals=4,
            group="All classes",
            headline=False,
        )
        for metric, name in zip(
            _OVERLAP,
            ("mean_dice", "mean_iou", "precision", "sensitivity", "specificity"),
            strict=True,
        )
    ),
)

TABLES: Mapping[str, tuple[Metric, ...]] = {
    "cases": (*_OVERLAP, *_DISTANCES, *_VOLUMES),
    "lesionwise": _LESIONWISE,
    "matched": _MATCHED,
    "instances": _INSTANCES,
    "calibration": _CALIBRATION,
    "multiclass": _MULTICLASS,
}
"""Name of a table to its metrics. Those of "multiclass" have two columns each, ending in
``_with_background`` and ``_without_background``.
"""


def find(name: str) -> Metric | None:
    """The metric of a name, if there is one; of the first table where several have it."""
    named = (metric for metrics in TABLES.values() for metric in metrics if metric.name == name)
    return next(named, None)


def own_metrics(names: Iterable[str], code: str) -> list[Metric]:
    """Import the metrics of the user, columns of the table "cases" after ours.

    Parameters
    ----------
    names : iterable of str
        The key ``evaluate.metrics``: ``package.module:attribute`` each.
    code : str
        The key ``own_code.evaluate``.

    Raises
    ------
    InputError
        If a name cannot be imported from `code`, is no metric, or its column exists already.
    """
    own: list[Metric] = []
    for name in names:
        if ":" not in name:
            raise InputError(
                f"params.yaml: evaluate.metrics: {name}: our metrics are always computed. Name your"
                " own as package.module:attribute (docs/extending/metric.md)."
            )
        try:
            found = resolve(name, {}, "evaluate.metrics", code)
        except InputError:
            raise
        except Exception as error:  # raised while the module was imported
            raise InputError(
                f"params.yaml: evaluate.metrics: {name} cannot be imported:"
                f" {type(error).__name__}: {error}. Fix its module (docs/extending/metric.md)."
            ) from error
        taken = {"case", "patient", "kind", "name", "filled"}
        taken |= {metric.name for metric in (*TABLES["cases"], *own)}
        own.append(checked(found, name, taken))
    return own


def readings(table: str, measured: Any) -> dict[str, Any]:
    """The columns of a table, read from what was measured once for all of them."""
    return {metric.name: metric.function(measured) for metric in TABLES[table] if metric.function}


def applied(entry: str, empty_rule: str) -> str:
    """The entry of ``filled`` that a cohort's rule for empty masks applies, or none: what is missed
    altogether costs under every rule, or a mean would improve by it.
    """
    return entry if empty_rule == "brats" or entry == "prediction_empty" else ""


def fills(table: str, entry: str, own: Iterable[Metric] = ()) -> dict[str, float]:
    """Metric to the value that an entry of the column ``filled`` gives it."""
    return {
        metric.name: metric.empty[entry]
        for metric in (*TABLES[table], *own)
        if entry in metric.empty
    }


def descriptions(own: Iterable[Metric] = ()) -> list[dict[str, Any]]:
    """What metrics/evaluate.json says of every metric, in reading order, with its ``table``."""
    return [
        {"table": table} | metric.describe()
        for table, metrics in TABLES.items()
        for metric in (*metrics, *(own if table == "cases" else ()))
    ]
