from itertools import product
from math import nan

import numpy as np
import pytest

from pipeline.core.confusion import confusion
from pipeline.core.schema import Schema
from pipeline.metrics.multiclass import confusion_rows, exchanged_labels, score_classes


def schema_with(empty_rule):
    return Schema(
        cohort="two labels",
        dimensions=3,
        modalities=("t1n",),
        labels={"core": 1, "edema": 2},
        regions={"whole": ("core", "edema"), "core": ("core",)},
        empty_rule=empty_rule,
    )


def line(*classes):
    return np.array(classes, np.uint8).reshape(-1, 1, 1)


def scored(reference, prediction, empty_rule):
    return score_classes(confusion(reference, prediction, 3), schema_with(empty_rule))


def test_ten_voxels_score_as_counted_by_hand():
    reference = line(0, 0, 0, 0, 0, 0, 1, 1, 2, 2)
    prediction = line(0, 0, 0, 0, 0, 2, 1, 2, 2, 0)
    row = scored(reference, prediction, "nan")
    # background TP 5 FP 1 FN 1 TN 3; core TP 1 FP 0 FN 1 TN 8; edema TP 1 FP 2 FN 1 TN 6
    expected = {
        "accuracy": (7 / 10, 2 / 5),
        "mean_dice": ((10 / 12 + 2 / 3 + 2 / 5) / 3, (2 / 3 + 2 / 5) / 2),
        "mean_iou": ((5 / 7 + 1 / 2 + 1 / 4) / 3, (1 / 2 + 1 / 4) / 2),
        "precision": ((5 / 6 + 1 + 1 / 3) / 3, (1 + 1 / 3) / 2),
        "sensitivity": ((5 / 6 + 1 / 2 + 1 / 2) / 3, 1 / 2),
        "specificity": ((3 / 4 + 1 + 6 / 8) / 3, (1 + 6 / 8) / 2),
    }
    for name, (with_background, without_background) in expected.items():
        assert row[f"{name}_with_background"] == pytest.approx(with_background)
        assert row[f"{name}_without_background"] == pytest.approx(without_background)
    assert (row["classes_filled"], row["classes_undefined"]) == (0, 0)


def test_a_prediction_of_background_only_looks_good_only_with_the_background():
    reference = line(*[0] * 98, 1, 2)
    row = scored(reference, np.zeros_like(reference), "brats")
    assert row["accuracy_with_background"] == 0.98
    assert row["specificity_with_background"] == pytest.approx(2 / 3)
    for name in ("accuracy", "mean_dice", "sensitivity", "precision"):
        assert row[f"{name}_without_background"] == 0
    assert row["classes_filled"] == 2


@pytest.mark.parametrize(
    ("rule", "dice", "accuracy", "counts"),
    [("brats", (2 / 3 + 1) / 2, 1, (1, 0)), ("nan", 2 / 3, nan, (0, 1))],
)
def test_what_is_absent_from_both_maps_is_filled_or_left_out_as_the_rule_says(
    rule, dice, accuracy, counts
):
    row = scored(line(0, 0, 1, 1), line(0, 0, 1, 0), rule)
    assert row["mean_dice_without_background"] == pytest.approx(dice)
    assert (row["classes_filled"], row["classes_undefined"]) == counts
    healthy = scored(line(0, 0, 0), line(0, 0, 0), rule)
    found = [healthy[f"{name}_without_background"] for name in ("accuracy", "mean_iou")]
    np.testing.assert_equal(found, [accuracy] * 2)
    assert healthy["accuracy_with_background"] == 1


def test_a_perfect_prediction_scores_one_in_every_number_and_numbers_keep_their_places():
    row = scored(line(0, 1, 2, 2), line(0, 1, 2, 2), "nan")
    names = ["accuracy", "mean_dice", "mean_iou", "precision", "sensitivity", "specificity"]
    endings = ("with_background", "without_background")
    ones = [(f"{name}_{ending}", 1) for ending in endings for name in names]
    assert list(row.items()) == [*ones, ("classes_filled", 0), ("classes_undefined", 0)]
    assert {type(value) for value in row.values()} == {float, int}


def test_confusion_as_a_table_names_every_pair_of_classes_and_counts_every_voxel():
    reference, prediction = line(0, 0, 1, 1, 2, 2), line(0, 1, 1, 2, 2, 2)
    rows = confusion_rows(confusion(reference, prediction, 3), schema_with("nan"))
    names = ("background", "core", "edema")
    assert [(row["reference"], row["prediction"]) for row in rows] == list(product(names, names))
    assert [row["voxels"] for row in rows] == [1, 1, 0, 0, 1, 1, 0, 0, 2]


def test_labels_that_were_exchanged_are_found_and_others_are_not():
    reference = line(0, 0, 1, 1, 1, 2, 2)
    for prediction, found in (
        (line(0, 0, 2, 2, 2, 1, 1), {"core": "edema", "edema": "core"}),
        (line(0, 0, 1, 2, 2, 2, 1), {}),
    ):
        rows = confusion_rows(confusion(reference, prediction, 3), schema_with("nan"))
        assert exchanged_labels(rows, ["core", "edema"]) == found
