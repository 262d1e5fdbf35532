from math import isnan, sqrt

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.metrics import registry
from pipeline.metrics.case_scores import (
    MaskPair,
    headline_of,
    score_case,
    score_masks,
    summarise,
    tables_of,
)
from pipeline.metrics.overlap import overlap
from pipeline.metrics.registry import WORST_HD95_MM

SHAPE = (12, 11, 10)
SPACING_MM = (1.0, 1.5, 2.0)
METRICS = [metric.name for metric in registry.TABLES["cases"]]
DEFINED = METRICS[:12]  # without the volumes
DISTANCES = METRICS[5:12]


def schema_with(empty_rule, rules=None):
    changes = {"cohort": "glioma", "empty_rule": empty_rule, "lesion_rules": rules}
    return brats.schema("_").model_copy(update=changes)


def nested_tumour(offset=0, with_enhancing=True):
    classes = np.zeros(SHAPE, np.uint8)
    classes[1 + offset : 9 + offset, 1:9, 1:9] = 2
    classes[2 + offset : 7 + offset, 2:7, 2:7] = 3 if with_enhancing else 1
    classes[3 + offset : 6 + offset, 3:6, 3:6] = 1
    return classes


def scored(reference, prediction, empty_rule="brats"):
    rows = score_case(reference, prediction, schema_with(empty_rule), SPACING_MM)
    return {row["name"]: row for row in rows}


def blocks(reference, prediction):
    """Class maps with a block of edema each, by their slices."""
    maps = np.zeros((2, *SHAPE), np.uint8)
    maps[0][reference] = maps[1][prediction] = 2
    return maps


def test_a_perfect_prediction_scores_one_and_zero_millimetres_labels_first_then_regions():
    rows = score_case(nested_tumour(), nested_tumour(), schema_with("nan"), SPACING_MM)
    perfect = [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1]
    assert [[row[metric] for metric in DEFINED] for row in rows] == [perfect] * 6
    assert [row["name"] for row in rows] == ["necrotic", "edema", "enhancing", "WT", "TC", "ET"]
    assert [row["kind"] for row in rows] == ["label"] * 3 + ["region"] * 3
    assert {row["filled"] for row in rows} == {""}
    assert all(list(row) == ["kind", "name", *METRICS, "filled"] for row in rows)
    assert all(type(row[metric]) is float for row in rows for metric in METRICS)


def test_a_tumour_shifted_by_one_voxel_scores_as_counted_by_hand():
    row = scored(nested_tumour(), nested_tumour(1))["WT"]
    assert (row["dice"], row["iou"]) == (7 / 8, 7 / 9)  # cubes of 8 voxels share 7 of 8 layers
    assert row["precision"] == row["sensitivity"] == 7 / 8
    assert row["specificity"] == 1 - 64 / (1320 - 512)
    assert row["hd95_mm"] == 1
    assert row["reference_ml"] == row["prediction_ml"] == pytest.approx(512 * 3 / 1000)
    assert row["volume_error_ml"] == row["relative_volume_error"] == 0


def test_every_row_equals_the_scores_of_its_two_masks():
    schema = schema_with("brats")
    members = {"necrotic": [1], "edema": [2], "enhancing": [3]}
    members |= {name: schema.classes_of(name) for name in schema.regions}
    rng = np.random.default_rng(2)
    noise = rng.random(SHAPE) < 0.2
    noisy = np.where(noise, rng.integers(0, 4, SHAPE), nested_tumour(2)).astype(np.uint8)
    at_the_border = blocks(np.s_[:4, :4, :4], np.s_[:6, :4, :5])
    in_one_slice = blocks(np.s_[2:9, 2:9, 4], np.s_[4:6, 4:6, 4])
    for pair in ((nested_tumour(), noisy), at_the_border, in_one_slice):
        for row in score_case(*pair, schema, SPACING_MM):
            masks = [np.isin(classes, members[row["name"]]) for classes in pair]
            if all(mask.any() for mask in masks):
                expected = registry.readings("cases", MaskPair(*masks, overlap(*masks), SPACING_MM))
                assert {name: row[name] for name in METRICS} == pytest.approx(expected, rel=1e-12)


def test_scores_do_not_depend_on_memory_order_or_leave_a_trace_in_the_maps():
    reference, prediction = nested_tumour(), nested_tumour(2)
    rows = scored(reference, prediction)
    assert scored(np.asfortranarray(reference), prediction) == rows
    assert np.array_equal(reference, nested_tumour())
    assert np.array_equal(prediction, nested_tumour(2))


def test_worst_hd95_is_the_diagonal_of_the_brats_grid():
    assert round(sqrt(240**2 + 240**2 + 155**2), 6) == WORST_HD95_MM


@pytest.mark.parametrize(
    ("in_reference", "in_prediction", "filled", "ratios", "hd95", "undefined"),
    [
        (False, False, "both_empty", 1, 0, {"dice", "iou", "precision", "sensitivity", *DISTANCES}),
        (False, True, "reference_empty", 0, WORST_HD95_MM, {"sensitivity", *DISTANCES[:3]}),
        (True, False, "prediction_empty", 0, WORST_HD95_MM, {"precision", *DISTANCES[:3]}),
    ],
)
def test_an_absent_region_is_filled_or_left_undefined_as_the_rule_says(
    in_reference, in_prediction, filled, ratios, hd95, undefined
):
    pair = nested_tumour(with_enhancing=in_reference), nested_tumour(with_enhancing=in_prediction)
    rows = scored(*pair)
    row = rows["ET"]
    assert (row["filled"], row["hd95_mm"], rows["WT"]["filled"]) == (filled, hd95, "")
    assert {row[name] for name in ("dice", "iou", "precision", "sensitivity")} == {ratios}
    assert rows["enhancing"] == {**row, "kind": "label", "name": "enhancing"}
    assert undefined == set(registry.fills("cases", filled)), "exactly these are filled"
    left = scored(*pair, "nan")["ET"]
    if in_reference:  # missed altogether: it costs under every rule
        assert left == row
        return
    assert {name for name in DEFINED if isnan(left[name])} == undefined
    assert left["filled"] == ""


