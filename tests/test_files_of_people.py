"""Cohorts laid out as people have them, by links, in capitals, unpacked into folders, give what the
same cohort gives as published.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.runtime import parallel
from tests import project
from tests.bad_inputs import GOOD
from tests.conftest import write_case

pytestmark = pytest.mark.slow

LOCAL = [name for name, good in GOOD.items() if good.location == "."]
ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".mat", ".png", ".jpg", ".tif", ".dcm")


@pytest.fixture(autouse=True, scope="module")
def in_this_process():
    with parallel.computing(project.ONE_PROCESS):
        yield


@pytest.fixture(scope="module", params=LOCAL)
def published(request, tmp_path_factory) -> tuple[str, Path, dict]:
    """A cohort as published: its name, folder and identities."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "source").mkdir()
    GOOD[request.param].write(folder / "source")
    return request.param, folder / "source", identities(folder, request.param)


def identities(folder: Path, name: str, **values) -> dict[str, list[str]]:
    """Case to the content of its images and mask, from the catalogue of the cohort in
    folder/source.
    """
    where = {"source": GOOD[name].source, "location": str(folder / "source")} | values
    return {
        entry.case: [file.content_sha256 for file in (*entry.images.values(), entry.labels)]
        for entry in project.download_cohort(folder, **where).cases
    }


def linked_folders(source: Path, target: Path) -> None:
    """Every entry of the cohort a link, as where cases were picked out of a larger store; and a
    link that leads in a circle.
    """
    for entry in source.iterdir():
        (target / entry.name).symlink_to(entry)
    (target / "circle").symlink_to(target)


def linked_deep(source: Path, target: Path) -> None:
    """The folders that hold files are links, each with the files away."""
    for place, folder in enumerate(
        sorted({path.parent for path in source.rglob("*") if path.is_file()})
    ):
        inner = target / folder.relative_to(source)
        if folder == source:
            for path in folder.iterdir():
                if path.is_file():
                    shutil.copy(path, target)
        elif not any(parent.is_symlink() for parent in inner.parents):
            inner.parent.mkdir(parents=True, exist_ok=True)
            inner.symlink_to(shutil.copytree(folder, target.with_name(f"store-{place}")))


def in_capitals(source: Path, target: Path) -> None:
    """Endings in capitals."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in sorted(target.rglob("*")):
        ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
        if ending and path.is_file():
            path.rename(path.with_name(path.name.removesuffix(ending) + ending.upper()))


def a_folder_each(source: Path, target: Path) -> None:
    """A folder of its name around every volume, its file under another name."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.name.endswith((".nii", ".nii.gz", ".mha")):
            stored = path.read_bytes()
            path.unlink()
            path.mkdir()
            (path / f"0057_brain{''.join(path.suffixes)}").write_bytes(stored)


@pytest.mark.parametrize("layout", [linked_folders, linked_deep, in_capitals, a_folder_each])
def test_the_same_cases_are_found_however_they_are_laid_out(
    tmp_path, published, layout: Callable[[Path, Path], None]
):
    name, folder, expected = published
    if layout is in_capitals and name == "msd":
        pytest.skip("dataset.json names every file")
    (tmp_path / "source").mkdir()
    layout(folder, tmp_path / "source")
    assert identities(tmp_path, name) == expected


def test_a_tilde_in_the_location_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for number in range(2):
        write_case(tmp_path / "cases", f"BraTS2021_0000{number}", seed=number)
    assert len(identities(tmp_path, "brats", location="~/cases")) == 2


@pytest.mark.parametrize("name", ["brats", "2023", "mha", "folder"])
def test_cases_without_a_mask_are_left_out_and_counted_where_the_user_says_so(tmp_path, name):
    GOOD[name].write(tmp_path / "source")
    masks = sorted(
        path for kind in ("seg", "truth") for path in (tmp_path / "source").rglob(f"*{kind}.*")
    )
    masks[0].unlink()
    kept = identities(tmp_path, name, unlabelled="leave out")
    assert len(kept) == len(masks) - 1
    first = identities(tmp_path, name, unlabelled="leave out", cases=1)
    assert first == dict([min(kept.items())])
    warned = (tmp_path / "verify.json").read_text()
    assert f"1 of {len(masks)} cases have no mask and were left out" in warned
