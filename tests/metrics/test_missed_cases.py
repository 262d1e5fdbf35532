"""A tumour that is missed altogether costs in every mean: none is left undefined and out of it."""

from dataclasses import dataclass

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.metrics import registry
from pipeline.metrics.case_scores import score_masks, summarise, tables_of
from pipeline.statistics.paired import compare_pairs

SHAPE = (24, 20, 18)
CASES = 10
BETTER_WITHOUT_A_DRAWING = {"specificity", "false_positives", "fp"}
"""What counts false voxels or lesions alone: an empty prediction has none."""


@dataclass(frozen=True)
class Scored:
    """Rows of the tables of a run, and their summary."""

    tables: dict
    summary: dict


def tumour(moved):
    """A tumour of all labels and a satellite, moved by some voxels."""
    classes = np.zeros(SHAPE, np.uint8)
    classes[4 + moved : 14 + moved, 3:13, 3:13] = 2
    classes[5 + moved : 11 + moved, 5:11, 5:11] = 3
    classes[7 + moved : 10 + moved, 7:10, 7:10] = 1
    classes[18 + moved : 21 + moved, 15:18, 13:16] = 3
    return classes


def scored(empty_rule, missed, rules=("brats2023-gli", "brats2025-mets")):
    """Ten cases, moved by two voxels or one; of the last nothing is drawn if it is `missed`."""
    schema = brats.schema("-").model_copy(update={"empty_rule": empty_rule, "lesion_rules": rules})
    pairs = [(tumour(0), tumour(2 - number % 2)) for number in range(CASES)]
    if missed:
        pairs[-1] = (tumour(0), np.zeros(SHAPE, np.uint8))
    names = [{"case": f"{number}", "patient": f"{number}"} for number in range(CASES)]
    scores = [score_masks(*pair, schema, (1.0, 1.0, 1.0)) for pair in pairs]
    tables = tables_of(names, scores, schema)
    return Scored(tables, summarise(tables, schema))


@pytest.fixture(scope="module", params=["brats", "nan"])
def runs(request):
    """Two runs by one rule for empty masks: with all cases drawn, and with one missed."""
    return scored(request.param, False), scored(request.param, True)


PARTS = {
    "cases": "region",
    "lesionwise": "lesionwise",
    "matched": "matched",
    "instances": "instances",
}
METRICS = [
    (table, metric)
    for table in PARTS
    for metric in registry.TABLES[table]
    if metric.sign
    and metric.name not in BETTER_WITHOUT_A_DRAWING
    # the satellite is a large lesion, so that there is no small one
    and not metric.name.startswith("small_")
]


@pytest.mark.parametrize(("table", "metric"), METRICS, ids=lambda part: getattr(part, "name", part))
def test_a_missed_case_worsens_every_mean_and_its_interval(runs, table, metric):
    drawn, missed = (run.summary[PARTS[table]]["TC"][metric.name] for run in runs)
    assert (missed["cases"], missed["undefined"]) == (CASES, 0), "it is in the mean"
    if metric.signed:  # errors of the volume are compared by their size
        assert abs(missed["mean"]) > abs(drawn["mean"])
        return
    end = "low" if metric.sign > 0 else "high"
    assert metric.sign * (missed["mean"] - drawn["mean"]) < 0
    assert metric.sign * (missed[f"mean_{end}"] - drawn[f"mean_{end}"]) < 0


@pytest.mark.parametrize("table", PARTS)
def test_a_comparison_of_two_runs_counts_a_missed_case(runs, table):
    metrics = [metric for of, metric in METRICS if of == table]
    rows = [
        [
            {"kind": "region"} | row | {one.name: abs(row[one.name]) for one in metrics}
            for row in run.tables[table]
            if row["name"] == "TC"
        ]
        for run in runs
    ]
    for found in compare_pairs(*rows, {metric.name: metric.sign for metric in metrics}):
        counts = [found[count] for count in ("cases", "undefined", "better", "worse")]
        assert counts == [CASES, 0, 0, 1], found["metric"]


def test_a_missed_case_lowers_the_means_over_classes(runs):
    drawn, missed = (run.summary["multiclass"] for run in runs)
    for name in ("accuracy", "mean_dice", "mean_iou", "precision", "sensitivity"):
        column = f"{name}_without_background"
        assert missed[column]["mean"] < drawn[column]["mean"]
        assert missed[column]["undefined"] == 0
    assert (
        runs[1].summary["mean_region_dice"]["value"] < runs[0].summary["mean_region_dice"]["value"]
    )
