"""Pictures put on a sheet are found on it again."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.verification.thumbnail import SIDE
from pipeline.verification.thumbnail_sheet import COLUMNS, cut, sheet


@pytest.mark.parametrize("count", [1, COLUMNS, COLUMNS + 1, 3 * COLUMNS - 1])
def test_each_picture_is_cut_out_as_it_was_put_in(count):
    pictures = list(np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8))
    data = sheet(pictures)
    assert data == sheet(pictures)
    for number, single in zip(range(count), cut(data, range(count)), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(single))), pictures[number])
