"""A process that runs tasks for the server, one after the other.

Both sides write a JSON object a line. Each line that the process reads is a task. It answers with
any number of ``{"step": text, "share": 0 to 1}``, and then ``{"done": value}``,
``{"failed": message}`` for the user, or ``{"broken": kind}`` for an error of the program. It ends
when its input does.
"""

import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from ..core.errors import InputError
from ..network.card import read_card
from ..runtime import logs
from ..segmenting.model import Model

log = logging.getLogger(__name__)

Report = Callable[[str, float], None]
"""Tells the server what is being done, and which share of the whole is done."""
TASKS = {
    "recognise": ".recognition",
    "load": ".segmentation",
    "segment": ".segmentation",
    "finish": ".segmentation",
    "follow": ".following",
    "correct": ".correction_task",
}
"""Module of each task: a function of its name that takes the task's values and a `Report`."""


def main() -> None:
    """Run tasks from standard input until it ends."""
    answers = _own_output()
    logs.set_up()
    logging.getLogger(__package__.partition(".")[0]).setLevel(logging.ERROR)  # warnings name cases
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    while True:
        _answer(tasks.get(), answers)


def _own_output() -> TextIO:
    """Standard output for answers alone; what else is printed goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _read(tasks: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)  # the server has ended, so nobody waits for the present task


def _answer(task: dict[str, Any], answers: TextIO) -> None:
    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    def report(step: str, share: float) -> None:
        say(step=step, share=share)

    name, values = task["task"], task["values"]
    try:
        function = getattr(import_module(TASKS[name], __package__), name)
        say(done=function(values, report))
    except (InputError, OSError) as error:
        say(failed=_without_place(error, Path(values.get("folder", "upload"))))
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("task %s failed with %s:\n%s", name, type(error).__name__, where)
        say(broken=type(error).__name__)


def _without_place(error: Exception, folder: Path) -> str:
    text = f"{error.strerror}" if isinstance(error, OSError) else str(error)
    for place in (folder / "upload", folder):
        text = text.replace(f"{place}/", "").replace(f"{place}: ", "").replace(str(place), ".")
    return text


@cache
def model(folder: str) -> Model:
    """The network in a folder, loaded once."""
    return Model(Path(folder), read_card(Path(folder)))


if __name__ == "__main__":
    main()
