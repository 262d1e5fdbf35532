"""Log lines of C++ code are kept back while a library loads well, and come when it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import project

ROOT = Path(__file__).parents[2]
ALARMS = (
    "I0000 00:00:1795815586.111141   19960 port.cc:153] oneDNN custom operations are on.",
    "2026-11-27 21:53:10.123456: E external/xla/cuda_fft.cc:477] Unable to register cuFFT factory",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
)
LOADED = """
import os, sys
from pipeline.network.quiet import loading

with loading():
    os.write(2, {alarms!r}.encode())
    print("DeprecationWarning: old", file=sys.stderr)
    {last}
print("ready", file=sys.stderr)
"""


def environment(**own: str) -> dict[str, str]:
    """Without a level of the user's."""
    kept = project.environment()
    for name in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"):
        kept.pop(name, None)
    return kept | {"PYTHONPATH": str(ROOT)} | own


def said(code: str, **own: str) -> tuple[int, list[str]]:
    """Exit status of a program, and the lines of its stderr, which end only with its last child."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(**own), stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr.splitlines()


def load(last: str, **own: str) -> tuple[int, list[str]]:
    return said(LOADED.format(alarms="\n".join([*ALARMS, ""]), last=last), **own)


def test_what_is_no_log_line_of_c_is_said_before_what_follows():
    assert load("pass") == (0, ["DeprecationWarning: old", "ready"])


def test_a_low_level_shows_all():
    assert load("pass", TF_CPP_MIN_LOG_LEVEL="0")[1][:3] == [*ALARMS]


@pytest.mark.parametrize(
    "last", ["import absent", "os.abort()", "sys.exit(3)"], ids=["error", "crash", "exit"]
)
def test_all_lines_come_where_loading_fails(last):
    status, lines = load(last)
    assert status != 0
    assert lines[:3] == [*ALARMS]
    assert "ready" not in lines


BACKEND = "from pipeline.network import backend; backend.prepare(0, 'float32'); print('fine')"


@pytest.mark.slow
def test_the_backend_starts_in_silence():
    assert said(BACKEND) == (0, [])


@pytest.mark.slow
def test_a_backend_that_cannot_be_loaded_is_named():
    status, lines = said(BACKEND, KERAS_BACKEND="nonsense")
    assert status == 1
    assert "nonsense" in lines[-1]


@pytest.mark.slow
def test_a_gpu_that_is_there_but_not_used_is_reported(replaced):
    replaced("nvidia-smi", "exit 0")
    own = environment(CUDA_VISIBLE_DEVICES="0")
    status, lines = said(BACKEND, CUDA_VISIBLE_DEVICES="0", PATH=own["PATH"])
    assert status == 0
    assert "has an NVIDIA driver, but" in lines[-1]
