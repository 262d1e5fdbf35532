import numpy as np
import pytest

from pipeline.phantom.contrast import MODALITIES, acquire

BRAIN = np.zeros((60, 20, 12), bool)
BRAIN[2:58, 2:18, 1:11] = True
TISSUES = ("gray", "white", "csf", "edema", "necrosis", "enhancing", "vessel")


@pytest.fixture(scope="module")
def medians():
    """Median over ten scanners of each tissue's mean signal against white matter, by modality."""
    column = np.indices(BRAIN.shape)[0][BRAIN] // 8
    fractions = {
        tissue: (column == index).astype(np.float32) for index, tissue in enumerate(TISSUES)
    }
    fractions["white"] += (column >= len(TISSUES)).astype(np.float32)
    levels = {modality: [] for modality in MODALITIES}
    for seed in range(10):
        images = acquire(np.random.default_rng(seed), fractions, BRAIN)
        for modality, image in images.items():
            means = {tissue: image[BRAIN][share == 1].mean() for tissue, share in fractions.items()}
            levels[modality].append([means[tissue] / means["white"] for tissue in TISSUES])
    return {
        modality: dict(zip(TISSUES, np.median(rows, axis=0), strict=True))
        for modality, rows in levels.items()
    }


def test_tissues_stand_in_the_order_of_real_images(medians):
    t1n, t1c, t2w, t2f = (medians[modality] for modality in MODALITIES)
    assert t1n["csf"] < t1n["necrosis"] < t1n["gray"] < t1n["white"]
    assert t1c["necrosis"] < t1c["white"] < t1c["enhancing"]
    assert t1c["white"] < t1c["vessel"]
    assert t2w["white"] < t2w["gray"] < t2w["edema"] < t2w["csf"]
    assert t2f["csf"] < t2f["white"] < t2f["gray"] < t2f["edema"]


def test_images_are_zero_outside_the_brain_and_positive_inside():
    images = acquire(np.random.default_rng(0), {"csf": np.ones(BRAIN.sum(), np.float32)}, BRAIN)
    for image in images.values():
        assert image.dtype == np.int16
        assert not image[~BRAIN].any()
        assert image[BRAIN].min() >= 1


def test_scanners_differ_in_gain_and_their_noise_is_small():
    white = {"white": np.ones(BRAIN.sum(), np.float32)}
    images = [acquire(np.random.default_rng(seed), white, BRAIN)["t1n"] for seed in range(6)]
    levels = [np.median(image[BRAIN]) for image in images]
    assert max(levels) > 1.5 * min(levels)
    step = np.diff(images[0][2:58, 2:18, 1:11].astype(float), axis=0) / np.sqrt(2)
    assert 0.015 < step.std() / levels[0] < 0.06
