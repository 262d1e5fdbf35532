from itertools import product
from math import isnan

import numpy as np
import pytest
from scipy import ndimage

from pipeline.core.boxes import bounding_box
from pipeline.metrics.components import labelled
from pipeline.metrics.instances import instance_rows, match_components
from pipeline.metrics.registry import fills

SHAPE = (14, 12, 9)
WHOLE = tuple(slice(0, length) for length in SHAPE)


def match_instances(*masks):
    boxes = map(bounding_box, masks)
    return match_components(
        *(labelled(mask[box], box) for mask, box in zip(masks, boxes, strict=True))
    )


def blocks(*corners, size=2):
    mask = np.zeros(SHAPE, bool)
    for corner in corners:
        mask[tuple(slice(start, start + size) for start in corner)] = True
    return mask


def awkward_masks():
    rng = np.random.default_rng(5)
    return {
        "empty": blocks(),
        "full": np.ones(SHAPE, bool),
        "one voxel": blocks((4, 5, 6), size=1),
        "at the border": blocks((0, 0, 0), (12, 10, 7)),
        "corner to corner": blocks((0, 0, 0), (1, 1, 1), (3, 1, 1), size=1),
        "moved": blocks((1, 1, 2), (7, 1, 1), (9, 8, 5)),
        "specks": rng.random(SHAPE) < 0.02,
        "noise": rng.random(SHAPE) < 0.2,
    }


def components_one_by_one(mask):
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return [labels == number for number in range(1, count + 1)]


def matched_one_by_one(reference, prediction):
    """IoU of every pair above one half, then what is left on either side."""
    ones, others = components_one_by_one(reference), components_one_by_one(prediction)
    ious = [(one & other).sum() / (one | other).sum() for one, other in product(ones, others)]
    ious = sorted(iou for iou in ious if iou > 0.5)
    return ious, len(others) - len(ious), len(ones) - len(ious)


def test_two_of_three_found_with_one_false():
    reference = blocks((1, 1, 1), (6, 1, 1), (1, 7, 5))
    prediction = blocks((1, 1, 1), (10, 8, 5))
    prediction[6:8, 1:3, 1:4] = True  # 12 voxels around 8
    found = match_instances(reference, prediction)
    assert found.ious == (1.0, pytest.approx(8 / 12))
    assert (found.true_positives, found.false_positives, found.false_negatives) == (2, 1, 1)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.sq == pytest.approx(5 / 6)
    assert found.pq == pytest.approx(2 / 3 * 5 / 6)


def test_an_iou_of_one_half_is_no_match():
    found = match_instances(blocks((1, 1, 1)), blocks((1, 1, 1), (1, 1, 3)))
    assert (found.true_positives, found.false_positives, found.false_negatives) == (0, 1, 1)
    assert (found.f1, found.sq, found.pq) == (0, 0, 0)


def test_a_prediction_over_two_lesions_matches_the_one_that_is_most_of_it():
    reference = blocks((1, 1, 1), size=4)
    reference[6:8, 1:3, 1:3] = True
    prediction = reference.copy()
    prediction[5, 1, 1] = True  # bridges both
    found = match_instances(reference, prediction)
    assert found.ious == (pytest.approx(64 / 73),)
    assert (found.false_positives, found.false_negatives) == (0, 1)


def test_what_is_empty_leaves_readings_undefined():
    neither = match_instances(blocks(), blocks())
    assert all(isnan(value) for value in (neither.f1, neither.sq, neither.pq))
    for pair in ((blocks(), blocks((1, 1, 1))), (blocks((1, 1, 1)), blocks())):
        found = match_instances(*pair)
        assert (found.f1, found.sq, found.pq) == (0, 0, 0)


@pytest.mark.parametrize("pair", list(product(awkward_masks(), repeat=2)), ids="-".join)
def test_matches_equal_a_look_at_every_pair(pair):
    reference, prediction = (awkward_masks()[name] for name in pair)
    found = match_instances(reference, prediction)
    ious, false_positives, false_negatives = matched_one_by_one(reference, prediction)
    assert sorted(found.ious) == pytest.approx(ious)
    assert (found.false_positives, found.false_negatives) == (false_positives, false_negatives)


def test_numbers_may_be_missing_and_in_any_order():
    one, other = (
        labelled(mask, WHOLE) for mask in (blocks((1, 1, 1), (6, 1, 1)), blocks((6, 1, 1)))
    )
    renamed = match_components(
        one.renumbered(np.array([0, 9, 4])), other.renumbered(np.array([0, 7]))
    )
    assert renamed == match_components(one, other)


def test_rows_of_a_case_are_those_of_its_masks(schema):
    reference, prediction = (
        np.random.default_rng(seed).integers(0, 4, SHAPE).astype(np.uint8) for seed in (1, 2)
    )
    reference[3:9], prediction[4:8] = 0, 0
    rows = instance_rows(reference, prediction, schema)
    for row, region in zip(rows, schema.regions, strict=True):
        found = match_instances(
            *(np.isin(classes, schema.classes_of(region)) for classes in (reference, prediction))
        )
        assert row == {"name": region, "f1": found.f1, "sq": found.sq, "pq": found.pq, "filled": ""}


def test_instances_of_an_empty_region_count_as_the_cohort_says(schema):
    blank = np.zeros(SHAPE, np.uint8)
    filled, undefined = (
        instance_rows(blank, blank, schema.model_copy(update={"empty_rule": rule}))[0]
        for rule in ("brats", "nan")
    )
    assert filled == {"name": "WT", "f1": 1, "sq": 1, "pq": 1, "filled": "both_empty"}
    assert all(isnan(undefined[name]) for name in fills("instances", "both_empty"))
    assert undefined["filled"] == ""


def test_class_maps_on_two_grids_are_rejected(schema):
    with pytest.raises(ValueError, match="one grid"):
        instance_rows(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), schema)
