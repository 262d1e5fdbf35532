"""A bar on a terminal, lines in a log, nothing where only results are asked for."""

import io
import sys

import pytest

from pipeline.core import progress


class Stderr(io.StringIO):
    """What was written to stderr, a terminal or a file."""

    def __init__(self, terminal: bool):
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def drawn(patch: pytest.MonkeyPatch, terminal: bool, every_s: float = 0.0) -> str:
    stderr = Stderr(terminal)
    patch.setattr(sys, "stderr", stderr)
    patch.setattr(progress, "LINE_EVERY_S", every_s)
    assert list(progress.Bar(range(3), "verify", unit="case")) == [0, 1, 2]
    return stderr.getvalue()


def test_a_terminal_gets_a_bar_that_is_drawn_over_and_over(monkeypatch):
    assert "\rverify: 100%" in drawn(monkeypatch, terminal=True)


def test_a_log_gets_whole_lines_and_none_of_what_was_over_soon(monkeypatch):
    said = drawn(monkeypatch, terminal=False)
    assert "\r" not in said
    assert said.splitlines()[-1].startswith("verify: 3 of 3, 00:00 elapsed")
    assert all(said.splitlines())
    assert drawn(monkeypatch, terminal=False, every_s=60.0) == ""


def test_quiet_leaves_out_both(monkeypatch):
    monkeypatch.setenv(progress.VERBOSITY, "quiet")
    assert drawn(monkeypatch, terminal=True) == drawn(monkeypatch, terminal=False) == ""
