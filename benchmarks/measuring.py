"""How a benchmark measures: processes of their own on a few cores, watched from outside, and
figures with their spread.
"""

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
_MARK = "measured: "


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    name, unit : str
        What was measured, and in what.
    values : sequence of float
        One per run; none if it was skipped, for the reason that `note` gives.
    at_most, at_least : float, optional
        The target.
    beside : (float, str), optional
        Another figure for the same thing and whose it is; the ratio of the median to it is printed.
    note : str
        What one must know to read the figure.
    """

    name: str
    unit: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None
    beside: tuple[float, str] | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """Of the runs."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """Whether the median reaches the target, and what share of it that is; empty without a
        target.
        """
        target = self.at_least if self.at_most is None else self.at_most
        if target is None or not self.values:
            return ""
        reached = self.median >= target if self.at_most is None else self.median <= target
        return ("met" if reached else "MISSED") + (
            f", {self.median / target:.2f} of it" if target else ""
        )


@dataclass(frozen=True)
class Watched:
    """A process that has ended, with all that it started.

    Attributes
    ----------
    seconds, cpu_seconds : float
        By the clock, and of the processors, children included.
    tree_gb : float
        Largest resident memory of all processes together; pages they share count more than once.
    process_gb : float
        Largest resident memory of one process.
    lines : list of (float, str)
        What it printed, and when, in seconds from its start.
    """

    seconds: float
    cpu_seconds: float
    tree_gb: float
    process_gb: float
    lines: list[tuple[float, str]]


def watched(
    command: Sequence[str],
    cores: int,
    folder: Path = ROOT,
    environment: dict[str, str] | None = None,
) -> Watched:
    """Run a command on so many cores to its end.

    Raises
    ------
    RuntimeError
        If it fails, with the end of what it printed.
    """
    before, started = _ended_children_cpu(), time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=lambda: os.sched_setaffinity(0, chosen_cores(cores)),
    )
    with process, memory_of(process.pid) as memory:
        lines = [(time.perf_counter() - started, line) for line in process.stdout]
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed with {process.returncode}:\n"
            + "".join(line for _, line in lines[-40:])
        )
    return Watched(
        seconds, _ended_children_cpu() - before, memory.tree_gb, memory.process_gb, lines
    )


def chosen_cores(count: int) -> list[int]:
    """The last so many cores that this process may use."""
    return sorted(os.sched_getaffinity(0))[-count:]


def _ended_children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Memory:
    """Largest resident memory of a process with its children, and of one of them, in GB."""

    tree_gb: float = 0.0
    process_gb: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def look(self, process: psutil.Process) -> None:
        while not self.over.wait(0.1):
            sizes = _sizes(process)
            self.tree_gb = max(self.tree_gb, sum(now for now, _ in sizes))
            self.process_gb = max([self.process_gb, *(largest for _, largest in sizes)])


@contextmanager
def memory_of(pid: int) -> Iterator[Memory]:
    """Look at a process and its children ten times a second."""
    memory = Memory()
    looking = threading.Thread(target=memory.look, args=(psutil.Process(pid),))
    looking.start()
    try:
        yield memory
    finally:
        memory.over.set()
        looking.join()


def resident_gb(pid: int) -> float:
    """Resident memory of a process and all its children now."""
    return sum(now for now, _ in _sizes(psutil.Process(pid)))


def _sizes(process: psutil.Process) -> list[tuple[float, float]]:
    return [_status_gb(member.pid) for member in _tree(process)]


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _status_gb(pid: int) -> tuple[float, float]:
    """Resident memory of a process, and the most it ever had, which Linux keeps."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0.0, 0.0
    sizes = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return int(sizes.get("VmRSS", 0)) / 1e6, int(sizes.get("VmHWM", 0)) / 1e6


def apart(
    function: Callable, *arguments: Any, cores: int = 2, folder: Path = ROOT
) -> tuple[Any, Watched]:
    """Call a function of a module in a process of its own, on so many cores, with the code in
    `folder`; what goes in and out is JSON.
    """
    name, module = function.__name__, function.__module__
    if module == "__main__":  # run as `python -m`
        module = sys.modules[module].__spec__.name
    program = (
        f"import json, sys; from {module} import {name}; print({_MARK!r} +"
        f" json.dumps({name}(*json.loads(sys.argv[1]))))"
    )
    ran = watched([sys.executable, "-c", program, json.dumps(arguments)], cores, folder)
    result = next(line for _, line in reversed(ran.lines) if line.startswith(_MARK))
    return json.loads(result.removeprefix(_MARK)), ran


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """Seconds by the clock and of the processors, this process and its living and ended children
    together.
    """
    taken: dict[str, float] = {}
    cpu, started = _tree_cpu(), time.perf_counter()
    yield taken
    taken |= {"seconds": time.perf_counter() - started, "cpu_seconds": _tree_cpu() - cpu}


def _tree_cpu() -> float:
    own = psutil.Process().cpu_times()
    living = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return (
        own.children_user
        + own.children_system
        + sum(times.user + times.system for times in [own, *living])
    )


@contextmanager
def timed(taken: dict[str, float], part: str) -> Iterator[None]:
    """Note the seconds that a block takes under the name of the part."""
    started = time.perf_counter()
    yield
    taken[part] = time.perf_counter() - started
