import pytest

from pipeline.network import timing
from pipeline.network.timing import Lap
from tests.planning.test_timer import tiny

pytestmark = pytest.mark.slow


def test_steps_of_every_kind_of_network_are_timed():
    flat = timing.measure(tiny())
    deep = timing.measure(tiny(encoder="residual", encoder_blocks=2))
    for found in (flat, deep):
        assert found.step_s > 0
        assert found.batch_s > 0
        assert found.first_s > found.step_s


def test_the_device_is_that_of_the_backend():
    found = timing.device()
    assert found.backend.startswith("keras 3.")
    assert found.accelerator == timing.backend.on_accelerator()


@pytest.mark.parametrize(
    ("lap", "expected"),
    [
        (Lap(wall_s=10.0, cpu_s=20.0, idle_s=0.0), 10.0),  # alone, on both cores
        (Lap(wall_s=10.0, cpu_s=12.0, idle_s=8.0), 10.0),  # alone, not always on both
        (Lap(wall_s=10.0, cpu_s=10.0, idle_s=0.0), 5.0),  # others had half
        (Lap(wall_s=10.0, cpu_s=0.0, idle_s=20.0), 0.0),
    ],
)
def test_the_time_of_other_work_does_not_count(lap, expected):
    assert lap.quiet_s(cores=2) == expected
