"""Titles, order and decimals of the metrics, and tables of their summaries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .html import Html, element, heading, join
from .text import interval, number, small, taken_over


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: its title, the group it stands in, and how many decimals tell
    something.
    """

    title: str
    group: str
    digits: int = 3


SCORES = {
    "dice": Metric("Dice", "Overlap"),
    "iou": Metric("IoU", "Overlap"),
    "precision": Metric("Precision", "Overlap"),
    "sensitivity": Metric("Sensitivity", "Overlap"),
    "specificity": Metric("Specificity", "Overlap", 4),
    "hd95_mm": Metric("HD95 (mm)", "Distance", 2),
    "hd_mm": Metric("Hausdorff distance (mm)", "Distance", 2),
    "assd_mm": Metric("Mean surface distance (mm)", "Distance", 2),
    "nsd_1mm": Metric("Surface Dice at 1 mm", "Distance"),
    "nsd_2mm": Metric("Surface Dice at 2 mm", "Distance"),
    "nsd_3mm": Metric("Surface Dice at 3 mm", "Distance"),
    "reference_ml": Metric("Reference (ml)", "Volume", 1),
    "prediction_ml": Metric("Prediction (ml)", "Volume", 1),
    "volume_error_ml": Metric("Error (ml)", "Volume", 1),
    "relative_volume_error": Metric("Relative error", "Volume"),
}

LESIONWISE = {
    "lesion_dice": Metric("Dice", "Mean over lesions"),
    "lesion_hd95_mm": Metric("HD95 (mm)", "Mean over lesions", 2),
    "lesion_nsd_1mm": Metric("Surface Dice at 1 mm", "Mean over lesions"),
    "lesion_nsd_2mm": Metric("Surface Dice at 2 mm", "Mean over lesions"),
    "lesion_nsd_3mm": Metric("Surface Dice at 3 mm", "Mean over lesions"),
    "lesions": Metric("Lesions in the reference", "Lesions in a case", 2),
    "found": Metric("Lesions found", "Lesions in a case", 2),
    "false_positives": Metric("False positives", "Lesions in a case", 2),
}

INSTANCES = {
    "f1": Metric("F1 (recognition quality)", "Instances, matched by IoU above 0.5"),
    "sq": Metric("Segmentation quality", "Instances, matched by IoU above 0.5"),
    "pq": Metric("Panoptic quality", "Instances, matched by IoU above 0.5"),
}

CALIBRATION = {
    "ece": Metric("Expected calibration error", "Calibration", 4),
    "brier": Metric("Brier score", "Calibration", 4),
    "mean_entropy": Metric("Mean entropy (bits)", "Uncertainty", 4),
    "mean_disagreement": Metric("Disagreement of mirror images", "Uncertainty", 4),
    "aurc": Metric("AURC of the entropy", "Does uncertainty find the errors?", 5),
    "aurc_disagreement": Metric("AURC of the disagreement", "Does uncertainty find the errors?", 5),
    "aurc_random": Metric("AURC by chance", "Does uncertainty find the errors?", 5),
    "aurc_oracle": Metric("AURC at best", "Does uncertainty find the errors?", 5),
}


def summary_table(
    summaries: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Metric], caption: str
) -> Html:
    """A table of means with their intervals, one row per metric and one column per name.

    Parameters
    ----------
    summaries : mapping
        Name (region or label) to metric to ``mean``, ``median``, ``sd``, ``cases``, ``filled``,
        ``undefined``, and, where there are enough cases, ``mean_low``, ``mean_high``,
        ``median_low``, ``median_high``.
    metrics : mapping of str to Metric
        Which to show, in this order; those that no name has are left out.
    caption : str
        What the table says.

    Returns
    -------
    Html
    """
    names = list(summaries)
    head = element(
        "thead", element("tr", element("td"), *(element("th", name, scope="col") for name in names))
    )
    groups: dict[str, list[str]] = {}
    for key, metric in metrics.items():
        if any(key in summary for summary in summaries.values()):
            groups.setdefault(metric.group, []).append(key)
    bodies = [_group(group, keys, summaries, metrics) for group, keys in groups.items()]
    content = element("table", heading(caption), head, *bodies)
    return element(
        "div", content, class_="scroll summary", tabindex="0", role="region", aria_label=caption
    )


def _group(
    group: str,
    keys: list[str],
    summaries: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Metric],
) -> Html:
    title = element(
        "tr",
        element("th", group, scope="rowgroup", colspan=str(len(summaries) + 1)),
        class_="group",
    )
    rows = (
        element(
            "tr",
            element("th", metrics[key].title, scope="row"),
            *(_cell(s.get(key), metrics[key].digits) for s in summaries.values()),
        )
        for key in keys
    )
    return element("tbody", title, *rows)


def _cell(summary: Mapping[str, Any] | None, digits: int) -> Html:
    return element("td", "–" if summary is None else summarised(summary, digits))


def summarised(summary: Mapping[str, Any], digits: int) -> Html:
    """A mean with its interval, the median with its own, and what they were taken over."""
    mean_interval = interval(summary.get("mean_low"), summary.get("mean_high"), digits)
    median_interval = interval(summary.get("median_low"), summary.get("median_high"), digits)
    median = f"median {number(summary['median'], digits)}" + f" ({median_interval})" * bool(
        median_interval
    )
    mean = join(
        element("b", number(summary["mean"], digits)),
        f" ({mean_interval})" if mean_interval else "",
    )
    return join(mean, *([small(median)] if summary["cases"] else []), small(taken_over(summary)))
