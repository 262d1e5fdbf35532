"""Augmentation of patches: drawn for a batch, applied to each, outside the brain nothing."""

import numpy as np
import pytest

from pipeline.augmentation.on_the_fly import OnTheFly, across_patches, augment_patch, margin
from pipeline.augmentation.transform import brain_mask

BOXES = [(16, 14, 1), (12, 10, 8)]
SPACING_MM = (1.0, 1.0, 2.0)


def _ranges(flips=0.0, colours=0.0, moves=0.0, dropout=0.0, fade=0.0):
    return OnTheFly.model_validate(
        {
            "rotation": {"probability": moves, "degrees": (-20, 20)},
            "scaling": {"probability": moves, "factors": (0.8, 1.2)},
            "elastic": {"probability": moves, "largest_mm": (1.0, 2.0), "knots_mm": 8.0},
            "mirror": {"x": flips, "y": flips, "z": flips},
            "gamma": {"probability": colours, "exponent": (0.7, 0.8)},
            "contrast": {"probability": colours, "factors": (0.7, 0.8)},
            "brightness": {"probability": colours, "shift_sd": (0.2, 0.3)},
            "blur": {"probability": colours, "sigma_mm": (0.5, 1.0)},
            "low_resolution": {"probability": colours, "factors": (1.2, 1.5)},
            "noise": {"probability": colours, "sd": (0.1, 0.2)},
            "modality_dropout": {"probability": dropout},
            "fade": {"probability": fade, "shares": (0.8, 0.8)},
            "copy_paste": {"probability": 0.0},
            "own": (),
        }
    )


def _augmented(image, classes, ranges, seed=0, box=None):
    box = box or classes.shape
    drawn = ranges.draw(np.random.default_rng(seed), 1, box, image.shape[-1], SPACING_MM)
    row = {name: array[0] for name, array in drawn.items()}
    image, classes = augment_patch(image, classes, row, ranges, box, SPACING_MM)
    batch = image[None], brain_mask(image)[None], classes[None]
    image, classes = across_patches(np, *batch, drawn, one_type=False)
    return image[0], classes[0]


def _patch(box):
    image = np.random.default_rng(0).standard_normal((*box, 3)).astype(np.float32)
    image[:4] = 0
    return image, (image[..., 0] > 0.5).astype(np.uint8) * 3


@pytest.mark.parametrize("box", BOXES)
def test_shape_and_type_are_kept_and_the_patch_itself_is_left_untouched(box):
    image, classes = _patch(box)
    image.flags.writeable = classes.flags.writeable = False
    for ranges in (_ranges(0.5, 1.0), _ranges(0.5, 1.0, 1.0, 0.5)):
        new_image, new_classes = _augmented(image, classes, ranges)
        assert _augmented(image, classes, ranges)[0].tobytes() == new_image.tobytes()
        assert (new_image.shape, new_image.dtype) == (image.shape, np.float32)
        assert (new_classes.shape, new_classes.dtype) == (box, np.uint8)
        assert not np.shares_memory(new_image, image)
        assert not np.shares_memory(new_classes, classes)


@pytest.mark.parametrize("box", BOXES)
def test_image_and_classes_are_flipped_alike(box):
    image, classes = _patch(box)
    seen = set()
    for seed in range(40):
        new_image, new_classes = _augmented(image, classes, _ranges(flips=0.5), seed)
        np.testing.assert_array_equal(new_classes, (new_image[..., 0] > 0.5) * 3)
        seen.add(new_image.tobytes())
    assert len(seen) == 2 ** sum(side > 1 for side in box)


@pytest.mark.parametrize("box", BOXES)
def test_probability_zero_is_the_identity_and_draws_nothing(box):
    image, classes = _patch(box)
    assert not _ranges().draw(np.random.default_rng(0), 2, box, 3, SPACING_MM)
    new_image, new_classes = _augmented(image, classes, _ranges())
    np.testing.assert_array_equal(new_image, image)
    np.testing.assert_array_equal(new_classes, classes)


@pytest.mark.parametrize("box", BOXES)
def test_intensities_change_in_every_modality_of_the_brain_and_background_stays_zero(box):
    image, classes = _patch(box)
    new_image, new_classes = _augmented(image, classes, _ranges(colours=1.0))
    assert not new_image[:4].any()
    assert (new_image[4:] != image[4:]).all()
    np.testing.assert_array_equal(new_classes, classes)
    shift = (new_image - image)[4:].reshape(-1, 3).mean(axis=0)
    assert ((shift > 0.1) & (shift < 0.4)).all()
    assert len(set(shift)) == 3


def test_another_probability_leaves_the_other_draws_as_they_were():
    one, other = (
        ranges.draw(np.random.default_rng(0), 4, (12, 10, 8), 3, SPACING_MM)
        for ranges in (_ranges(0.5, 0.5, 0.5, 0.5), _ranges(0.5, 0.5, 1.0, 0.0))
    )
    for name in ("flip", "exponent", "sd", "seed"):
        np.testing.assert_array_equal(one[name], other[name])


