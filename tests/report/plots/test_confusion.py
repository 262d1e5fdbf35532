import numpy as np
import pytest

from pipeline.cohorts.cheng import SCHEMA as TYPES
from pipeline.metrics.multiclass import confusion_rows
from pipeline.report.plots.confusion import confusion_plot, matrix, types_plot


def test_a_matrix_has_a_row_per_reference_and_sums_what_repeats():
    rows = [
        {"a": "x", "b": "y", "n": 3},
        {"a": "x", "b": "y", "n": 1},
        {"a": "y", "b": "y", "n": 2},
    ]
    assert matrix(rows, (["x", "y"], ["x", "y"]), ("a", "b"), "n").tolist() == [[0, 4], [0, 2]]


def test_a_large_share_is_dark_and_a_small_one_light(pixels):
    schema = TYPES.model_copy(update={"labels": {"tumour": 1}})
    picture = pixels(
        confusion_plot(confusion_rows(np.array([[90, 10], [0, 0]]), schema), schema, 60)[0]
    )
    dark = (picture.sum(axis=-1) < 300).mean()
    assert 0.05 < dark < 0.3  # one cell of four


@pytest.mark.parametrize("predicted", ["glioma", "none"])
def test_a_type_that_was_never_predicted_has_its_column(predicted, pixels):
    rows = [
        {"reference": "glioma", "predicted": predicted},
        {"reference": "none", "predicted": "glioma"},
    ]
    width = pixels(types_plot(rows, TYPES, 40)[0]).shape[1]
    assert width == np.floor(40 * (2.4 + 1.05 * (3 + (predicted == "none"))))
