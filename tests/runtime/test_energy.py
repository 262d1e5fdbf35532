"""Energy from time, cores, memory and GPUs, as Green Algorithms adds them up."""

import pytest

from pipeline.runtime.energy import ASSUMPTIONS, energy_wh


def test_a_core_that_is_busy_for_an_hour_takes_twelve_watt_hours():
    assert energy_wh(3600, 3600, 0) == 12


def test_cores_that_idle_take_nothing_and_memory_all_the_same():
    assert energy_wh(7200, 0, 10) == pytest.approx(2 * 10 * 0.3725)


def test_a_gpu_is_counted_for_the_whole_time():
    assert energy_wh(1800, 0, 0, 700) == 350


def test_the_parts_add_up():
    parts = energy_wh(60, 90, 0), energy_wh(60, 0, 4), energy_wh(60, 0, 0, 300)
    assert energy_wh(60, 90, 4, 300) == pytest.approx(sum(parts))


def test_the_assumptions_name_the_numbers_used():
    assert "12 W" in ASSUMPTIONS
    assert "0.3725 W" in ASSUMPTIONS
