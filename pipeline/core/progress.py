"""Progress of long loops: a bar on a terminal, and now and then a line in a log."""

import os
import sys
from contextlib import AbstractContextManager
from typing import Any, TextIO

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

VERBOSITY = "TUMORFLOW_LOG"
"""Environment variable: how much is said, quiet, normal or verbose; see `runtime.logs`."""
LINE_EVERY_S = 60.0
_LINE = "{desc}: {n_fmt} of {total_fmt}, {elapsed} elapsed, {remaining} left{postfix}"


class Bar(tqdm):
    """A tqdm that writes whole lines, the first after `LINE_EVERY_S`, where stderr is no terminal;
    what says nothing for so long leaves no line. Nothing at all where `VERBOSITY` is quiet.
    """

    def __init__(self, *arguments: Any, **settings: Any):
        if os.environ.get(VERBOSITY) == "quiet":
            settings["disable"] = True
        # a notebook takes carriage returns as a terminal does
        if sys.stderr.isatty() or "ipykernel" in sys.modules:
            super().__init__(*arguments, mininterval=1, **settings)
        else:
            seconds = dict.fromkeys(("delay", "mininterval", "maxinterval"), LINE_EVERY_S)
            super().__init__(
                *arguments, file=_Lines(sys.stderr), bar_format=_LINE, **seconds, **settings
            )


def logged_above_bars() -> AbstractContextManager[None]:
    """Within this context, what is logged to a terminal stands above the bar."""
    return logging_redirect_tqdm(tqdm_class=Bar)


class _Lines:
    """A file for a bar: every state that it draws becomes a line."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, text: str) -> None:
        if line := text.strip():
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        self._file.flush()
