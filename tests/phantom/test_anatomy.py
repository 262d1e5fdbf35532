import numpy as np

from pipeline.phantom.anatomy import draw_coordinates, push, sample
from tests.phantom.made import BALL


def identity(shape):
    return np.indices(shape).astype(np.float32)


def test_sampling_at_the_voxels_themselves_gives_the_template_back():
    same = sample(BALL, identity(BALL.white.shape))
    np.testing.assert_array_equal(same.white, BALL.white)
    np.testing.assert_array_equal(same.ventricles, BALL.ventricles)


def test_a_drawn_brain_is_smaller_than_the_template_and_keeps_its_tissues_sum():
    person = sample(BALL, draw_coordinates(np.random.default_rng(0), BALL, (96, 96, 96)))
    assert 0.6 < person.brain.sum() / BALL.brain.sum() < 0.9
    total = person.gray + person.white + person.csf
    np.testing.assert_allclose(total[np.asarray(person.ventricles) > 0.5], 1, atol=1e-5)


def test_two_people_differ_by_millimetres():
    first, second = (
        draw_coordinates(np.random.default_rng(seed), BALL, (96, 96, 96)) for seed in (1, 2)
    )
    apart = np.linalg.norm(first - second, axis=0)
    assert 3 < np.median(apart) < 20


def test_a_push_moves_tissue_outward_and_folds_nothing():
    coordinates = identity((48, 48, 48))
    centre = np.array([24, 24, 24])
    push(coordinates, centre, radius_mm=8.0, strength=0.35)
    np.testing.assert_array_equal(coordinates[:, 24, 24, 24], centre)
    # on the axis, tissue from a place nearer to the centre: r - 0.35 r exp(-r^2 / 128)
    np.testing.assert_allclose(
        coordinates[0, 32, 24, 24] - 24, 8 - 0.35 * 8 * np.exp(-0.5), rtol=1e-5
    )
    np.testing.assert_allclose(coordinates[0, 47, 24, 24], 47, atol=0.2)
    assert np.diff(coordinates[0], axis=0).min() > 0
