from math import isnan, sqrt

import numpy as np
import pytest

from pipeline.core.schema import Schema
from pipeline.metrics import registry
from pipeline.metrics.overlap import overlap
from pipeline.metrics.registry import WORST_HD95_MM
from pipeline.metrics.scores import (
    MaskPair,
    headline_of,
    score_case,
    score_masks,
    summarise,
    tables_of,
)
from pipeline.metrics.surface_distance import SurfaceDistances

SHAPE = (12, 11, 10)
SPACING_MM = (1.0, 1.5, 2.0)
METRICS = [metric.name for metric in registry.TABLES["cases"]]
DEFINED = METRICS[:11]  # without the volumes
DISTANCES = METRICS[5:11]


def schema_with(empty_rule):
    return Schema(
        cohort="glioma",
        dimensions=3,
        modalities=("t1n", "t1c"),
        labels={"necrotic": 1, "edema": 2, "enhancing": 4},
        regions={
            "WT": ("necrotic", "edema", "enhancing"),
            "TC": ("necrotic", "enhancing"),
            "ET": ("enhancing",),
        },
        empty_rule=empty_rule,
    )


def nested_tumour(offset=0, with_enhancing=True):
    classes = np.zeros(SHAPE, np.uint8)
    classes[1 + offset : 9 + offset, 1:9, 1:9] = 2
    classes[2 + offset : 7 + offset, 2:7, 2:7] = 3 if with_enhancing else 1
    classes[3 + offset : 6 + offset, 3:6, 3:6] = 1
    return classes


def by_name(rows):
    return {(row["kind"], row["name"]): row for row in rows}


def test_a_perfect_prediction_scores_one_and_zero_millimetres_everywhere():
    rows = score_case(nested_tumour(), nested_tumour(), schema_with("nan"), SPACING_MM)
    assert [[row[metric] for metric in DEFINED] for row in rows] == [
        [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1]
    ] * 6
    assert {row["filled"] for row in rows} == {""}


def test_rows_come_labels_first_then_regions_from_outer_to_inner():
    rows = score_case(nested_tumour(), nested_tumour(1), schema_with("brats"), SPACING_MM)
    assert [row["name"] for row in rows] == ["necrotic", "edema", "enhancing", "WT", "TC", "ET"]
    assert [row["kind"] for row in rows] == ["label"] * 3 + ["region"] * 3
    assert all(list(row) == ["kind", "name", *METRICS, "filled"] for row in rows)
    assert all(type(row[metric]) is float for row in rows for metric in METRICS)


def test_a_tumour_shifted_by_one_voxel_scores_as_counted_by_hand():
    row = by_name(score_case(nested_tumour(), nested_tumour(1), schema_with("brats"), SPACING_MM))[
        "region", "WT"
    ]
    assert (row["dice"], row["iou"]) == (7 / 8, 7 / 9)  # cubes of 8 voxels share 7 of 8 layers
    assert row["precision"] == row["sensitivity"] == 7 / 8
    assert row["specificity"] == 1 - 64 / (1320 - 512)
    assert row["hd95_mm"] == 1
    assert row["reference_ml"] == row["prediction_ml"] == pytest.approx(512 * 3 / 1000)
    assert row["volume_error_ml"] == row["relative_volume_error"] == 0


