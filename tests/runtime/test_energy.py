"""Energy from time, cores, memory and GPUs, as Green Algorithms adds them up."""

import pytest

from pipeline.runtime.energy import ASSUMPTIONS, energy_wh


def test_energy_is_the_sum_of_busy_cores_memory_and_gpus_over_time():
    assert energy_wh(3600, 3600, 0) == 12
    assert energy_wh(7200, 0, 10) == pytest.approx(2 * 10 * 0.3725)
    assert energy_wh(1800, 0, 0, 700) == 350
    parts = energy_wh(60, 90, 0), energy_wh(60, 0, 4), energy_wh(60, 0, 0, 300)
    assert energy_wh(60, 90, 4, 300) == pytest.approx(sum(parts))


def test_the_assumptions_name_the_numbers_used():
    assert "12 W" in ASSUMPTIONS
    assert "0.3725 W" in ASSUMPTIONS
