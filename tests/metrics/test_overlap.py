from itertools import combinations, product
from math import isnan

import numpy as np
import pytest

from pipeline.core.confusion import confusion, dice_of_classes
from pipeline.metrics.overlap import Overlap, class_overlap, looks_mirrored, overlap

SHAPE = (6, 5, 4)


def mask_of(*voxels):
    mask = np.zeros(SHAPE, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def counted_one_by_one(reference, prediction):
    pairs = [
        (bool(reference[voxel]), bool(prediction[voxel])) for voxel in np.ndindex(reference.shape)
    ]
    return Overlap(
        *(
            pairs.count(pair)
            for pair in ((True, True), (False, True), (True, False), (False, False))
        )
    )


def awkward_masks():
    rng = np.random.default_rng(3)
    full, corner = np.ones(SHAPE, bool), mask_of((0, 0, 0))
    shell = full.copy()
    shell[1:-1, 1:-1, 1:-1] = False
    return {
        "empty": mask_of(),
        "full": full,
        "corner": corner,
        "shell": shell,
        "apart": mask_of((0, 0, 0), (5, 4, 3)),
        "half": rng.random(SHAPE) < 0.5,
        "sparse": rng.random(SHAPE) < 0.05,
    }


def test_three_voxels_against_two_are_read_as_counted_by_hand():
    reference = mask_of((0, 0, 0), (0, 0, 1), (0, 0, 2))
    prediction = mask_of((0, 0, 2), (0, 0, 3))
    found = overlap(reference, prediction)
    assert found == Overlap(
        true_positives=1, false_positives=1, false_negatives=2, true_negatives=116
    )
    expected = {
        "dice": 2 / 5,
        "iou": 1 / 4,
        "precision": 1 / 2,
        "sensitivity": 1 / 3,
        "specificity": 116 / 117,
    }
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("pair", list(product(awkward_masks(), repeat=2)), ids="-".join)
def test_counts_equal_a_count_voxel_by_voxel(pair):
    reference, prediction = (awkward_masks()[name] for name in pair)
    assert overlap(reference, prediction) == counted_one_by_one(reference, prediction)


@pytest.mark.parametrize("pair", list(combinations(awkward_masks(), 2)), ids="-".join)
def test_swapping_the_masks_keeps_dice_and_iou_and_swaps_precision_with_sensitivity(pair):
    one, other = (awkward_masks()[name] for name in pair)
    there, back = overlap(one, other), overlap(other, one)
    np.testing.assert_equal(
        (there.dice, there.iou, there.precision, there.sensitivity),
        (back.dice, back.iou, back.sensitivity, back.precision),
    )


def test_two_empty_masks_leave_all_but_specificity_undefined():
    none = overlap(mask_of(), mask_of())
    assert all(isnan(value) for value in (none.dice, none.iou, none.precision, none.sensitivity))
    assert none.specificity == 1


def test_one_empty_mask_gives_a_dice_of_zero_and_one_undefined_reading():
    only_reference = overlap(mask_of((1, 1, 1)), mask_of())
    only_prediction = overlap(mask_of(), mask_of((1, 1, 1)))
    assert only_reference.dice == only_prediction.dice == 0
    assert isnan(only_reference.precision)
    assert only_reference.sensitivity == 0
    assert isnan(only_prediction.sensitivity)
    assert only_prediction.precision == 0


def test_specificity_is_undefined_where_the_reference_fills_the_image():
    assert isnan(overlap(np.ones(SHAPE, bool), mask_of((0, 0, 0))).specificity)


def test_masks_on_different_grids_are_rejected():
    with pytest.raises(ValueError, match=r"\(6, 5, 4\) and \(6, 5, 3\)"):
        overlap(mask_of(), mask_of()[..., :3])


@pytest.mark.parametrize("members", [{1}, {3}, {1, 3}, {1, 2, 3}, {0}])
def test_class_overlap_classes_equals_that_of_their_masks(members):
    rng = np.random.default_rng(7)
    reference, prediction = rng.integers(0, 4, (2, *SHAPE)).astype(np.uint8)
    masks = (np.isin(classes, list(members)) for classes in (reference, prediction))
    assert class_overlap(confusion(reference, prediction, 4), members) == overlap(*masks)


def test_dice_of_a_set_of_classes_joins_them():
    counts = np.array([[50, 1, 0], [2, 10, 4], [0, 3, 20]])
    assert class_overlap(counts, [2]).dice == pytest.approx(2 * 20 / (23 + 24))
    assert class_overlap(counts, [1, 2]).dice == pytest.approx(2 * 37 / (39 + 38))
    assert [dice_of_classes(counts, some) for some in ([2], [1, 2])] == [
        class_overlap(counts, some).dice for some in ([2], [1, 2])
    ]


@pytest.mark.parametrize(
    ("axes", "said"), [((0, 1), "along X and Y: Dice 1.00 instead of 0.00"), ((), "")]
)
def test_a_prediction_with_reversed_axes_is_recognised(axes, said):
    reference = mask_of((0, 0, 0), (0, 0, 1), (1, 0, 0))
    assert looks_mirrored(reference, np.flip(reference, axes)) == said
    assert looks_mirrored(mask_of(), mask_of()) == ""