def test_every_row_equals_the_scores_of_its_two_masks():
    schema, members = (
        schema_with("brats"),
        {"necrotic": [1], "edema": [2], "enhancing": [3], "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]},
    )
    rng = np.random.default_rng(2)
    reference = nested_tumour()
    prediction = np.where(
        rng.random(SHAPE) < 0.2, rng.integers(0, 4, SHAPE), nested_tumour(2)
    ).astype(np.uint8)
    for row in score_case(reference, prediction, schema, SPACING_MM):
        masks = [np.isin(classes, members[row["name"]]) for classes in (reference, prediction)]
        expected = registry.readings("cases", MaskPair(*masks, overlap(*masks), SPACING_MM))
        assert {metric: row[metric] for metric in METRICS} == pytest.approx(expected, rel=1e-12)


def test_scores_do_not_depend_on_memory_order_or_leave_a_trace_in_the_maps():
    reference, prediction = nested_tumour(), nested_tumour(2)
    rows = score_case(reference, prediction, schema_with("brats"), SPACING_MM)
    assert (
        score_case(np.asfortranarray(reference), prediction, schema_with("brats"), SPACING_MM)
        == rows
    )
    assert np.array_equal(reference, nested_tumour())
    assert np.array_equal(prediction, nested_tumour(2))


def test_a_tumour_at_the_image_border_is_scored_like_its_masks():
    reference, prediction = np.zeros((2, *SHAPE), np.uint8)
    reference[:4, :4, :4] = 2
    prediction[:6, :4, :5] = 2
    row = by_name(score_case(reference, prediction, schema_with("brats"), SPACING_MM))[
        "region", "WT"
    ]
    assert row["hd95_mm"] == pytest.approx(
        SurfaceDistances.of(reference > 0, prediction > 0, SPACING_MM).hd95_mm
    )


def test_a_tumour_in_one_slice_of_a_volume_is_scored_like_its_masks():
    reference, prediction = np.zeros((2, *SHAPE), np.uint8)
    reference[2:9, 2:9, 4] = 2
    prediction[4:6, 4:6, 4] = 2
    row = by_name(score_case(reference, prediction, schema_with("brats"), SPACING_MM))[
        "region", "WT"
    ]
    assert row["hd95_mm"] == pytest.approx(
        SurfaceDistances.of(reference > 0, prediction > 0, SPACING_MM).hd95_mm
    )


def test_worst_hd95_is_the_diagonal_of_the_brats_grid():
    assert round(sqrt(240**2 + 240**2 + 155**2), 6) == WORST_HD95_MM


@pytest.mark.parametrize(
    ("in_reference", "in_prediction", "filled", "dice", "iou", "precision", "sensitivity", "hd95"),
    [
        (False, False, "both_empty", 1, 1, 1, 1, 0),
        (False, True, "reference_empty", 0, 0, 0, 0, WORST_HD95_MM),
        (True, False, "prediction_empty", 0, 0, 0, 0, WORST_HD95_MM),
    ],
)
def test_brats_rule_fills_an_absent_region(
    in_reference, in_prediction, filled, dice, iou, precision, sensitivity, hd95
):
    pair = nested_tumour(with_enhancing=in_reference), nested_tumour(with_enhancing=in_prediction)
    rows = by_name(score_case(*pair, schema_with("brats"), SPACING_MM))
    row = rows["region", "ET"]
    assert row["filled"] == filled
    assert (row["dice"], row["iou"], row["precision"], row["sensitivity"], row["hd95_mm"]) == (
        dice,
        iou,
        precision,
        sensitivity,
        hd95,
    )
    assert rows["label", "enhancing"] == {**row, "kind": "label", "name": "enhancing"}
    assert rows["region", "WT"]["filled"] == ""


@pytest.mark.parametrize(
    ("in_reference", "in_prediction", "undefined"),
    [
        (False, False, {"dice", "iou", "precision", "sensitivity", *DISTANCES}),
        (False, True, {"sensitivity", "hd_mm", "hd95_mm", "assd_mm"}),
        (True, False, {"precision", "hd_mm", "hd95_mm", "assd_mm"}),
    ],
)
def test_nan_rule_leaves_undefined_scores_of_an_absent_region_undefined(
    in_reference, in_prediction, undefined
):
    pair = nested_tumour(with_enhancing=in_reference), nested_tumour(with_enhancing=in_prediction)
    row = by_name(score_case(*pair, schema_with("nan"), SPACING_MM))["region", "ET"]
    assert {metric for metric in DEFINED if isnan(row[metric])} == undefined
    assert row["filled"] == ""


def test_two_empty_maps_are_scored_without_a_tumour_anywhere():
    empty = np.zeros(SHAPE, np.uint8)
    assert {
        row["filled"] for row in score_case(empty, empty, schema_with("brats"), SPACING_MM)
    } == {"both_empty"}
    assert all(
        row["reference_ml"] == 0 and row["specificity"] == 1
        for row in score_case(empty, empty, schema_with("nan"), SPACING_MM)
    )


def test_the_brats_rule_fills_exactly_what_mathematics_leaves_undefined():
    empty, some = np.zeros(SHAPE, bool), nested_tumour() > 0
    for name, pair in {
        "both_empty": (empty, empty),
        "reference_empty": (empty, some),
        "prediction_empty": (some, empty),
    }.items():
        counts = overlap(*pair)
        readings = registry.readings("cases", MaskPair(*pair, counts, SPACING_MM))
        undefined = {metric for metric in DEFINED if isnan(readings[metric])}
        assert undefined == set(registry.fills("cases", name))
        assert counts.empty == name


def test_specificity_of_a_reference_that_fills_the_image_stays_undefined_under_every_rule():
    full = np.full(SHAPE, 2, np.uint8)
    row = by_name(score_case(full, full, schema_with("brats"), SPACING_MM))["region", "WT"]
    assert isnan(row["specificity"])
    assert row["filled"] == ""
    assert row["dice"] == 1


def test_maps_on_different_grids_are_rejected():
    with pytest.raises(ValueError, match="one grid"):
        score_case(nested_tumour(), nested_tumour()[1:], schema_with("brats"), SPACING_MM)


def test_a_class_beyond_the_schema_is_rejected():
    foreign = nested_tumour()
    foreign[0, 0, 0] = 4
    with pytest.raises(ValueError, match="class index 4"):
        score_case(nested_tumour(), foreign, schema_with("brats"), SPACING_MM)


def test_a_prediction_twice_as_large_is_one_volume_too_much():
    reference, prediction = np.zeros((2, *SHAPE), np.uint8)
    reference[:4, :4, :4], prediction[:4, :4, :8] = 2, 2
    row = by_name(score_case(reference, prediction, schema_with("brats"), SPACING_MM))[
        "region", "WT"
    ]
    assert row["volume_error_ml"] == pytest.approx(64 * 3 / 1000)
    assert row["relative_volume_error"] == 1


def test_a_relative_volume_error_needs_a_reference():
    empty, some = np.zeros(SHAPE, np.uint8), nested_tumour()
    row = by_name(score_case(empty, some, schema_with("brats"), SPACING_MM))["region", "WT"]
    assert isnan(row["relative_volume_error"])
    assert row["volume_error_ml"] == row["prediction_ml"]
    assert (
        by_name(score_case(some, empty, schema_with("brats"), SPACING_MM))["region", "WT"][
            "relative_volume_error"
        ]
        == -1
    )


def summary_of(pairs, empty_rule, **changes):
    schema = schema_with(empty_rule).model_copy(update=changes)
    cases = [{"case": f"{number}", "patient": f"{number}"} for number in range(len(pairs))]
    scores = [score_masks(*pair, schema, SPACING_MM) for pair in pairs]
    return summarise(tables_of(cases, scores, schema), schema)


def three_cases():
    """With the enhancing tumour in both maps, in neither, and missed."""
    full, without = nested_tumour(), nested_tumour(with_enhancing=False)
    return [(full, full), (without, without), (full, without)]


def test_summary_counts_what_the_brats_rule_filled():
    summary = summary_of(three_cases(), "brats")
    enhancing = summary["region"]["ET"]
    found = {
        key: enhancing["dice"][key]
        for key in ("mean", "median", "sd", "cases", "filled", "undefined")
    }
    expected = {
        "mean": 2 / 3,
        "median": 1.0,
        "sd": sqrt(1 / 3),
        "cases": 3,
        "filled": 1,
        "undefined": 0,
    }
    assert found == pytest.approx(expected)
    assert enhancing["hd95_mm"]["mean"] == pytest.approx(WORST_HD95_MM / 3)
    assert [enhancing[metric]["filled"] for metric in DEFINED] == [1, 1, 2, 1, 0, 2, 2, 2, 1, 1, 1]
    assert enhancing["prediction_ml"]["filled"] == 0


def test_summary_leaves_undefined_scores_out_and_counts_them():
    summary = summary_of(three_cases(), "nan")
    enhancing = summary["region"]["ET"]
    assert (
        enhancing["dice"]["mean"],
        enhancing["dice"]["cases"],
        enhancing["dice"]["undefined"],
    ) == (0.5, 2, 1)
    assert (
        enhancing["hd95_mm"]["mean"],
        enhancing["hd95_mm"]["cases"],
        enhancing["hd95_mm"]["undefined"],
    ) == (0, 1, 2)
    assert [enhancing[metric]["filled"] for metric in METRICS] == [0] * len(METRICS)


def test_mean_region_dice_is_the_mean_over_regions_of_their_means():
    summary = summary_of(three_cases(), "nan")
    assert [region["dice"]["mean"] for region in summary["region"].values()] == [1, 1, 0.5]
    found = {
        key: summary["mean_region_dice"][key]
        for key in ("value", "regions", "cases", "filled", "undefined")
    }
    assert found == pytest.approx(
        {"value": 2.5 / 3, "regions": 3, "cases": 8, "filled": 0, "undefined": 1}
    )
    assert summary["mean_region_dice"]["low"] <= 2.5 / 3 <= summary["mean_region_dice"]["high"] <= 1


def test_mean_region_dice_leaves_out_and_counts_a_region_undefined_in_every_case():
    pair = nested_tumour(with_enhancing=False), nested_tumour(with_enhancing=False)
    found = summary_of([pair], "nan")["mean_region_dice"]
    assert {key: found[key] for key in ("value", "regions", "cases", "filled", "undefined")} == {
        "value": 1.0,
        "regions": 2,
        "cases": 2,
        "filled": 0,
        "undefined": 1,
    }
    assert isnan(found["low"])


def test_summary_lists_names_and_metrics_in_the_order_of_schema_and_registry():
    summary = summary_of(three_cases(), "brats")
    assert [list(summary[key]) for key in ("label", "region")] == [
        ["necrotic", "edema", "enhancing"],
        ["WT", "TC", "ET"],
    ]
    assert list(summary["region"]["WT"]) == METRICS


def test_every_table_is_summarised_and_the_values_of_rules_are_counted():
    blank = np.zeros(SHAPE, np.uint8)
    pairs = [(nested_tumour(), nested_tumour()), (blank, blank)]
    summary = summary_of(pairs, "brats", lesion_rules="brats2023-gli")
    assert (summary["cases"], summary["cohort"], summary["types"]) == (2, "glioma", None)
    lesionwise, instances = summary["lesionwise"]["WT"], summary["instances"]["WT"]
    assert [lesionwise[column]["filled"] for column in ("lesion_dice", "lesions")] == [1, 0]
    assert [instances[column]["filled"] for column in ("f1", "sq", "pq")] == [1, 1, 1]
    assert summary["lesion_rules"] == "brats2023-gli"
    assert summary["multiclass"]["mean_dice_with_background"]["cases"] == 2
    assert headline_of(summary)["lesion_dice"] == {"WT": 1, "TC": 1, "ET": 1}


def test_a_cohort_without_rules_has_no_lesion_wise_summary_but_its_instances():
    summary = summary_of(three_cases(), "brats")
    assert (summary["lesionwise"], summary["lesion_rules"]) == ({}, None)
    assert list(summary["instances"]) == ["WT", "TC", "ET"]
    assert headline_of(summary)["lesion_dice"] == {}
