"""Augmentation of a patch: flips and intensities, the patch itself unchanged."""

import numpy as np
import pytest

from pipeline.augmentation import on_the_fly
from pipeline.augmentation.on_the_fly import OnTheFly

PATCHES = [(16, 14, 2), (12, 10, 8, 3)]


def _ranges(flips=0.0, colours=0.0):
    return OnTheFly.model_validate(
        {
            "mirror": {"x": flips, "y": flips, "z": flips},
            "gamma": {"probability": colours, "exponent": (0.7, 0.8)},
            "contrast": {"probability": colours, "factors": (0.7, 0.8)},
            "brightness": {"probability": colours, "shift_sd": (0.2, 0.3)},
            "noise": {"probability": colours, "sd": (0.1, 0.2)},
            "own": (),
        }
    )


def augment_patch(seed, image, classes, ranges):
    rng, names = np.random.default_rng(seed), tuple(map(str, range(image.shape[-1])))
    return on_the_fly.augment_patch(rng, image, classes, ranges, {}, (1.0, 1.0, 1.0), names)


def _patch(shape):
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    image[:4] = 0
    classes = (image[..., 0] > 0.5).astype(np.uint8) * 3
    return image, classes


@pytest.mark.parametrize("shape", PATCHES)
def test_shape_and_type_are_kept_and_the_patch_itself_is_left_untouched(shape):
    image, classes = _patch(shape)
    image.flags.writeable = classes.flags.writeable = False
    new_image, new_classes = augment_patch(1, image, classes, _ranges(0.5, 1.0))
    again, _ = augment_patch(1, image, classes, _ranges(0.5, 1.0))
    assert again.tobytes() == new_image.tobytes()
    assert (new_image.shape, new_image.dtype) == (shape, np.float32)
    assert (new_classes.shape, new_classes.dtype) == (shape[:-1], np.uint8)
    assert not np.shares_memory(new_image, image)
    assert not np.shares_memory(new_classes, classes)


@pytest.mark.parametrize("shape", PATCHES)
def test_image_and_classes_are_flipped_alike(shape):
    image, classes = _patch(shape)
    seen = set()
    for seed in range(30):
        new_image, new_classes = augment_patch(seed, image, classes, _ranges(flips=0.5))
        np.testing.assert_array_equal(new_classes, (new_image[..., 0] > 0.5) * 3)
        seen.add(new_image.tobytes())
    assert len(seen) == 2 ** (len(shape) - 1)


@pytest.mark.parametrize("shape", PATCHES)
def test_probability_zero_is_the_identity(shape):
    image, classes = _patch(shape)
    new_image, new_classes = augment_patch(0, image, classes, _ranges())
    np.testing.assert_array_equal(new_image, image)
    np.testing.assert_array_equal(new_classes, classes)


@pytest.mark.parametrize("shape", PATCHES)
def test_intensities_change_in_every_modality_of_the_brain_and_background_stays_zero(shape):
    image, classes = _patch(shape)
    new_image, new_classes = augment_patch(0, image, classes, _ranges(colours=1.0))
    assert not new_image[:4].any()
    assert (new_image[4:] != image[4:]).all()
    np.testing.assert_array_equal(new_classes, classes)
    shift = (new_image - image)[4:].reshape(-1, shape[-1]).mean(axis=0)
    assert ((shift > 0.1) & (shift < 0.4)).all()
    assert len(set(shift)) == shape[-1]


def test_a_patch_outside_the_brain_stays_zero():
    image, classes = np.zeros((8, 8, 8, 4), np.float32), np.zeros((8, 8, 8), np.uint8)
    assert not augment_patch(0, image, classes, _ranges(colours=1.0))[0].any()
