"""Work that the server gives to its processes: a queue each, restarted when they end."""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What a worker shall do, and who is told; `ended` gets ``{"done": ...}``, ``{"failed": ...}``,
    ``{"broken": ...}`` or, if the process ended, ``{}``.
    """

    name: str
    values: Mapping[str, Any]
    started: Callable[[], None] = lambda: None
    reported: Callable[[str, float], None] = lambda step, share: None
    ended: Callable[[Mapping[str, Any]], None] = lambda answer: None


@dataclass(eq=False)
class Worker:
    """A process that runs tasks in their order, started with the first one."""

    name: str
    _tasks: "queue.SimpleQueue[Task | None]" = field(default_factory=queue.SimpleQueue)
    _process: "subprocess.Popen[str] | None" = None
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Tasks that are not started."""
        return self._tasks.qsize()

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def submit(self, task: Task) -> None:
        """Run a task after those before."""
        self._tasks.put(task)

    def end_process(self) -> None:
        """End the process, and with it the present task."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the process, and start no other."""
        self._stopped = True
        self._tasks.put(None)
        self.end_process()
        self._thread.join(10)
        self._close_pipes()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None and not self._stopped:
            try:
                task.started()
                answer = self._ask(task)
                if not self._stopped:
                    task.ended(answer)
            except (InputError, OSError) as error:  # a case deleted meanwhile, or a full disk
                log.error("%s: %s cannot be noted (%s)", self.name, task.name, type(error).__name__)

    def _ask(self, task: Task) -> Mapping[str, Any]:
        process = self._running()
        assert process.stdin
        assert process.stdout
        try:
            line = json.dumps({"task": task.name, "values": dict(task.values)})
            process.stdin.write(line + "\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if "step" not in answer:
                    return answer
                task.reported(answer["step"], answer["share"])
        except BrokenPipeError:
            pass
        return {}

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout) if self._process else ():
            assert pipe
            with suppress(OSError):  # what was not sent is not wanted
                pipe.close()

    def _running(self) -> "subprocess.Popen[str]":
        if self.pid is None:
            self._close_pipes()
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        assert self._process
        return self._process
