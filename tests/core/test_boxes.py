import numpy as np
import pytest

from pipeline.core.boxes import bounding_box


def test_box_is_tight_around_scattered_voxels():
    mask = np.zeros((6, 7, 8), bool)
    mask[1, 5, 2] = mask[4, 3, 2] = True
    assert bounding_box(mask) == (slice(1, 5), slice(3, 6), slice(2, 3))


def test_margin_is_clipped_at_the_image_border():
    mask = np.zeros((6, 7, 8), bool)
    mask[0, 3, 7] = True
    assert bounding_box(mask, margin_voxels=2) == (slice(0, 3), slice(1, 6), slice(5, 8))


@pytest.mark.parametrize("margin_voxels", [0, 3])
def test_box_of_an_empty_mask_is_empty(margin_voxels):
    assert np.zeros((4, 5, 6))[bounding_box(np.zeros((4, 5, 6), bool), margin_voxels)].size == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_class_maps_of_either_memory_order_are_boxed_like_masks(order):
    classes = np.zeros((5, 5, 5), np.uint8, order=order)
    classes[2:4, 1, 3:] = 2
    expected = (slice(2, 4), slice(1, 2), slice(3, 5))
    assert bounding_box(classes) == bounding_box(classes > 0) == expected
