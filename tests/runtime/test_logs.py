"""-q and -v of every command and stage."""

import argparse
import logging
import os
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.core.progress import VERBOSITY
from pipeline.runtime import logs
from pipeline.runtime.errors import reported_errors


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """The log and the environment as before."""
    monkeypatch.setenv(VERBOSITY, "normal")
    root, package = logging.getLogger(), logging.getLogger("pipeline")
    before = root.level, package.level, root.handlers[:]
    yield
    root.level, package.level, root.handlers[:] = before


def said(capsys, *flags: str) -> str:
    """What messages of all levels become on stderr."""
    parser = argparse.ArgumentParser()
    logs.add_arguments(parser)
    logs.choose(parser.parse_args(flags))
    with reported_errors():
        for name in ("pipeline.train", "mlflow.store", "other"):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logging.getLogger(name).log(level, f"{name}-{logging.getLevelName(level)}")
    return capsys.readouterr().err


OURS = [f"pipeline.train-{level}" for level in ("DEBUG", "INFO", "WARNING", "ERROR")]


@pytest.mark.parametrize(
    ("flags", "shown"), [((), OURS[1:]), (("-q",), OURS[2:]), (("--verbose",), OURS)]
)
def test_the_flags_set_how_much_is_said(capsys, flags, shown):
    text = said(capsys, *flags)
    assert [one for one in OURS if one in text] == shown
    assert ("mlflow.store-WARNING" in text) == (flags == ("--verbose",))
    assert "mlflow.store-DEBUG" not in text


def test_a_process_that_this_one_starts_says_as_much(capsys):
    said(capsys, "--quiet")
    assert os.environ[VERBOSITY] == "quiet"
    assert "pipeline.train-INFO" not in said(capsys)


def test_quiet_and_verbose_exclude_each_other(capsys):
    with pytest.raises(SystemExit, match="2"):
        said(capsys, "-q", "-v")


@pytest.mark.parametrize("flag", ["-q", "-v"])
def test_an_error_is_reported_whatever_the_flag_and_with_its_place_by_verbose(capsys, flag):
    said(capsys, flag)
    with pytest.raises(SystemExit, match="error: bad file"), reported_errors():
        raise InputError("bad file")
    assert ("test_logs.py" in capsys.readouterr().err) == (flag == "-v")


def test_a_path_is_a_url_on_a_terminal_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = Path("a b/report.html")
    assert logs.shown(report) == "a b/report.html"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert logs.shown(report) == f"{tmp_path.as_uri()}/a%20b/report.html"
