import numpy as np
import pytest

from pipeline.phantom.phantoms import Phantom
from tests.phantom import made

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases() -> tuple[Phantom, Phantom]:
    return made.phantoms()


def best_dice(image, region):
    """Dice of the best of all thresholds "at least t" inside the brain, t chosen with the truth at
    hand.
    """
    inside = np.bincount(image[region], minlength=32768)[::-1].cumsum()
    above = np.bincount(image[image > 0], minlength=32768)[::-1].cumsum()
    return float((2 * inside / (above + region.sum())).max())


def test_the_same_generator_gives_the_same_bytes(cases):
    again = made.make("first", enhancing=True)
    assert again.classes.tobytes() == cases[0].classes.tobytes()
    for modality, image in cases[0].images.items():
        assert again.images[modality].tobytes() == image.tobytes()


def test_cases_differ_in_anatomy_and_in_tumour(cases):
    first, second = cases
    assert ((first.images["t1n"] > 0) ^ (second.images["t1n"] > 0)).sum() > 50_000
    assert ((first.classes > 0) & (second.classes > 0)).sum() < 30_000


def test_a_case_has_the_form_of_brats(cases):
    for case in cases:
        assert list(case.images) == ["t1n", "t1c", "t2w", "t2f"]
        assert {image.dtype for image in case.images.values()} == {np.dtype(np.int16)}
        assert {array.shape for array in (*case.images.values(), case.classes)} == {(240, 240, 155)}
        assert case.classes.dtype == np.uint8


def test_all_modalities_show_one_brain_of_human_size_inside_the_grid(cases):
    for case in cases:
        brain = case.images["t1n"] > 0
        for image in case.images.values():
            np.testing.assert_array_equal(image > 0, brain)
            assert image.min() == 0
        assert 1.0e6 < brain.sum() < 1.8e6
        inside = np.zeros_like(brain)
        inside[30:-30, 15:-15, :-1] = True
        assert not brain[~inside].any()


def test_the_tumour_lies_in_the_brain_and_fills_its_volume(cases):
    for case, rim in zip(cases, [(0.2, 0.95), (0, 0)], strict=True):
        assert (case.images["t1n"][case.classes > 0] > 0).all()
        _, core, edema, enhancing = np.bincount(case.classes.ravel(), minlength=4)
        assert core + enhancing == pytest.approx(20_000, abs=20)
        assert edema == pytest.approx(40_000, abs=20)
        assert rim[0] <= enhancing / (core + enhancing) <= rim[1]


def test_no_threshold_finds_the_tumour(cases):
    whole, fluid = (
        np.mean([best_dice(case.images[name], case.classes > 0) for case in cases])
        for name in ("t2f", "t2w")
    )
    assert whole < 0.7
    assert fluid < 0.6
    assert best_dice(cases[0].images["t1c"], cases[0].classes == 3) < 0.6


def test_the_tumour_shows_in_every_modality(cases):
    for case in cases:
        around = {
            name: np.median(image[(case.classes == 0) & (image > 0)])
            for name, image in case.images.items()
        }
        inside = {
            name: [np.median(image[case.classes == k]) for k in np.unique(case.classes)[1:]]
            for name, image in case.images.items()
        }
        assert inside["t1n"][0] < around["t1n"]
        assert inside["t2w"][1] > 1.1 * around["t2w"]
        assert inside["t2f"][1] > 1.05 * around["t2f"]
        if len(inside["t1c"]) == 3:
            assert inside["t1c"][2] > 1.1 * around["t1c"]
            assert inside["t1c"][2] > 1.5 * inside["t1c"][0]
