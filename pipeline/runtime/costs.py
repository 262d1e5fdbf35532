"""Time, memory and energy of every stage, in metrics/costs.csv: not reproducible, so no DVC out."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.records import read_csv, write_csv
from .programs import output_of

COSTS = Path("metrics/costs.csv")
COLUMNS = ("stage", "seconds", "cpu_seconds", "peak_memory_mb", "energy_wh", "started")
_LOOK_EVERY_S = 2.0
_LOOKS_PER_GPU_READING = 5

WATTS_PER_CORE = 12.0
"""Power of one busy core: the value of Green Algorithms for a processor that it does not list
("Any" in its table TDP_cpu.csv).
"""
WATTS_PER_GB = 0.3725
"""Power of one gigabyte of memory (Lannelongue et al. 2021, section "Energy Consumption")."""


@contextmanager
def recorded(stage: str, path: Path = COSTS) -> Iterator[None]:
    """Measure a block and, if it succeeds, replace the stage's row in the table.

    Parameters
    ----------
    stage : str
        Name of the row.
    path : Path
        CSV file with `COLUMNS`, rows ordered by start: ``seconds``; ``cpu_seconds`` of this process
        and all its descendants, including workers that are still alive; ``peak_memory_mb`` (10^6
        bytes), the largest resident memory of all of them together, sampled every two seconds, and
        at least the peak of this process; ``energy_wh``, estimated by `energy_wh`; ``started``,
        UTC. A resumed training is measured from its resumption.
    """
    started, begun, used = datetime.now(UTC), time.perf_counter(), _cpu_seconds()
    watch = _Watch()
    with watch:
        yield
    seconds, cpu_seconds = time.perf_counter() - begun, _cpu_seconds() - used
    energy = energy_wh(seconds, cpu_seconds, watch.peak_bytes / 1e9, watch.gpu_watts)
    row = {
        "stage": stage,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_memory_mb": round(watch.peak_bytes / 1e6, 1),
        "energy_wh": round(energy, 4),
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    others = [other for other in read(path) if other["stage"] != stage]
    write_csv(path, sorted([*others, row], key=lambda one: one["started"]))


def read(path: Path = COSTS) -> list[dict[str, Any]]:
    """Rows of the table, numbers as floats; none if the file is missing or is not the table."""
    with suppress(InputError, ValueError, KeyError):
        return [
            {
                name: row[name] if name in ("stage", "started") else float(row[name])
                for name in COLUMNS
            }
            for row in read_csv(path)
        ]
    return []


def energy_wh(
    seconds: float, cpu_seconds: float, memory_gb: float, gpu_watts: float = 0.0
) -> float:
    """Estimate the energy of a computation in watt-hours.

    E = t_cpu P_core + t (n_GB P_GB + P_GPU), the first equation of Lannelongue, Grealey and Inouye,
    "Green Algorithms: Quantifying the Carbon Footprint of Computation", Advanced Science 8:2100707
    (2021), with the core's time times its usage measured together as CPU time, and without their
    factor for the cooling of a data centre (PUE 1). Disks and network are left out.

    Parameters
    ----------
    seconds : float
        From start to end.
    cpu_seconds : float
        Of all cores together.
    memory_gb : float
        Memory held, in 10^9 bytes.
    gpu_watts : float
        Mean power drawn by all GPUs, idle or busy; 0 without one.
    """
    return (cpu_seconds * WATTS_PER_CORE + seconds * (memory_gb * WATTS_PER_GB + gpu_watts)) / 3600


class _Watch:
    """Samples the memory of the process and its children, and the power of GPUs, in a thread."""

    def __enter__(self) -> None:
        self.peak_bytes = 0
        self._watts: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.peak_bytes = max(self.peak_bytes, _resident_bytes(), own_peak_bytes())

    @property
    def gpu_watts(self) -> float:
        """Mean over the readings; 0 without any."""
        return sum(self._watts) / len(self._watts) if self._watts else 0.0

    def _look(self) -> None:
        number = 0
        while not self._done.wait(_LOOK_EVERY_S if number else 0.0):
            self.peak_bytes = max(self.peak_bytes, _resident_bytes())
            if number % _LOOKS_PER_GPU_READING == 0:
                self._watts += _gpu_watts()
            number += 1


def _of_descendants(reading: Callable[[Any], float]) -> float:
    """Sum of a reading over the living descendants of this process."""
    import psutil  # here and below, because on Linux it needs modules that Windows lacks

    total = 0.0
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                total += reading(child)
    return total


def _cpu_seconds() -> float:
    """CPU time so far of this process and of its descendants, ended or alive."""
    # of both, the first four are user and system, own and of ended children
    return sum(os.times()[:4]) + _of_descendants(lambda child: sum(child.cpu_times()[:4]))


def _resident_bytes() -> int:
    import psutil

    own = psutil.Process().memory_info().rss
    return own + int(_of_descendants(lambda child: child.memory_info().rss))


def own_peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _gpu_watts() -> list[float]:
    """Present power of all GPUs visible to this process, one number; empty if it is not known."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "":
        return []
    chosen = [f"--id={visible}"] if visible else []
    query = ("--query-gpu=power.draw", "--format=csv,noheader,nounits")
    printed = output_of("nvidia-smi", *query, *chosen, timeout_s=10).split("\n")
    with suppress(ValueError):
        return [sum(map(float, printed))]
    return []
