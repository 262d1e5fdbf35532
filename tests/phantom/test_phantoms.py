from dataclasses import replace

import numpy as np
import pytest

from pipeline.cohorts.phantom import load_anatomy
from pipeline.core.rng import generator
from pipeline.phantom.growth import Tumour
from pipeline.phantom.phantoms import phantom

TUMOUR = Tumour(enhancing=True, cores_cm3=(20.0,), edema_cm3=40.0, rim_mm=4.0)


@pytest.fixture(scope="module")
def template():
    return load_anatomy()


@pytest.fixture(scope="module")
def made(template):
    """Two cases of one seed."""
    return [phantom(generator(1, name), template, TUMOUR) for name in ("first", "second")]


def best_dice(image, region):
    """Dice of the best of all thresholds "at least t" inside the brain, t chosen with the truth at
    hand.
    """
    inside = np.bincount(image[region], minlength=32768)[::-1].cumsum()
    above = np.bincount(image[image > 0], minlength=32768)[::-1].cumsum()
    return float((2 * inside / (above + region.sum())).max())


def test_the_same_generator_gives_the_same_bytes(template, made):
    again = phantom(generator(1, "first"), template, TUMOUR)
    assert again.classes.tobytes() == made[0].classes.tobytes()
    for modality, image in made[0].images.items():
        assert again.images[modality].tobytes() == image.tobytes()


def test_cases_differ_in_anatomy_and_in_tumour(made):
    brains = [case.images["t1n"] > 0 for case in made]
    assert (brains[0] ^ brains[1]).sum() > 50_000
    assert ((made[0].classes > 0) & (made[1].classes > 0)).sum() < 30_000


def test_a_case_has_the_form_of_brats(made):
    for case in made:
        assert list(case.images) == ["t1n", "t1c", "t2w", "t2f"]
        assert {image.dtype for image in case.images.values()} == {np.dtype(np.int16)}
        assert {array.shape for array in (*case.images.values(), case.classes)} == {(240, 240, 155)}
        assert case.classes.dtype == np.uint8
        assert list(np.unique(case.classes)) == [0, 1, 2, 3]


def test_all_modalities_show_one_brain_of_human_size_inside_the_grid(made):
    for case in made:
        brain = case.images["t1n"] > 0
        for image in case.images.values():
            np.testing.assert_array_equal(image > 0, brain)
            assert image.min() == 0
        assert 1.0e6 < brain.sum() < 1.8e6
        assert not brain[:30].any()
        assert not brain[-30:].any()
        assert not brain[:, :15].any()
        assert not brain[:, -15:].any()
        assert not brain[:, :, -1].any()


def test_the_tumour_lies_in_the_brain_and_fills_its_volume(made):
    for case in made:
        assert (case.images["t1n"][case.classes > 0] > 0).all()
        counts = np.bincount(case.classes.ravel())
        assert counts[1] + counts[3] == pytest.approx(20_000, abs=20)
        assert counts[2] == pytest.approx(40_000, abs=20)
        assert 0.2 < counts[3] / (counts[1] + counts[3]) < 0.95


def test_a_case_without_enhancement_has_none(template):
    case = phantom(generator(1, "first"), template, replace(TUMOUR, enhancing=False))
    assert list(np.unique(case.classes)) == [0, 1, 2]


def test_no_threshold_finds_the_tumour(made):
    whole = np.mean([best_dice(case.images["t2f"], case.classes > 0) for case in made])
    fluid = np.mean([best_dice(case.images["t2w"], case.classes > 0) for case in made])
    enhancing = np.mean([best_dice(case.images["t1c"], case.classes == 3) for case in made])
    assert whole < 0.7
    assert fluid < 0.6
    assert enhancing < 0.6


def test_the_tumour_shows_in_every_modality(made):
    for case in made:
        around = {
            name: np.median(image[(case.classes == 0) & (image > 0)])
            for name, image in case.images.items()
        }
        inside = {
            name: [np.median(image[case.classes == k]) for k in (1, 2, 3)]
            for name, image in case.images.items()
        }
        assert inside["t1n"][0] < around["t1n"]
        assert inside["t1c"][2] > 1.1 * around["t1c"]
        assert inside["t1c"][2] > 1.5 * inside["t1c"][0]
        assert inside["t2w"][1] > 1.2 * around["t2w"]
        assert inside["t2f"][1] > 1.05 * around["t2f"]
