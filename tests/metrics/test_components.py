import numpy as np
import pytest
from scipy import ndimage

from pipeline.metrics import components
from pipeline.metrics.components import dilated, joining, shared_voxels, without_small

SHAPE = (13, 11, 8)


def voxels(*places):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(np.array(places).T)] = True
    return mask


def whole(mask):
    return tuple(slice(0, length) for length in mask.shape)


def labelled(mask):
    return components.labelled(mask, whole(mask))


def merged(mask, times):
    return components.merged(mask, whole(mask), times)


def awkward_masks():
    rng = np.random.default_rng(2)
    return {
        "empty": np.zeros(SHAPE, bool),
        "full": np.ones(SHAPE, bool),
        "corner": voxels((0, 0, 0), (12, 10, 7)),
        "specks": rng.random(SHAPE) < 0.02,
        "noise": rng.random(SHAPE) < 0.3,
        "slice": rng.random((13, 11, 1)) < 0.1,
    }


@pytest.mark.parametrize("times", [0, 1, 2, 5])
@pytest.mark.parametrize("name", awkward_masks())
def test_dilation_equals_scipys(name, times):
    mask = awkward_masks()[name]
    faces_and_edges = ndimage.generate_binary_structure(3, 2)
    expected = ndimage.binary_dilation(mask, faces_and_edges, times) if times else mask
    for order in "CF":
        assert np.array_equal(dilated(np.asarray(mask, order=order), times), expected)


def test_components_merge_where_their_dilations_touch():
    drawn, extents = merged(voxels((1, 1, 1), (4, 1, 1), (10, 8, 5)), 1)
    assert drawn.voxels[1:].tolist() == [2, 1]
    assert extents.voxels[1:].tolist() == [38, 19]


@pytest.mark.parametrize("name", awkward_masks())
def test_an_extent_is_the_dilation_of_its_own_piece(name):
    mask = awkward_masks()[name]
    drawn, extents = merged(mask, 2)
    assert drawn.numbers.tolist() == extents.numbers.tolist()
    pieces, around = drawn.within(whole(mask)), extents.within(whole(mask))
    for number in drawn.numbers:
        assert np.array_equal(dilated(pieces == number, 2), around == number)


def test_boxes_hold_their_components_within_the_whole():
    drawn, _ = merged(voxels((4, 3, 2), (5, 3, 2), (11, 9, 7)), 1)
    assert drawn.box_of(1) == (slice(4, 6), slice(3, 4), slice(2, 3))
    assert drawn.box_of(2) == (slice(11, 12), slice(9, 10), slice(7, 8))


def test_components_are_numbered_along_the_first_axis_first_in_either_memory_order():
    places = (5, 0, 0), (0, 5, 0), (9, 9, 0), (0, 0, 5)
    for order in "CF":
        found = labelled(np.asarray(voxels(*places), order=order))
        assert [found.labels[place] for place in places] == [1, 2, 3, 4]


def test_components_are_seen_within_any_box():
    mask, box = awkward_masks()["noise"], np.s_[3:9, 2:8, 1:7]
    found = components.labelled(mask[box], box)
    image = np.zeros(SHAPE, int)
    image[box] = found.labels
    for other in (whole(mask), np.s_[4:6, 3:5, 2:3], np.s_[0:5, 4:11, 6:8]):
        assert np.array_equal(found.within(other), image[other])
    assert not found.within(np.s_[0:2, 0:2, 0:1]).any()


@pytest.mark.parametrize("few", [0, 2**20], ids=["sorted", "in a table"])
@pytest.mark.parametrize("crop", [np.s_[0:13, 0:11, 0:8], np.s_[5:12, 0:6, 2:8]])
def test_shared_voxels_name_every_pair_that_overlaps(few, crop, monkeypatch):
    monkeypatch.setattr(components, "FEW_PAIRS", few)
    masks = np.random.default_rng(1).random((2, *SHAPE)) < 0.1
    one, other = labelled(masks[0]), components.labelled(masks[1][crop], crop)
    labels = one.labels, other.within(whole(one.labels))
    expected = {
        (a, b): count
        for a in one.numbers.tolist()
        for b in other.numbers.tolist()
        if (count := int(((labels[0] == a) & (labels[1] == b)).sum()))
    }
    ones, others, counts = (column.tolist() for column in shared_voxels(one, other))
    assert dict(zip(zip(ones, others, strict=True), counts, strict=True)) == expected
    assert list(zip(ones, others, strict=True)) == sorted(expected)


def test_components_of_at_most_so_many_voxels_are_dropped():
    found = labelled(voxels((1, 1, 1), (1, 1, 2), (6, 6, 6)))
    (kept,) = without_small(found, 1).numbers
    assert without_small(found, 1).voxels[kept] == 2
    assert without_small(found, 2).numbers.tolist() == []
    assert without_small(found, 0) is found


@pytest.mark.parametrize(
    ("found", "partners"),
    [
        (((1, 1, 1), (5, 1, 1), (9, 8, 5)), ((2, 1, 1), (3, 1, 1), (4, 1, 1))),
        (((1, 1, 1), (3, 1, 1), (5, 1, 1)), ((2, 1, 1), (4, 1, 1))),
    ],
    ids=["two on one partner", "one between two partners follows the first"],
)
def test_components_that_touch_one_partner_are_joined(found, partners):
    components_found = labelled(voxels(*found))
    table = joining(components_found, labelled(voxels(*partners)))
    assert table[1] == table[2] != table[3]
    assert components_found.renumbered(table).voxels[table[1]] == 2


def test_touching_is_over_faces_and_edges_not_corners():
    found = labelled(voxels((4, 4, 4), (8, 8, 4)))
    for z, groups in ((4, 1), (5, 2)):  # over edges, and over a corner
        partners = labelled(voxels((5, 5, z), (6, 6, z), (7, 7, 4)))
        assert len(set(joining(found, partners)[1:])) == groups
