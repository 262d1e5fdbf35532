"""The small picture of a case is upright, in proportion, and shows where the tumour is."""

import numpy as np
import pytest

from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.verification.thumbnail import OUTLINE, SIDE, favourite, thumbnail

RAS = np.eye(4)


def case(affine=RAS, tumour: bool = True, shape=(60, 60, 10)) -> Case:
    """A disc of brain, brighter in front; a tumour in front on the patient's right, largest on
    slice 7.
    """
    x, y, z = np.indices(shape)
    brain = np.hypot(x - shape[0] / 2, y - shape[1] / 2) < shape[0] / 2 - 3
    image = np.where(brain, 100.0 + y, 0)[..., None].repeat(2, -1).astype(np.float32)
    classes = ((abs(x - 40) < 6) & (abs(y - 40) < 6) & (z == 7) & tumour).astype(np.uint8)
    return Case("case", image, classes, Grid(shape, affine))


def outline_of(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero((picture == OUTLINE).all(axis=-1))


def test_the_front_is_up_and_the_patients_right_on_the_left():
    picture = thumbnail(case(), 1)
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    rows, columns = outline_of(picture)
    assert rows.max() < SIDE / 2  # y 40 of 60: in front
    assert columns.max() < SIDE / 2  # x 40 of 60 on RAS axes: on the patient's right
    grey = picture[:, SIDE // 2 + 10, 0].astype(int)
    assert grey[10] > grey[SIDE - 10] > 0


def test_the_axes_of_the_file_do_not_matter():
    made = case()
    lps = Grid(made.grid.shape, np.diag([-1.0, -1.0, 1.0, 1.0]))
    turned = Case("case", made.image[::-1, ::-1], made.classes[::-1, ::-1], lps)
    np.testing.assert_array_equal(thumbnail(turned, 1), thumbnail(made, 1))


def test_thick_voxels_are_drawn_in_proportion():
    flat = case(np.diag([1.0, 2.0, 1.0, 1.0]), tumour=False)
    seen = thumbnail(flat, 1)[..., 0] > 0
    assert seen.any(axis=1).sum() == pytest.approx(2 * seen.any(axis=0).sum(), abs=4)


def test_without_a_tumour_the_fullest_slice_is_shown_without_an_outline():
    for without in (case(tumour=False), Case("case", case().image, None, case().grid)):
        picture = thumbnail(without, 1)
        assert picture.any()
        assert not outline_of(picture)[0].size
    assert thumbnail(case(shape=(60, 60, 1), tumour=False), 0).any()


def test_flair_is_shown_where_there_is_one():
    names = [("t1n", "t1c", "t2w", "t2f"), ("t1n", "t1c"), ("ct",)]
    assert [favourite(modalities) for modalities in names] == [3, 1, 0]
