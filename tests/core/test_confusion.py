import numpy as np
import pytest

from pipeline.core.confusion import confusion

SHAPE = (6, 5, 4)


@pytest.mark.parametrize("order", ["C", "F"])
def test_confusion_counts_every_pair_of_classes(order):
    rng = np.random.default_rng(5)
    reference, prediction = rng.integers(0, 4, (2, *SHAPE)).astype(np.uint8)
    counts = confusion(np.asarray(reference, order=order), prediction, 4)
    assert counts.tolist() == [
        [sum(reference[v] == i and prediction[v] == j for v in np.ndindex(SHAPE)) for j in range(4)]
        for i in range(4)
    ]


def test_confusion_counts_the_background_outside_the_box_around_the_tumour():
    reference, prediction = np.zeros((2, *SHAPE), np.uint8)
    assert confusion(reference, prediction, 2).tolist() == [[120, 0], [0, 0]]
    reference[2, 2, 2], prediction[4, 2, 2] = 1, 2
    assert confusion(reference, prediction, 3).tolist() == [[118, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_confusion_holds_when_every_class_index_of_uint8_is_used():
    reference = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    expected = np.eye(256)[reference[::-1].ravel()].T
    assert np.array_equal(confusion(reference, reference[::-1], 256), expected)


def test_confusion_rejects_a_class_beyond_the_count():
    foreign = np.zeros(SHAPE, np.uint8)
    foreign[0, 0, 0] = 4
    with pytest.raises(ValueError, match="class index 4"):
        confusion(np.zeros(SHAPE, np.uint8), foreign, 4)
