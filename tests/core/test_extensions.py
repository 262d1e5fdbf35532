"""Own code named as package.module:attribute."""

import sys

import pytest

from pipeline.core.errors import InputError
from pipeline.core.extensions import NONE, resolve

KNOWN = {"ours": 1}


def forget(package):
    """Let the next import of a package and its modules read their files."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module of a user, as the current one."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").touch()  # else a mine.py anywhere on the path goes first
    (tmp_path / "mine/losses.py").write_text("focal = 'mine'\n")
    (tmp_path / "mine/broken.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    forget("mine")  # of another file's tests
    yield tmp_path
    forget("mine")


def test_a_name_of_ours_is_ours():
    assert resolve("ours", KNOWN, "train.loss", NONE) == 1


@pytest.mark.parametrize("code", [None, "mine", "mine/losses.py"])
def test_an_attribute_of_a_module_of_the_current_folder_is_found(folder, code):
    assert resolve("mine.losses:focal", KNOWN, "train.loss", code) == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("theirs", r"train\.loss is 'theirs'. Set it to one of ours"),
        ("mine.losses:dice", "has no attribute 'dice'"),
        ("mine.nothing:dice", r"No module named 'mine\.nothing'.* mine/nothing\.py lies in"),
        ("mine.broken:dice", "No module named 'no_such_library'"),
    ],
)
def test_what_cannot_be_found_is_named(folder, name, message):
    with pytest.raises(InputError, match=message):
        resolve(name, KNOWN, "train.loss", "mine")


def test_a_module_that_dvc_does_not_watch_is_rejected(folder):
    with pytest.raises(InputError, match=r"own_code names pipeline/__init__\.py"):
        resolve("mine.losses:focal", KNOWN, "train.loss", NONE)