def test_a_patch_outside_the_brain_stays_zero():
    image, classes = np.zeros((8, 8, 8, 4), np.float32), np.zeros((8, 8, 8), np.uint8)
    assert not _augmented(image, classes, _ranges(1.0, 1.0))[0].any()


@pytest.mark.parametrize("box", BOXES)
def test_a_moved_patch_has_no_empty_corner_because_its_margin_is_read_too(box):
    ranges = _ranges(moves=1.0)
    for seed in range(20):
        drawn = ranges.draw(np.random.default_rng(seed), 1, box, 1, SPACING_MM)
        row = {name: array[0] for name, array in drawn.items()}
        sides = tuple(np.array(box) + 2 * margin(row, box))
        assert box[2] > 1 or sides[2] == 1
        image, classes = np.ones((*sides, 1), np.float32), np.full(sides, 2, np.uint8)
        moved, moved_classes = augment_patch(image, classes, row, ranges, box, SPACING_MM)
        np.testing.assert_allclose(moved, np.ones((*box, 1)), atol=1e-6)
        assert (moved_classes == 2).all()


@pytest.mark.parametrize("box", BOXES)
def test_a_faded_tumour_keeps_a_fifth_of_its_contrast_and_the_rest_its_intensities(box):
    image = np.random.default_rng(1).normal(1, 0.1, (*box, 2)).astype(np.float32)
    classes = np.zeros(box, np.uint8)
    classes[4:10, 4:10] = 2
    image[4:10, 4:10] += np.float32([3, -2])
    found, same = _augmented(image, classes, _ranges(fade=1.0))
    np.testing.assert_array_equal(same, classes)
    far = np.ones(box, bool)
    far[3:11, 3:11] = False
    np.testing.assert_array_equal(found[far], image[far])
    inner = np.s_[5:9, 5:9]
    np.testing.assert_allclose(found[inner].mean(axis=(0, 1, 2)), [1.6, 0.6], atol=0.1)
    without = np.zeros(box, np.uint8)
    np.testing.assert_array_equal(_augmented(image, without, _ranges(fade=1.0))[0], image)


def test_a_missing_modality_is_zero_all_over_and_one_is_always_there():
    image, classes = _patch((12, 10, 8))
    always, sometimes = _ranges(dropout=1.0), _ranges(dropout=0.3)
    left = [_augmented(image, classes, always, seed)[0].any(axis=(0, 1, 2)) for seed in range(20)]
    assert [row.sum() for row in left] == [1] * 20
    kept = sometimes.draw(np.random.default_rng(0), 2000, (4, 4, 4), 3, SPACING_MM)["kept"]
    assert kept.any(axis=1).all()
    assert 1 - kept.mean() == pytest.approx(0.3 - 0.3**3 / 3, abs=0.02)


def _four_patches():
    """Brains of one value each but for a border; the tumour of the first is of class 1, that of the
    second of class 3, that of the third at the border, and the last has none.
    """
    image = np.zeros((4, 9, 9, 1, 2), np.float32)
    image[:, 1:-1, 1:-1] = np.arange(1, 5)[:, None, None, None, None]
    classes = np.zeros(image.shape[:-1], np.uint8)
    classes[0, 2:4, 2:4], classes[1, 4:6, 4:6], classes[2, 1, 7] = 1, 3, 1
    return image, classes


@pytest.mark.parametrize("one_type", [False, True])
def test_a_patch_is_given_the_next_tumour_with_one_voxel_around_inside_both_brains(one_type):
    image, classes = _four_patches()
    image[2, 5:] = 0  # outside the brain of the third patch, where the second has its tumour
    drawn = {"paste": np.array([True, True, False, True])}
    brain = brain_mask(image)
    found, labels = across_patches(np, image, brain, classes, drawn, one_type)
    alike = lambda number: np.array_equal(found[number], image[number])  # noqa: E731
    assert alike(0) == one_type  # class 3 beside class 1
    if not one_type:
        assert (found[0, 3:7, 3:7] == 2).all()
        assert (found[0] == 2).sum() == 2 * 4 * 4
        assert np.array_equal(np.unique(labels[0], return_counts=True), [[0, 1, 3], [74, 3, 4]])
        assert (found[1] == 3).sum() == 2 * 2 * 2  # the corner of 3 x 3 inside the brains
        assert labels[1, 1, 7] == 1
    assert alike(2)
    assert (found[3] == 1).sum() == 2 * 4 * 4  # the last patch is given that of the first
    assert (labels[3] == classes[0]).all()


def test_a_pasted_tumour_lacks_the_modalities_that_the_patch_lacks():
    image, classes = _four_patches()
    kept = np.array([[1, 0], [0, 1], [1, 1], [1, 1]], bool)
    drawn = {"paste": np.ones(4, bool), "kept": kept}
    found, _ = across_patches(np, image, brain_mask(image), classes, drawn, one_type=False)
    assert set(found[0, ..., 0].ravel()) == {0, 1, 2}
    assert not found[0, ..., 1].any()
    assert set(found[1, ..., 1].ravel()) == {0, 2, 3}
