"""A store deletes its own cases, and nothing else."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.serving.cases import Cases
from pipeline.serving.follow_ups import FollowUps
from pipeline.serving.kept_scenes import KeptScenes
from pipeline.serving.store import Store
from tests.serving.hosted import MODEL

HOUR = timedelta(hours=1)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def swept(folder: Path) -> Store:
    """A store after everything that deletes in it has looked."""
    store = Store(folder, HOUR)
    store.remove_rest(older_than_s=0)
    FollowUps(Cases(store, MODEL)).sweep()
    KeptScenes(folder / "scenes", HOUR, lambda _: True).sweep()
    return store


@pytest.mark.parametrize("name", ["image.nii.gz", "cases/patient1/image.nii.gz", "other/a"])
def test_a_folder_with_other_files_is_no_store_and_stays_as_it_is(tmp_path, name):
    place = tmp_path / "mine"
    written(place / name)
    place.chmod(0o755)
    with pytest.raises(InputError, match="is no store of `serve`"):
        Store(place, HOUR)
    assert files_below(place) == {name}
    assert place.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("part", ["cases", "follow", "scenes"])
def test_what_is_put_beside_the_cases_is_not_deleted(tmp_path, part):
    swept(tmp_path / "store")
    foreign = written(tmp_path / "store" / part / "patient1" / "image.nii.gz")
    old = time.time() - 1e6
    os.utime(foreign.parent, (old, old))
    swept(tmp_path / "store")
    assert foreign.is_file()


def test_a_store_of_an_earlier_version_is_taken_on(tmp_path):
    before = Store(tmp_path / "store", HOUR)
    state = before.new("Study")
    (tmp_path / "store" / "tumorflow-store.json").unlink()
    assert [one.id for one in swept(tmp_path / "store").all()] == [state.id]


def test_a_case_whose_state_cannot_be_read_is_kept_as_long_as_others(tmp_path):
    store = Store(tmp_path, HOUR)
    state = store.new("Study")
    folder = store.folder_of(state.id)
    (folder / "state.json").write_text('{"format_version": 2}')
    swept(tmp_path)
    assert folder.is_dir()
    old = time.time() - 2 * HOUR.total_seconds()
    os.utime(folder, (old, old))
    swept(tmp_path)
    assert not folder.exists()
