"""Strides and kernels from the spacing, against plans worked out by hand."""

import pytest

from pipeline.core.errors import InputError
from pipeline.network.topology import chosen
from tests.network.conftest import TINY

AUTO = {"dimensions": 3, "strides": "auto", "kernels": "auto"}


def found(depth, patch, spacing_mm, **changes):
    params = TINY.model_copy(update=AUTO | {"depth": depth} | changes)
    params = chosen(params, patch, spacing_mm)
    return list(params.strides), list(params.kernels)


def test_equal_edges_give_strides_of_2_and_kernels_of_3():
    strides, kernels = found(6, (128, 128, 128), (1.0, 1.0, 1.0))
    assert strides == [(2, 2, 2)] * 5
    assert kernels == [(3, 3, 3)] * 6


def test_thick_slices_are_convolved_and_pooled_once_the_plane_is_as_coarse():
    # 5 mm against 0.5, 1 and 2: fewer than twice as long from the level of 4 mm on
    strides, kernels = found(6, (256, 256, 16), (0.5, 0.5, 5.0))
    assert strides == [(2, 2, 1)] * 3 + [(2, 2, 2)] * 2
    assert kernels == [(3, 3, 1)] * 3 + [(3, 3, 3)] * 3


def test_an_edge_of_exactly_twice_the_shortest_waits_a_level():
    strides, kernels = found(3, (32, 32, 32), (1.0, 1.0, 2.0))
    assert strides == [(2, 2, 1), (2, 2, 2)]
    assert kernels == [(3, 3, 1), (3, 3, 3), (3, 3, 3)]


def test_an_axis_too_short_to_halve_is_left_and_its_kernel_grows_all_the_same():
    strides, kernels = found(5, (64, 64, 12), (1.0, 1.0, 1.0))
    assert strides == [(2, 2, 2), (2, 2, 1), (2, 2, 1), (2, 2, 1)]
    assert kernels == [(3, 3, 3)] * 5


def test_the_coarsest_level_has_kernels_of_3_and_those_of_given_strides_follow_them():
    given = ((2, 2, 1), (2, 2, 1))
    strides, kernels = found(3, (64, 64, 8), (1.0, 1.0, 9.0), strides=given)
    assert strides == list(given)
    assert kernels == [(3, 3, 1), (3, 3, 1), (3, 3, 3)]


def test_slices_are_planned_by_their_plane():
    strides, _ = found(3, (32, 32), (1.0, 2.5, 9.0), dimensions=2)
    assert strides == [(2, 1), (2, 2)]


def test_a_single_axis_needs_three_times_the_least_side():
    assert found(2, (12, 4, 4), (1.0, 1.0, 1.0))[0] == [(2, 1, 1)]
    with pytest.raises(InputError, match=r"train\.patch \[8, 4, 4\] can be halved 0 times"):
        found(2, (8, 4, 4), (1.0, 1.0, 1.0))


def test_nothing_changes_without_auto():
    params = TINY.model_copy(update={"strides": ((2, 1), (2, 2))})
    assert chosen(params, (16, 16), (1.0, 1.0, 5.0)) is params
