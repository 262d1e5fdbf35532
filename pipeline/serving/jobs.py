"""Work that the server gives to its processes: a queue each, restarted when they end."""

import json
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from threading import Condition, Thread, Timer
from typing import Any

log = logging.getLogger(__name__)

Answer = Mapping[str, Any]
"""``{"done": ...}``; ``{"failed": words}``; ``{"broken": ...}`` for an error of the program;
``{"late": seconds}`` if it took too long; or ``{}`` if the process ended. Beside them ``"ends"``:
whether the process takes no further task, and ``"absent"``: whether there is no network."""
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "MALLOC_ARENA_MAX": "2",  # arenas keep what is freed
    "MIMALLOC_ARENA_RESERVE": "131072KiB",  # pyarrow's else takes 1 GiB of the limit of the reader
}
"""Added to the environment of each process."""
_LONGEST_S = 1e6
_LATE = (
    "This took longer than {:.0f} s and was ended. Try it again when the server has less to do, or"
    " send less at once."
)
_BROKEN = "TumorFlow failed at this. The log of the server says where."


def message_of(answer: Answer, if_ended: str) -> str:
    """Why a task gave nothing, for a person."""
    if not answer:
        return if_ended
    if "late" in answer:
        return _LATE.format(answer["late"])
    return answer.get("failed") or _BROKEN


@dataclass(frozen=True, eq=False)
class Task:
    """What a worker shall do, for which case, how many seconds it may take, and what is called
    when it starts, reports and ends.
    """

    name: str
    values: Mapping[str, Any]
    case_id: str = ""
    most_s: float = inf
    started: Callable[[], None] = lambda: None
    reported: Callable[[str, float], None] = lambda step, share: None
    ended: Callable[[Answer], None] = lambda answer: None


class Worker:
    """A process that runs tasks in their order, started with the first one.

    Parameters
    ----------
    name : str
        Of the process in the log, and the first argument that it gets.
    ends_when_idle : bool
        Whether the process ends when no task is left, for the memory that it takes.
    """

    def __init__(self, name: str, ends_when_idle: bool = False) -> None:
        self.name, self._ends_when_idle = name, ends_when_idle
        self._tasks: deque[Task] = deque()
        self._present: Task | None = None  # until its end is noted
        self._asked: Task | None = None  # until the process has answered
        self._changed = Condition()
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = self._is_late = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def warm_up(self) -> None:
        """Start the process before the first task."""
        self._running()

    def submit(self, task: Task) -> None:
        """Run a task after those before."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify()

    def holds(self, case_id: str) -> bool:
        """Whether a task of a case waits or runs."""
        with self._changed:
            present = [self._present] if self._present else []
            return any(task.case_id == case_id for task in [*present, *self._tasks])

    def ahead(self, case_id: str, name: str) -> int:
        """How many tasks of a name come before that of a case."""
        with self._changed:
            tasks = [*([self._present] if self._present else []), *self._tasks]
        ids = [task.case_id for task in tasks if task.name == name]
        return ids.index(case_id) if case_id in ids else 0

    def cancel(self, case_id: str) -> None:
        """Forget the tasks of a case, and end the process if it works on one. `ended` is not
        called.
        """
        with self._changed:
            kept = [task for task in self._tasks if task.case_id != case_id]
            self._tasks = deque(kept)
            if self._asked and self._asked.case_id == case_id:
                self._present = None
                self.end_process()

    def end_process(self) -> None:
        """End the process, and with it the present task."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> Task | None:
        """End the process, and start no other; the task that it worked on is returned."""
        with self._changed:
            self._is_stopped = True
            asked = self._asked
            self._changed.notify()
            self.end_process()
        self._thread.join(10)
        return asked

    def _run(self) -> None:
        while task := self._next():
            before = time.monotonic()
            answer: Answer = {"failed": "It could not be started."}
            try:
                task.started()
                answer = self._ask(task)
            except Exception as error:  # a case deleted meanwhile, or a full disk
                self._note(task, "cannot be started", error)
            self._log(task, answer, time.monotonic() - before)
            self._end(task, answer)
        self.end_process()
        self._close_pipes()

    def _next(self) -> Task | None:
        """Wait for the next task; None when the worker is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._is_stopped)
            self._present = None if self._is_stopped else self._tasks.popleft()
            return self._present

    def _end(self, task: Task, answer: Answer) -> None:
        with self._changed:
            is_wanted = self._present is task and not self._is_stopped
        try:
            if is_wanted:
                task.ended(answer)
        except Exception as error:
            self._note(task, "its end cannot be noted", error)
        with self._changed:
            self._present = None
            if self._ends_when_idle and not self._tasks:
                self.end_process()

    def _note(self, task: Task, what: str, error: Exception) -> None:
        log.error("%s: %s: %s (%s)", task.case_id or "-", task.name, what, type(error).__name__)

    def _log(self, task: Task, answer: Answer, seconds: float) -> None:
        how = next((key for key in answer if key != "done"), "" if answer else "process ended")
        words = f"{task.name} {how}".strip()
        log.info("%s: %s, %.1f s", task.case_id or "-", words, seconds)

    def _ask(self, task: Task) -> Answer:
        process = self._running()
        assert process.stdin
        assert process.stdout
        with self._changed:
            self._is_late, self._asked = False, task
        timer = Timer(min(task.most_s, _LONGEST_S), self._end_late, [task])
        timer.daemon = True
        timer.start()
        try:
            line = json.dumps({"task": task.name, "values": dict(task.values)})
            process.stdin.write(line + "\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if "step" not in answer:
                    if answer.get("ends"):  # else the next task would be lost with it
                        self.end_process()
                    return answer
                task.reported(answer["step"], answer["share"])
        except (BrokenPipeError, ValueError):  # it ended, or in the middle of a line
            self.end_process()
        finally:
            timer.cancel()
            with self._changed:
                self._asked = None
        process.wait()
        return {"late": task.most_s} if self._is_late else {}

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout) if self._process else ():
            with suppress(OSError):  # what was not sent is not wanted
                assert pipe
                pipe.close()

    def _end_late(self, task: Task) -> None:
        with self._changed:
            if self._asked is task:
                self._is_late = True
                self.end_process()

    def _running(self) -> "subprocess.Popen[str]":
        with self._changed:
            if self.pid is None and not self._is_stopped:
                self._close_pipes()
                self._process = subprocess.Popen(
                    [sys.executable, "-m", f"{__package__}.worker", self.name],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    env={**os.environ, **ENVIRONMENT},
                    process_group=0,  # Ctrl-C is for the server, which ends it
                )
        assert self._process
        return self._process
