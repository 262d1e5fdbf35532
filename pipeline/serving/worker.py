"""A process that runs tasks for the server, one after the other.

Both sides write a JSON object a line. Each line that the process reads is a task. It answers with
any number of ``{"step": text, "share": 0 to 1}``, and then ``{"done": value}``,
``{"failed": message}`` for the user, or ``{"broken": kind}`` for an error of the program; with
``"ends": true`` if the process takes no further task, and ``"absent": true`` if there is no
network. It ends when its input does, too.

Libraries print what they find in files, which may name a patient: of all that is printed here only
the lines of this module reach the log of the server.
"""

import gc
import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from ..core.errors import InputError
from ..network.card import read_card
from ..segmenting.model import Model
from .limits import READER, READER_BYTES
from .refusals import ModelAbsent, for_page
from .store import BODY, NAMED, UPLOAD

log = logging.getLogger(__name__)

Report = Callable[[str, float], None]
"""Tells the server what is being done, and which share of the whole is done."""
TASKS = {
    "recognise": ".recognition",
    "load": ".segmentation",
    "segment": ".segmentation",
    "show_held_out": ".held_out",
    "compare_models": ".comparing",
    "list_runs": ".runs",
    "finish": ".segmentation",
    "follow": ".following",
    "correct": ".correction_task",
}
"""Module of each task: a function of its name that takes the task's values and a `Report`."""
_TOO_LARGE = (
    "The files need more memory than the server gives to one case. Send the four series alone, or"
    " smaller ones."
)

_MOST_MODELS = 3  # loaded at the same time; the one used longest ago makes room


def main() -> None:
    """Run tasks from standard input until it ends."""
    answers = _own_output()
    if sys.argv[1:] == [READER]:
        bound_memory(READER_BYTES)
        import_module(TASKS["recognise"], __package__)  # takes longer than reading a case
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    while _answer(tasks.get(), answers):
        _free_memory()


def bound_memory(most: int) -> None:
    """Let this process take so many bytes: what needs more raises MemoryError. Windows has no such
    limit.
    """
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _own_output() -> TextIO:
    """Standard output for answers alone, and the log for lines of this module alone; what else is
    printed is dropped.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    handler = logging.StreamHandler(os.fdopen(os.dup(2), "w", encoding="utf-8"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    log.addHandler(handler)
    log.propagate = False
    return answers


def _read(tasks: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)  # the server has ended, so nobody waits for the present task


def _answer(task: dict[str, Any], answers: TextIO) -> bool:
    """Run a task; whether the process can go on: memory that ran short may not come back."""

    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    def report(step: str, share: float) -> None:
        say(step=step, share=share)

    name, values = task["task"], task["values"]
    try:
        function = getattr(import_module(TASKS[name], __package__), name)
        say(done=function(values, report))
    except ModelAbsent as error:
        say(failed=str(error), absent=True)
    except (InputError, OSError) as error:
        say(failed=for_page(error, *_places(values)))
    except MemoryError:
        say(failed=_TOO_LARGE, ends=True)
        return False
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("task %s failed with %s:\n%s", name, type(error).__name__, where)
        say(broken=type(error).__name__)
    return True


def _places(values: dict[str, Any]) -> list[Path]:
    """Folders of a task that no message shall name, the innermost first."""
    folder = Path(values.get("folder", "upload"))
    upload = folder / UPLOAD
    chosen = (folder / UPLOAD / NAMED).glob("*")
    named = [upload / "files", *chosen, upload / BODY, upload, folder]
    named += [Path(values["model"])] if "model" in values else []
    return [place for one in named for place in (one.absolute(), one)]


def _free_memory() -> None:
    """Give freed memory back to the system."""
    gc.collect()
    with suppress(OSError, AttributeError):  # of glibc alone
        CDLL(None).malloc_trim(0)


def model(folder: str) -> Model:
    """The network in a folder, loaded once, and anew when a training has replaced it;
    `refusals.ModelAbsent` while there is none.
    """
    try:
        return _model(folder, (Path(folder) / "card.json").stat().st_mtime_ns)
    except (InputError, OSError) as error:
        log.error("the network cannot be read: %s", error)
        raise ModelAbsent from None


@lru_cache(_MOST_MODELS)
def _model(folder: str, changed_ns: int) -> Model:
    return Model(Path(folder), read_card(Path(folder)))


if __name__ == "__main__":
    main()
