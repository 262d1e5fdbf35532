"""Modalities that were exchanged are noticed; those that were not are left in peace."""

import itertools

import numpy as np
import pytest

from pipeline.cohorts.brats import read_folder
from pipeline.formats import nifti
from pipeline.verification.modality_swaps import doubts, relations, suspicions
from tests.conftest import SHARED
from tests.phantom.made import phantoms

MODALITIES = ("t1n", "t1c", "t2w", "t2f")
SPACING_MM = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Two phantoms (X, Y, Z, 4), the second without an enhancing tumour."""
    return [np.stack(list(case.images.values()), axis=-1) for case in phantoms()]


@pytest.fixture(scope="module")
def measured(images) -> np.ndarray:
    return np.stack([relations(image, SPACING_MM) for image in images])


def exchanged(measured: np.ndarray, order) -> np.ndarray:
    """Relations of a case whose file of modality k holds modality order[k]."""
    return measured[..., order, :, :][..., order, :]


OTHER_ORDERS = [order for order in itertools.permutations(range(4)) if order != (0, 1, 2, 3)]


@pytest.mark.slow  # makes the phantoms
def test_every_exchange_is_noticed_and_named_with_and_without_an_enhancing_tumour(measured):
    assert suspicions(measured, MODALITIES, ["a", "b"]) == []
    for own, order in itertools.product(measured, OTHER_ORDERS):
        (warning,) = suspicions(exchanged(own, order)[None], MODALITIES, ["case-7"])
        assert warning.startswith("case-7: ")
        for place, source in enumerate(order):
            one, other = MODALITIES[place], MODALITIES[source]
            said = {f"{one} looks like {other}", f"{one} and {other} seem exchanged"}
            said.add(f"{other} and {one} seem exchanged")
            assert any(words in warning for words in said) == (place != source)


@pytest.mark.slow
def test_relations_of_exchanged_files_are_those_of_the_right_ones_exchanged(images, measured):
    order = (2, 0, 3, 1)
    np.testing.assert_allclose(
        relations(images[0][..., order], SPACING_MM), exchanged(measured[0], order), atol=1e-5
    )


@pytest.mark.slow
def test_intensity_scale_and_shading_hardly_matter(images, measured):
    ramp = np.linspace(0.7, 1.3, images[0].shape[1], dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(
        relations(images[0] * ramp * (0.01, 3, 40, 1), SPACING_MM), measured[0], atol=0.05
    )


@pytest.mark.slow
def test_an_image_normalised_to_both_sides_of_0_is_judged_the_same(images):
    brain = images[0].any(axis=-1)
    image = images[0].astype(np.float32)
    image[brain] = (image[brain] - image[brain].mean(axis=0)) / image[brain].std(axis=0)
    own = relations(image, SPACING_MM)
    assert suspicions(own[None], MODALITIES, ["case"]) == []
    assert suspicions(exchanged(own, (1, 0, 2, 3))[None], MODALITIES, ["case"])


@pytest.mark.slow
def test_one_of_a_cohort_is_found_among_its_fellows_and_an_error_in_all_is_reported_once(measured):
    cohort = measured[[0, 1] * 4].copy()
    cohort[5] = exchanged(cohort[5], (0, 1, 3, 2))
    (warning,) = suspicions(cohort, MODALITIES, list("abcdefgh"))
    assert warning.startswith("f: ")
    assert "t2w and t2f seem exchanged (distance" in warning
    cohort = exchanged(measured[[0, 1] * 4], (1, 0, 2, 3))
    (warning,) = suspicions(cohort, MODALITIES, list("abcdefgh"))
    assert warning.startswith("the whole cohort: t1n and t1c seem exchanged (distance")


@pytest.mark.slow
def test_the_same_acquisition_under_two_names_is_reported(images):
    image = images[0][..., [0, 0, 2, 3]] + np.array([0, 1, 0, 0])
    own = relations(image, SPACING_MM)
    warnings = suspicions(own[None], MODALITIES, ["case"])
    assert any("t1n and t1c look like one acquisition" in warning for warning in warnings)
    assert [one.about("case") for one in doubts(own, MODALITIES)] == warnings


@pytest.mark.slow
@pytest.mark.parametrize("names", ["t1n t1c", "t1n t2w", "t1c t2w", "t2w t2f", "t1n t1c t2f"])
def test_fewer_modalities_are_judged_too(measured, names):
    names = names.split()
    for own in exchanged(measured, [MODALITIES.index(name) for name in names]):
        assert suspicions(own[None], names, ["case"]) == []
        assert suspicions(exchanged(own, [1, 0, *range(2, len(names))])[None], names, ["case"])


@pytest.mark.slow
def test_unknown_modalities_are_passed_over(measured):
    own = exchanged(measured[0], (1, 0, 2, 3))
    assert suspicions(own[None], ("t1n", "t1c", "adc", "swi"), ["case"])
    assert suspicions(own[None], ("t1n", "cbv", "adc", "swi"), ["case"]) == []


@pytest.mark.parametrize("shape", [(200, 200, 1, 4), (40, 40, 40, 1), (5, 5, 5, 4), (2, 2, 2, 4)])
def test_too_little_to_tell_is_nan_and_raises_no_suspicion(shape):
    own = relations(np.random.default_rng(0).integers(1, 100, shape).astype(np.float32), SPACING_MM)
    assert own.shape == (shape[-1], shape[-1], 2)
    assert np.isnan(own).all()
    assert suspicions(own[None], MODALITIES[: shape[-1]], ["case"]) == []
    assert np.isnan(relations(np.ones((60, 60, 60, 2), np.float32), SPACING_MM)).all()


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("pattern", ["brats2021/*", "brats2018/*", "brats2023/*", "unlabelled/*"])
def test_real_cases_are_in_order_and_their_exchanges_are_noticed(pattern):
    folders = sorted(SHARED.glob(pattern))
    if not folders:
        pytest.skip("no ../shared/data")
    for folder in folders:
        found = read_folder(folder)[1]
        image = np.stack([nifti.read(found.images[name]).voxels for name in MODALITIES], axis=-1)
        own = relations(image, SPACING_MM)
        assert suspicions(own[None], MODALITIES, [folder.name]) == []
        for order in OTHER_ORDERS:
            assert suspicions(exchanged(own, order)[None], MODALITIES, [folder.name])
