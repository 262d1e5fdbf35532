"""Own code is looked at and never run."""

from pathlib import Path

import pytest

from pipeline.checking.own_names import fault_of

CODE = """
raise SystemExit("this was run")
from os import path as renamed
import json
def function(): ...
class Class: ...
first, second = 1, 2
value: int = 3
try:
    import tomllib
except ImportError:
    tomllib = None
"""


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/inner").mkdir(parents=True)
    (tmp_path / "mine/code.py").write_text(CODE)
    (tmp_path / "mine/inner/star.py").write_text("from somewhere import *")
    (tmp_path / "mine/broken.py").write_text("def (")
    return tmp_path


def found(name, code="mine"):
    return list(fault_of(name, "train.loss", code))


@pytest.mark.parametrize(
    "name", ["renamed", "json", "function", "Class", "first", "second", "value", "tomllib"]
)
def test_what_a_module_defines_is_found_without_running_it(name):
    assert found(f"mine.code:{name}") == []


def test_what_a_module_may_import_with_a_star_is_accepted():
    assert found("mine.inner.star:anything") == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent:loss", "there is no module absent in"),
        ("mine.absent:loss", "there is no module mine.absent in"),
        ("mine.code.deeper:loss", "there is no module mine.code.deeper in"),
        ("mine.code:loss", "defines no loss."),
        ("mine.broken:loss", "broken.py cannot be read: invalid syntax"),
        ("loss", "expected your own as package.module:attribute"),
    ],
)
def test_a_name_that_does_not_exist_is_rejected_with_its_key(name, said):
    (fault,) = found(name)
    assert fault.startswith(f"train.loss is {name!r}, ")
    assert said in fault


def test_a_module_outside_of_own_code_is_rejected_since_dvc_would_miss_its_changes():
    Path("other.py").write_text("loss = 1")
    (fault,) = found("other:loss")
    assert "own_code names mine. Name the file or folder of other there" in fault
    assert found("other:loss", "other.py") == []


def test_names_of_keras_need_no_own_code():
    assert found("keras.optimizers:Lion", "pipeline/__init__.py") == []
    (fault,) = found("keras.optimizers:Tiger", "pipeline/__init__.py")
    assert "defines no Tiger" in fault
