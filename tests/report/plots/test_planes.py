import numpy as np
import pytest

from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.report.plots.planes import (
    CONVENTION,
    PLANES,
    convention,
    cut,
    disagreement,
    planes_of,
    telling_modalities,
    view_of,
)

AXIAL, CORONAL, SAGITTAL = PLANES


def centre(mask):
    """Row and column of the middle of a mask, as shares of its height and width."""
    return np.argwhere(mask).mean(axis=0) / mask.shape


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.name)
def test_the_right_side_and_the_front_are_on_the_left_the_front_and_the_top_are_up(view_on, plane):
    view = view_on()
    row, column = centre(cut(view.reference, plane, view.busiest_slice(plane)) > 0)
    assert row < 0.5  # the tumour lies in front in the axial cut, above in the others
    assert column < 0.5  # at the patient's right, in the sagittal cut in front


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.name)
def test_the_letters_at_the_edges_are_true(view_on, plane):
    view = view_on()
    places = {
        "R": (view.reference.shape[0] - 1, 0),
        "L": (0, 0),
        "A": (view.reference.shape[1] - 1, 1),
        "P": (0, 1),
    }
    places |= {"S": (view.reference.shape[2] - 1, 2), "I": (0, 2)}
    edges = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0], "bottom": np.s_[-1]}
    for side, edge in edges.items():
        index, axis = places[getattr(plane, side)]
        marked = np.zeros(view.reference.shape, bool)
        np.moveaxis(marked, axis, 0)[index] = True
        assert cut(marked, plane, 5)[edge].all(), side


def test_a_view_does_not_depend_on_the_axes_of_the_file(case, view_on):
    turned = Case(
        case.name,
        case.image[::-1, ::-1].transpose(2, 0, 1, 3),
        case.classes[::-1, ::-1].transpose(2, 0, 1),
        Grid(
            (28, 36, 44), np.array([[0, -1, 0, 35], [0, 0, -1, 43], [1, 0, 0, 0], [0, 0, 0, 1.0]])
        ),
    )
    upright = view_on()
    view = view_of(turned, turned.classes, upright.modalities)
    np.testing.assert_array_equal(view.reference, upright.reference)
    np.testing.assert_array_equal(view.brain, upright.brain)
    assert (
        np.abs(view.grey.astype(int) - upright.grey).max() <= 2
    )  # the percentiles are read off other voxels
    assert view.slice_name(AXIAL, 3) == upright.slice_name(AXIAL, 3)


def test_the_busiest_slice_has_the_largest_tumour(view_on, case):
    classes = np.zeros_like(case.classes)
    classes[10:12, 10:12, 5:20] = 2
    classes[8:14, 8:14, 9] = 2
    view = view_on(prediction=case.classes, classes=classes)
    assert view.slice_name(AXIAL, view.busiest_slice(AXIAL)) == "slice 10 of 28"


def test_without_a_reference_tumour_the_prediction_says_where_to_look(view_on, case, schema):
    classes, prediction = np.zeros_like(case.classes), np.zeros_like(case.classes)
    prediction[15, 15, 6] = 3
    view = view_on(prediction=prediction, classes=classes)
    assert view.slice_name(AXIAL, view.busiest_slice(AXIAL)) == "slice 7 of 28"
    bare = view_on(prediction=classes, classes=classes)
    middles = [length // 2 for length in bare.reference.shape[::-1]]
    assert [bare.busiest_slice(plane) for plane in PLANES] == middles
    assert telling_modalities(bare, schema) == (0,)


def test_the_size_of_a_cut_is_in_millimetres(case, view_on):
    view = view_on(grid=Grid(case.grid.shape, np.diag([0.5, 1, 4, 1])))
    across, along, up = view.reference.shape
    assert view.size_mm(CORONAL) == (across * 0.5, up * 4)
    assert view.size_mm(SAGITTAL) == (along * 1, up * 4)


def test_greys_span_the_brain_and_leave_the_rest_black(view_on):
    view = view_on()
    assert not view.grey[~view.brain].any()
    assert view.grey.max() == 255
    assert 60 < np.median(view.grey[..., 0][view.brain]) < 200


def test_the_telling_modalities_are_those_in_which_the_regions_stand_out(view_on, schema):
    assert telling_modalities(view_on(), schema) == (3, 1)


def test_a_voxel_of_the_view_lies_where_it_lies_in_the_file(case, view_on):
    affine = np.array([[0, -2.0, 0, 90], [1.5, 0, 0, -70], [0, 0, 3.0, 10], [0, 0, 0, 1]])
    view = view_on(grid=Grid(case.grid.shape, affine))
    there = np.argwhere(view.reference == 3) @ view.affine[:3, :3].T + view.affine[:3, 3]
    marked = np.argwhere(case.classes == 3) @ affine[:3, :3].T + affine[:3, 3]
    np.testing.assert_allclose(np.sort(there, axis=0), np.sort(marked, axis=0))


def test_each_way_to_differ_has_its_number():
    reference, prediction = np.array([0, 1, 0, 1, 2], np.uint8), np.array([0, 0, 2, 1, 1], np.uint8)
    assert disagreement(reference, prediction).tolist() == [0, 1, 2, 0, 3]


def test_single_slices_have_no_anatomical_plane_and_volumes_have_three(
    view_on, single_slice, schema
):
    single = schema.model_copy(update={"dimensions": 2})
    assert planes_of(view_on(), schema) == PLANES
    assert planes_of(single_slice, schema) == (AXIAL,)
    (plane,) = planes_of(single_slice, single)
    assert (plane.name, plane.axis, plane.left, plane.right) == ("slice", 2, "", "")
    assert single_slice.cut_name(plane, 0) == "slice"
    assert view_on().cut_name(AXIAL, 3) == "axial, slice 4 of 28"
    assert convention(schema) == CONVENTION
    assert "right" not in convention(single)
