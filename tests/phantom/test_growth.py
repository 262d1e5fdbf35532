from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipeline.phantom.growth import EDEMA, ENHANCING, NECROTIC, Tumour, draw_seed, draw_tumour, grow
from tests.phantom.made import BALL

SEED = np.array([66, 48, 48])
SMALL = Tumour(enhancing=True, cores_cm3=(6.0,), edema_cm3=20.0, rim_mm=3.0)


def grown(tumour):
    return grow(np.random.default_rng(0), BALL, tumour, SEED, BALL.white > 0.8)


@pytest.fixture(scope="module")
def lesion():
    return grown(SMALL)


def test_one_tumour_in_four_is_multifocal():
    tumours = [draw_tumour(np.random.default_rng(seed), enhancing=True) for seed in range(1000)]
    assert abs(np.mean([len(tumour.cores_cm3) > 1 for tumour in tumours]) - 0.25) < 0.04
    whole = [sum(tumour.cores_cm3) + tumour.edema_cm3 for tumour in tumours]
    assert min(whole) > 20
    assert max(whole) < 250


def test_the_drawn_volumes_are_filled_to_the_voxel(lesion):
    assert np.isin(lesion.classes, (NECROTIC, ENHANCING)).sum() == pytest.approx(6000, abs=10)
    assert (lesion.classes == EDEMA).sum() == pytest.approx(20000, abs=10)


def test_a_tumour_stays_in_tissue(lesion):
    tumour = lesion.classes > 0
    assert BALL.brain[tumour].all()
    assert BALL.csf[tumour].max() < 0.5


def test_edema_prefers_white_matter(lesion):
    near = ndimage.binary_dilation(lesion.classes > 0, iterations=4) & BALL.brain
    shares = [
        (lesion.classes[near & (tissue > 0.9)] == EDEMA).mean()
        for tissue in (BALL.white, BALL.gray)
    ]
    assert shares[0] > 2 * shares[1]


def test_the_rim_lies_between_the_necrosis_and_the_rest(lesion):
    necrosis = lesion.classes == NECROTIC
    beside = ndimage.binary_dilation(necrosis) & ~necrosis
    assert (lesion.classes[beside] == ENHANCING).mean() > 0.9


def test_the_rim_is_about_as_thick_as_drawn_and_varies():
    medians = []
    for rim_mm in (2.5, 5.0):
        classes = grown(replace(SMALL, cores_cm3=(20.0,), rim_mm=rim_mm)).classes
        depth = ndimage.distance_transform_edt(np.isin(classes, (NECROTIC, ENHANCING)))
        inner_side = depth[ndimage.binary_dilation(classes == NECROTIC) & (classes == ENHANCING)]
        medians.append(np.median(inner_side))
        assert np.std(inner_side) > 0.2 * rim_mm
    assert 1.4 <= medians[0] <= 3
    assert 3 <= medians[1] <= 5.5


def test_a_tumour_that_does_not_enhance_has_the_same_core_without_a_rim(lesion):
    plain = grown(replace(SMALL, enhancing=False))
    assert not (plain.classes == ENHANCING).any()
    np.testing.assert_array_equal(
        plain.classes == NECROTIC, np.isin(lesion.classes, (NECROTIC, ENHANCING))
    )


def test_each_focus_grows_a_core_of_its_own_volume():
    lesion = grown(replace(SMALL, cores_cm3=(5.0, 1.5)))
    cores = np.isin(lesion.classes, (NECROTIC, ENHANCING))
    parts, _ = ndimage.label(cores)
    sizes = np.sort(np.bincount(parts.ravel())[1:])[::-1]
    assert cores.sum() == pytest.approx(6500, abs=20)
    np.testing.assert_allclose(sizes[:2], (5000, 1500), rtol=0.02)


def test_nearness_is_one_in_the_core_and_falls_through_the_edema(lesion):
    assert (lesion.nearness[np.isin(lesion.classes, (NECROTIC, ENHANCING))] == 1).all()
    edema = lesion.nearness[lesion.classes == EDEMA]
    assert edema.min() < 0.05
    assert 0.2 < edema.mean() < 0.9


def test_a_seed_lies_where_tumours_may_begin():
    home = np.zeros((20, 20, 20), bool)
    home[4:9, 12:15, 2:6] = True
    for seed in range(20):
        assert home[tuple(draw_seed(np.random.default_rng(seed), home))]
