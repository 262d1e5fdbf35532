import warnings

import numpy as np
import pytest

from pipeline.metrics.nearest_points import nearest_mm
from pipeline.metrics.surface_elements import areas_mm

with warnings.catch_warnings(action="ignore"):  # it imports old names of scipy
    from surface_distance import lookup_tables

SPACINGS_MM = [(1.0, 1.0, 1.0), (0.7, 1.0, 2.5), (3.0, 0.3, 0.9), (0.1, 7.0, 2.0)]


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_areas_of_all_neighbourhoods_equal_those_of_deepmind(spacing_mm):
    cubes = lookup_tables.create_table_neighbour_code_to_surface_area(spacing_mm)
    np.testing.assert_allclose(areas_mm(spacing_mm), cubes, rtol=1e-9)
    squares = lookup_tables.create_table_neighbour_code_to_contour_length(spacing_mm[:2])
    np.testing.assert_allclose(areas_mm(spacing_mm[:2]), squares, rtol=1e-9)


@pytest.mark.parametrize(
    "steps_mm", [*SPACINGS_MM, (1.0, 1.0), (0.1, 3.0), (0.01, 1.0, 1.0)], ids=str
)
def test_nearest_points_are_found_near_and_far(steps_mm):
    rng = np.random.default_rng(5)
    shape = (40, 12, 9)[: len(steps_mm)]
    one, other = rng.random(shape) < 0.02, rng.random(shape) < 0.05
    other[: shape[0] // 2] = False
    there, back = nearest_mm(one, other, steps_mm)
    apart = np.linalg.norm((np.argwhere(one)[:, None] - np.argwhere(other)) * steps_mm, axis=2)
    np.testing.assert_allclose(there, apart.min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(back, apart.min(axis=0), rtol=1e-12)


def test_one_step_of_a_tenth_is_a_tenth_wherever_it_starts():
    one, other = np.zeros((2, 30, 1), bool)
    one[10], other[13] = True, True
    assert nearest_mm(one, other, (0.1, 1.0))[0] == [3 * 0.1]
