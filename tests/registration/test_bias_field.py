import numpy as np

from pipeline.registration.bias_field import correct_bias


def test_a_smooth_shading_is_taken_out_of_the_tissue():
    place = np.indices((48, 48, 40)) / 48 - 0.5
    brain = (place**2).sum(axis=0) < 0.16
    tissue = np.where(np.random.default_rng(0).random((48, 48, 40)) < 0.5, 300.0, 500.0) * brain
    shaded = tissue * np.exp(0.8 * place[0])
    corrected = correct_bias(shaded, brain, shrink=2)
    assert corrected.dtype == np.float32
    slopes = [
        np.polyfit(place[0][tissue == 500], image[tissue == 500] / image[tissue == 500].mean(), 1)[
            0
        ]
        for image in (shaded, corrected)
    ]
    assert abs(slopes[1]) < 0.3 * abs(slopes[0])
    assert not corrected[~brain].any()
