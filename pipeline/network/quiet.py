"""Keeps back what TensorFlow's C++ code logs while it is loaded, unless loading it fails.

TensorFlow writes these lines to file descriptor 2 before it reads TF_CPP_MIN_LOG_LEVEL, so that no
level hides them. Another process takes them meanwhile: it outlives a crash of this one, which may
have said the reason in them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_FINE = "\0"
_REPEAT = rf"""
import re, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
said, fine, later = sys.stdin.buffer.read().partition({_FINE.encode()!r})
logged = rb"[IWE]\d{{4}} \d\d:\d\d:|\d{{4}}-\d\d-\d\d \S+: [IWE] |WARNING: All log messages before"
for line in (said + later).splitlines(True):
    if not (fine and re.match(logged, line)):
        sys.stderr.buffer.write(line)
"""


@contextmanager
def loading() -> Iterator[None]:
    """Keep back log lines of C++ code in the block: information, warnings and errors. All else that
    is written to stderr comes at its end, and they do if it raises or the process crashes. A level
    of 0 or 1 in TF_CPP_MIN_LOG_LEVEL, which asks for them, keeps nothing back.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1") or not _is_open(2):
        yield
        return
    own, (source, target) = os.dup(2), os.pipe()
    command = [sys.executable, "-I", "-S", "-c", _REPEAT]
    reader = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL)
    os.close(source)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
        with suppress(OSError):
            os.write(2, _FINE.encode())
    finally:
        os.dup2(own, 2)  # ends the pipe
        os.close(own)
        reader.wait()


def _is_open(descriptor: int) -> bool:
    with suppress(OSError):
        os.fstat(descriptor)
        return True
    return False