def test_specificity_of_a_reference_that_fills_the_image_stays_undefined_under_every_rule():
    full = np.full(SHAPE, 2, np.uint8)
    row = scored(full, full)["WT"]
    assert isnan(row["specificity"])
    assert (row["filled"], row["dice"]) == ("", 1)


def test_other_grids_and_a_class_beyond_the_schema_are_rejected():
    foreign = nested_tumour()
    foreign[0, 0, 0] = 4
    for prediction, message in ((nested_tumour()[1:], "one grid"), (foreign, "class index 4")):
        with pytest.raises(ValueError, match=message):
            scored(nested_tumour(), prediction)


def test_errors_of_the_volume_have_a_sign_and_the_relative_one_needs_a_reference():
    row = scored(*blocks(np.s_[:4, :4, :4], np.s_[:4, :4, :8]))["WT"]
    assert row["volume_error_ml"] == pytest.approx(64 * 3 / 1000)
    assert row["relative_volume_error"] == 1
    empty, some = np.zeros(SHAPE, np.uint8), nested_tumour()
    assert scored(some, empty)["WT"]["relative_volume_error"] == -1
    row = scored(empty, some)["WT"]
    assert isnan(row["relative_volume_error"])
    assert row["volume_error_ml"] == row["prediction_ml"]


def summary_of(pairs, empty_rule, rules=None):
    schema = schema_with(empty_rule, rules)
    cases = [{"case": f"{number}", "patient": f"{number}"} for number in range(len(pairs))]
    scores = [score_masks(*pair, schema, SPACING_MM) for pair in pairs]
    return summarise(tables_of(cases, scores, schema), schema)


def three_cases():
    """With the enhancing tumour in both maps, in neither, and missed."""
    full, without = nested_tumour(), nested_tumour(with_enhancing=False)
    return [(full, full), (without, without), (full, without)]


def counted(summary, *names):
    """Some entries of a summary and its counts."""
    return [summary[name] for name in (*names, "cases", "filled", "undefined")]


def test_summary_counts_what_the_brats_rule_filled_in_the_order_of_schema_and_registry():
    summary = summary_of(three_cases(), "brats")
    assert list(summary["label"]) == ["necrotic", "edema", "enhancing"]
    assert list(summary["region"]) == ["WT", "TC", "ET"]
    enhancing = summary["region"]["ET"]
    assert list(enhancing) == METRICS
    found = counted(enhancing["dice"], "mean", "median", "sd")
    assert found == pytest.approx([2 / 3, 1, sqrt(1 / 3), 3, 1, 0])
    assert enhancing["hd95_mm"]["mean"] == pytest.approx(WORST_HD95_MM / 3)
    assert [enhancing[metric]["filled"] for metric in DEFINED] == [1, 1, 2, 1, 0, 2, 2, 2] + 4 * [1]
    assert enhancing["prediction_ml"]["filled"] == 0


def test_summary_leaves_undefined_scores_out_and_counts_them():
    summary = summary_of(three_cases(), "nan")
    enhancing = summary["region"]["ET"]
    assert counted(enhancing["dice"], "mean") == [0.5, 2, 0, 1]
    assert counted(enhancing["hd95_mm"], "mean") == [WORST_HD95_MM / 2, 2, 1, 1], "missed: it costs"
    assert [region["dice"]["mean"] for region in summary["region"].values()] == [1, 1, 0.5]
    mean = summary["mean_region_dice"]
    assert counted(mean, "value", "regions") == pytest.approx([2.5 / 3, 3, 8, 0, 1])
    assert mean["low"] <= 2.5 / 3 <= mean["high"] <= 1


def test_mean_region_dice_leaves_out_and_counts_a_region_undefined_in_every_case():
    without = nested_tumour(with_enhancing=False)
    mean = summary_of([(without, without)], "nan")["mean_region_dice"]
    assert counted(mean, "value", "regions") == [1, 2, 2, 0, 1]
    assert isnan(mean["low"])


def test_every_table_is_summarised_and_the_values_of_rules_are_counted():
    blank = np.zeros(SHAPE, np.uint8)
    pairs = [(nested_tumour(), nested_tumour()), (blank, blank)]
    summary = summary_of(pairs, "brats", "brats2023-gli")
    assert (summary["cases"], summary["cohort"], summary["types"]) == (2, "glioma", None)
    lesionwise, instances = summary["lesionwise"]["WT"], summary["instances"]["WT"]
    assert [lesionwise[column]["filled"] for column in ("lesion_dice", "lesions")] == [1, 0]
    assert [instances[column]["filled"] for column in ("f1", "sq", "pq")] == [1, 1, 1]
    assert summary["lesion_rules"] == "brats2023-gli"
    assert summary["multiclass"]["mean_dice_with_background"]["cases"] == 2
    assert headline_of(summary)["dice"] == {
        name: columns["dice"]["mean"] for name, columns in summary["region"].items()
    }


def test_a_cohort_without_rules_has_no_lesion_wise_summary_but_its_instances():
    summary = summary_of(three_cases(), "brats")
    assert (summary["lesionwise"], summary["lesion_rules"]) == ({}, None)
    assert list(summary["instances"]) == ["WT", "TC", "ET"]
    assert set(headline_of(summary)) == {"mean_region_dice", "dice"}
