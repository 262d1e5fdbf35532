"""Time, memory and energy of every stage, in metrics/costs.csv: not reproducible, so no DVC out."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.records import read_csv, write_csv
from .energy import energy_wh

COSTS = Path("metrics/costs.csv")
COLUMNS = ("stage", "seconds", "cpu_seconds", "peak_memory_mb", "energy_wh", "started")
_LOOK_EVERY_S = 2.0
_LOOKS_PER_GPU_READING = 5


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
        at least the peak of this process; ``energy_wh``, estimated by
        `pipeline.runtime.energy.energy_wh`; ``started``, UTC. A resumed training is measured from
        its resumption.
    """
    started, begun, used = datetime.now(UTC), time.perf_counter(), _cpu_seconds()
    watch = _Watch()
    with watch:
        yield
    seconds, cpu_seconds, peak = (
        time.perf_counter() - begun,
        _cpu_seconds() - used,
        watch.peak_bytes,
    )
    row = {
        "stage": stage,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_memory_mb": round(peak / 1e6, 1),
        "energy_wh": round(energy_wh(seconds, cpu_seconds, peak / 1e9, watch.gpu_watts), 4),
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    others = [other for other in read(path) if other["stage"] != stage]
    write_csv(path, sorted([*others, row], key=lambda one: one["started"]))


def read(path: Path = COSTS) -> list[dict[str, Any]]:
    """Rows of the table, numbers as floats; none if the file is missing or is not the table."""
    rows: list[dict[str, Any]] = []
    with suppress(InputError, ValueError, KeyError, TypeError):
        for row in read_csv(path):
            numbers = {name: float(row[name]) for name in COLUMNS[1:-1]}
            rows.append({"stage": row["stage"], **numbers, "started": row["started"]})
    return rows


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
        self.peak_bytes = max(self.peak_bytes, _resident_bytes(), _own_peak_bytes())

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


def _family() -> Iterator[Any]:
    """Living descendants of this process."""
    import psutil

    with suppress(psutil.Error):
        yield from psutil.Process().children(recursive=True)


def _cpu_seconds() -> float:
    """CPU time so far of this process and of its descendants, ended or alive."""
    import psutil

    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in _family():
        with suppress(psutil.Error):
            total += sum(child.cpu_times()[:4])  # user and system, its own and of ended children
    return total


def _resident_bytes() -> int:
    import psutil

    total = psutil.Process().memory_info().rss
    for child in _family():
        with suppress(psutil.Error):
            total += child.memory_info().rss
    return total


def _own_peak_bytes() -> int:
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
    if visible == "" or not shutil.which("nvidia-smi"):
        return []
    command = [
        "nvidia-smi",
        "--query-gpu=power.draw",
        "--format=csv,noheader,nounits",
        *([f"--id={visible}"] if visible else []),
    ]
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        printed = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout
        return [sum(float(line) for line in printed.split("\n") if line.strip())]
    return []
