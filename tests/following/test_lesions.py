"""Lesions are separated at every visit, and the same over visits."""

import numpy as np
import pytest

from pipeline.following.lesions import LEAST_MM3, Tracker, find

SHAPE = (60, 40, 40)
MM = (1.0, 1.0, 1.0)


def ball(x, y=20.0, z=20.0, radius=5.0):
    places = np.indices(SHAPE)
    return np.linalg.norm(places - np.reshape([x, y, z], (3, 1, 1, 1)), axis=0) <= radius


NOTHING = np.zeros(SHAPE, bool)


def visits(*masks):
    """What became of every lesion at every visit: {lesion: (status, others)}."""
    tracker = Tracker("CE", MM)
    found = (find(mask, NOTHING, MM) for mask in masks)
    return [
        {
            each.lesion: (each.status, each.others)
            for each in tracker.add(one.numbers, len(one.volumes_mm3))
        }
        for one in found
    ]


def test_fragments_of_a_rim_around_one_necrosis_are_one_lesion():
    core = ball(20, radius=6)
    rim = ball(20, radius=9) & ~core
    rim[:, 18:23] = False  # two halves
    assert len(find(rim, NOTHING, MM).volumes_mm3) == 2
    assert find(rim, core, MM).volumes_mm3 == (rim.sum(),)


def test_specks_are_counted_and_not_followed():
    mask = ball(20)
    mask[50:52, 5, 5] = True
    mask[55, 5, 5] = True
    found = find(mask, NOTHING, (1.0, 1.0, 2.0))
    assert found.volumes_mm3 == (2.0 * ball(20).sum(),)
    assert (found.specks, found.specks_mm3) == (2, 6.0)
    assert found.numbers.max() == 1
    assert found.specks_mm3 < LEAST_MM3


def test_the_largest_lesion_comes_first():
    found = find(ball(10, radius=4) | ball(30, radius=7), NOTHING, MM)
    assert found.volumes_mm3 == (ball(30, radius=7).sum(), ball(10, radius=4).sum())
    assert found.numbers[30, 20, 20] == 1


def test_a_lesion_that_grows_and_shrinks_keeps_its_name():
    course = visits(ball(20), ball(21, radius=9), ball(19, radius=3))
    assert course == [{"CE1": ("first", ())}] + 2 * [{"CE1": ("same", ())}]


def test_lesions_without_a_voxel_on_the_common_grid_are_carried_all_the_same():
    tracker = Tracker("CE", MM)
    tracker.add(ball(20).astype(np.uint16), 1)
    found = tracker.add(np.zeros(SHAPE, np.uint16), 2)
    assert [(each.lesion, each.number, each.status) for each in found] == [
        ("CE1", 0, "vanished"),
        ("CE2", 1, "new"),
        ("CE3", 2, "new"),
    ]


def test_lesions_that_vanish_return_and_appear_are_named_so():
    both = ball(15) | ball(40)
    course = visits(both, ball(15), both, both | ball(40, 35, 35, 4))
    assert course[0] == {"CE1": ("first", ()), "CE2": ("first", ())}
    gone = {name for name, (status, _) in course[1].items() if status == "vanished"}
    assert len(gone) == 1
    assert course[2][gone.pop()] == ("returned", ())
    assert course[3]["CE3"] == ("new", ())


def test_lesions_that_merge_are_named_and_one_goes_on():
    course = visits(
        ball(20, radius=6) | ball(34, radius=5), ball(20, radius=6) | ball(30, radius=9)
    )
    assert sorted(status for status, _ in course[1].values()) == ["merged", "same"]
    (into,) = (name for name, (status, _) in course[1].items() if status == "same")
    (gone,) = (name for name, (status, _) in course[1].items() if status == "merged")
    assert course[1] == {into: ("same", (gone,)), gone: ("merged", (into,))}


def test_what_splits_off_is_no_new_lesion():
    apart = ball(16, radius=7) | ball(33, radius=6)
    together = apart.copy()
    together[16:33, 18:23, 18:23] = True
    course = visits(together, apart)
    assert course[1] == {"CE1": ("same", ()), "CE2": ("split", ("CE1",))}


def test_a_merged_lesion_is_not_reported_again_and_splits_off_under_a_new_name():
    apart = ball(18, radius=6) | ball(33, radius=6)
    together = apart.copy()
    together[18:33, 18:23, 18:23] = True
    course = visits(apart, together, together, apart)
    assert len(course[2]) == 1
    assert sorted(status for status, _ in course[3].values()) == ["same", "split"]


def test_an_offset_within_the_reach_of_the_registration_is_the_same_lesion():
    small = ball(20, radius=2.4)
    assert visits(small, ball(25.5, radius=2.4))[1] == {"CE1": ("same", ())}
    far = visits(small, ball(35, radius=2.4))[1]
    assert far == {"CE1": ("vanished", ()), "CE2": ("new", ())}


def test_the_assignment_with_the_largest_sum_of_overlaps_is_taken():
    def bars(*spans):
        mask = NOTHING.copy()
        for first, last in spans:
            mask[first:last, 10:16, 10:16] = True
        return mask

    # the best pair, 10 to 22 with 18 to 30, would leave two lesions without a partner
    course = visits(bars((10, 22), (28, 33)), bars((4, 12), (18, 30)))
    assert course[1] == {"CE1": ("same", ()), "CE2": ("same", ())}


def test_an_empty_visit_is_one_where_all_vanished():
    assert visits(NOTHING, ball(20), NOTHING) == [
        {},
        {"CE1": ("new", ())},
        {"CE1": ("vanished", ())},
    ]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 4.0)])
def test_volumes_are_voxels_times_their_size(spacing):
    found = find(ball(20), NOTHING, spacing)
    assert found.volumes_mm3 == pytest.approx((ball(20).sum() * np.prod(spacing),))
