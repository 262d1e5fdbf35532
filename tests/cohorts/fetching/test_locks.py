"""Only one process and thread at a time is at work in a folder."""

import fcntl
import logging
import subprocess
import sys
import threading

import pytest

from pipeline.cohorts.fetching.locks import alone
from pipeline.core.errors import InputError


def test_a_second_thread_waits_and_says_so(tmp_path, caplog):
    order = []

    def second() -> None:
        with alone(tmp_path / ".lock"):
            order.append("second")

    with caplog.at_level(logging.INFO), alone(tmp_path / ".lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert f"{tmp_path}: another process is at work here" in caplog.text


def test_a_lock_ends_with_its_block_whatever_ended_that_and_the_empty_file_stays(tmp_path):
    with pytest.raises(KeyError), alone(tmp_path / ".lock"):
        raise KeyError
    with alone(tmp_path / ".lock"):
        pass
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_lock_ends_with_a_process_that_is_killed(tmp_path):
    code = (
        "import sys, pathlib; from pipeline.cohorts.fetching.locks import alone\nwith"
        " alone(pathlib.Path(sys.argv[1])): print('held', flush=1); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with (tmp_path / ".lock").open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder.kill()
    with alone(tmp_path / ".lock"):
        pass


def test_a_file_system_without_locks_is_refused_with_the_way_out(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unknown)
    refused = pytest.raises(
        InputError,
        match=(
            r"\.lock: cannot be locked \(Function not implemented\)\. Choose a folder on a local"
            r" disk"
        ),
    )
    with refused, alone(tmp_path / ".lock"):
        pass
