import numpy as np
import pytest

from pipeline.core.boxes import bounding_box


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("voxels", "margin_voxels", "box"),
    [
        ([(1, 5, 2), (4, 3, 2)], 0, (slice(1, 5), slice(3, 6), slice(2, 3))),
        ([(0, 3, 7)], 2, (slice(0, 3), slice(1, 6), slice(5, 8))),
    ],
    ids=["scattered", "clipped at the border"],
)
def test_a_box_is_tight_around_the_voxels_of_masks_and_class_maps(
    voxels, margin_voxels, box, order
):
    classes = np.zeros((6, 7, 8), np.uint8, order=order)
    classes[tuple(np.transpose(voxels))] = 2
    assert bounding_box(classes, margin_voxels) == bounding_box(classes > 0, margin_voxels) == box


@pytest.mark.parametrize("margin_voxels", [0, 3])
def test_box_of_an_empty_mask_is_empty(margin_voxels):
    assert np.zeros((4, 5, 6))[bounding_box(np.zeros((4, 5, 6), bool), margin_voxels)].size == 0
