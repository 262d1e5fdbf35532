import math

import pytest

from pipeline.network import topology
from pipeline.planning import work
from pipeline.planning.candidates import candidates, grids, patch_within
from tests.planning.conftest import PARAMS, cohort, slices, thick

SECTION = {**PARAMS["network"], "type_head": False, "output": "regions"}


def listed(found):
    return candidates(found, SECTION, 2)


@pytest.mark.parametrize("found", [cohort(), thick(), slices()], ids=["cubes", "thick", "slices"])
def test_every_candidate_is_a_network_whose_patch_can_be_halved_to_four_voxels(found):
    assert listed(found)
    for one in listed(found):
        network = one.network(SECTION)
        for side, divisor in zip(one.patch, network.divisors, strict=True):
            assert side % divisor == 0
            assert side // divisor >= topology.LEAST_SIDE


def test_grids_start_with_the_raw_one_and_stop_where_tumours_would_vanish():
    assert list(grids(cohort())) == [(1.0,) * 3, (1.4,) * 3, (2.0,) * 3, (2.8,) * 3, (4.0,) * 3]
    tiny = cohort(tumour_ml=(0.1, 0.2, 0.5))
    assert list(grids(tiny)) == [(1.0,) * 3, (1.4,) * 3]
    assert next(grids(cohort(tumour_ml=(0.0, 0.0, 0.0)))) == (1.0,) * 3


def test_only_the_finer_axes_of_a_grid_become_coarser():
    assert list(grids(thick()))[:3] == [(0.9, 0.9, 5.0), (1.3, 1.3, 5.0), (1.8, 1.8, 5.0)]
    assert {spacing[2] for spacing in grids(slices())} == {7.0}


def test_thick_slices_give_strides_and_kernels_that_wait_for_the_coarse_axis():
    volumes = [one for one in listed(thick()) if one.dimensions == 3]
    assert volumes
    finest = volumes[0]
    assert finest.strides[0] == (2, 2, 1)
    assert finest.kernels[0] == (3, 3, 1)
    assert finest.kernels[-1] == (3, 3, 3)
    assert all(one.strides is None for one in listed(cohort()) if one.dimensions == 2)


def test_single_slices_get_networks_of_slices_only():
    assert {one.dimensions for one in listed(slices())} == {2}
    assert {one.dimensions for one in listed(cohort(brain_mm=(138.0, 172.0, 8.0)))} == {2}
    assert {one.dimensions for one in listed(cohort())} == {2, 3}


def test_a_patch_is_as_long_in_mm_along_every_axis_as_its_voxels_allow():
    cubes = (1.0, 1.0, 1.0)
    assert patch_within((70, 88, 72), cubes, 10**9) == (80, 96, 80)
    assert patch_within((70, 88, 72), cubes, 64**3) == (64, 64, 64)
    assert patch_within((140, 176, 142), cubes, 128**3) == (128, 128, 128)
    # 115 x 115 x 80 mm
    assert patch_within((150, 190, 28), (0.9, 0.9, 5.0), 64**3) == (128, 128, 16)
    for voxels in (32**3, 48**3, 96**3):
        assert math.prod(patch_within((140, 176, 142), cubes, voxels)) <= voxels


def test_the_whole_brain_is_covered_by_the_largest_patch():
    assert max(one.coverage for one in listed(cohort())) == 1.0
    assert all(0 < one.coverage <= 1 for one in listed(cohort()))


def test_work_and_memory_grow_with_filters_and_patch():
    volumes = [one for one in listed(cohort()) if one.dimensions == 3 and one.spacing_mm[0] == 2.0]
    for filters in (8, 16, 32):
        same = [one for one in volumes if one.shape.filters == filters]
        for need in (work.work, lambda one, net: work.memory_gb(one, net, "float32", True)):
            small, large = (need(one, one.network(SECTION)) for one in (same[0], same[-1]))
            assert small < large
    needs = [work.work(one, one.network(SECTION)) for one in volumes[:4]]
    assert needs == sorted(needs)
    assert len({one.patch for one in volumes[:4]}) == 1


def test_memory_is_not_estimated_below_what_was_measured():
    """5.4 GB on an H100 for two volumes of 128 x 128 x 128 and 32 filters, docs/benchmarks.md."""
    (one,) = [
        one
        for one in listed(cohort())
        if one.patch == (128, 128, 128)
        and one.shape.filters == 32
        and one.shape.encoder == "plain"
        and one.spacing_mm[0] == 1.0
    ]
    network = one.network(SECTION)
    assert 5.4 <= work.memory_gb(one, network, "mixed_bfloat16", True) < 11
    multiply_adds = work.multiply_adds(one, network)
    assert multiply_adds == pytest.approx(5.79e12 / 2, rel=0.1)
