from itertools import product
from math import nan

import numpy as np
import pytest

from pipeline.core.confusion import confusion, dice_of_classes
from pipeline.metrics.overlap import Overlap, class_overlap, looks_mirrored, overlap

from .masks import EMPTY, MASKS

SHAPE = (6, 5, 4)


def mask_of(*voxels):
    mask = np.zeros(SHAPE, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def counted_one_by_one(reference, prediction):
    pairs = list(zip(reference.ravel().tolist(), prediction.ravel().tolist(), strict=True))
    kinds = (True, True), (False, True), (True, False), (False, False)
    return Overlap(*map(pairs.count, kinds))


def test_three_voxels_against_two_are_read_as_counted_by_hand():
    reference = mask_of((0, 0, 0), (0, 0, 1), (0, 0, 2))
    prediction = mask_of((0, 0, 2), (0, 0, 3))
    found = overlap(reference, prediction)
    assert found == Overlap(1, 1, 2, 116)
    expected = {
        "dice": 2 / 5,
        "iou": 1 / 4,
        "precision": 1 / 2,
        "sensitivity": 1 / 3,
        "specificity": 116 / 117,
    }
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("pair", list(product((*MASKS, "empty"), repeat=2)), ids="-".join)
def test_counts_equal_a_count_voxel_by_voxel(pair):
    reference, prediction = (MASKS.get(name, EMPTY) for name in pair)
    assert overlap(reference, prediction) == counted_one_by_one(reference, prediction)


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        (mask_of(), mask_of(), (nan, nan, nan, nan, 1)),
        (mask_of((1, 1, 1)), mask_of(), (0, 0, nan, 0, 1)),
        (mask_of(), mask_of((1, 1, 1)), (0, 0, 0, nan, 119 / 120)),
        (np.ones(SHAPE, bool), mask_of((0, 0, 0)), (2 / 121, 1 / 120, 1, 1 / 120, nan)),
    ],
    ids=["both empty", "only a reference", "only a prediction", "a full reference"],
)
def test_what_an_empty_mask_leaves_undefined_is_nan(reference, prediction, expected):
    found = overlap(reference, prediction)
    np.testing.assert_equal(
        (found.dice, found.iou, found.precision, found.sensitivity, found.specificity), expected
    )


def test_masks_on_different_grids_are_rejected():
    with pytest.raises(ValueError, match=r"\(6, 5, 4\) and \(6, 5, 3\)"):
        overlap(mask_of(), mask_of()[..., :3])


@pytest.mark.parametrize("members", [{1}, {3}, {1, 3}, {1, 2, 3}, {0}])
def test_the_overlap_of_joined_classes_is_that_of_their_masks(members):
    rng = np.random.default_rng(7)
    reference, prediction = rng.integers(0, 4, (2, *SHAPE)).astype(np.uint8)
    expected = overlap(*(np.isin(classes, list(members)) for classes in (reference, prediction)))
    counts = confusion(reference, prediction, 4)
    assert class_overlap(counts, members) == expected
    assert dice_of_classes(counts, list(members)) == expected.dice


@pytest.mark.parametrize(
    ("axes", "said"), [((0, 1), "along X and Y: Dice 1.00 instead of 0.00"), ((), "")]
)
def test_a_prediction_with_reversed_axes_is_recognised(axes, said):
    reference = mask_of((0, 0, 0), (0, 0, 1), (1, 0, 0))
    assert looks_mirrored(reference, np.flip(reference, axes)) == said
    assert looks_mirrored(mask_of(), mask_of()) == ""
    assert looks_mirrored(reference, mask_of((3, 3, 3))) == "", "no flip fits"
