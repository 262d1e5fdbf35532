"""A store deletes what the server made and has expired, and nothing else."""

import json
import os
import stat
import time
from argparse import ArgumentParser
from datetime import timedelta

import pytest

from pipeline.commands import serve
from pipeline.core.errors import InputError
from pipeline.serving.cases import Cases
from pipeline.serving.follow_ups import FollowUps
from pipeline.serving.kept_scenes import KeptScenes
from pipeline.serving.store import Store
from tests.serving.hosted import MODEL

KEEP = timedelta(hours=1)
STRANGER = "Doe_Jane_1961"


def sweep(folder) -> None:
    store = Store(folder, KEEP)
    store.remove_rest(older_than_s=0)
    FollowUps(Cases(store, MODEL)).sweep()
    KeptScenes(folder / "scenes", KEEP, lambda case: True).sweep()


@pytest.mark.parametrize("place", ["cases", "follow", "scenes", "."])
def test_a_folder_with_data_of_somebody_is_refused_and_left_as_it_was(tmp_path, place):
    data = tmp_path / place / STRANGER / "t1.nii.gz"
    data.parent.mkdir(parents=True)
    data.write_bytes(b"voxels")
    tmp_path.chmod(0o755)
    with pytest.raises(InputError, match=r"holds files, but is no store.*--store"):
        sweep(tmp_path)
    assert data.read_bytes() == b"voxels"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert not (tmp_path / "tumorflow-store.json").exists()


@pytest.mark.parametrize("name", [STRANGER, "BraTS-GLI-00000-000-t1"])
def test_cases_of_other_names_or_without_a_state_make_no_store_of_an_earlier_version(
    tmp_path, name
):
    (tmp_path / "cases" / name).mkdir(parents=True)
    with pytest.raises(InputError, match="is no store"):
        Store(tmp_path, KEEP)


def test_a_store_of_an_earlier_version_is_taken_on_with_its_cases(tmp_path):
    state = Store(tmp_path / "store", KEEP).new("case")
    (tmp_path / "store/tumorflow-store.json").unlink()
    for name in ("token", ".lock"):
        (tmp_path / "store" / name).touch()
    (tmp_path / "store/follow").mkdir()
    sweep(tmp_path / "store")
    assert Store(tmp_path / "store", KEEP).all() == [state]


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "tumorflow-store.json").write_text('{"format_version": 2}')
    with pytest.raises(InputError, match="format_version"):
        Store(tmp_path, KEEP)


def test_what_others_put_into_a_store_stays_and_is_not_logged(tmp_path, caplog):
    caplog.set_level("INFO")
    sweep(tmp_path / "store")
    for place in ("cases", "follow", "scenes"):
        (tmp_path / "store" / place / STRANGER).mkdir()
    sweep(tmp_path / "store")
    assert all((tmp_path / "store" / one / STRANGER).is_dir() for one in ("cases", "follow"))
    assert (tmp_path / "store/scenes" / STRANGER).is_dir()
    assert STRANGER not in caplog.text


def test_a_case_of_a_newer_version_stays_until_it_is_old_and_is_logged(tmp_path, caplog):
    store = Store(tmp_path / "store", KEEP)
    state = store.new("case")
    file = store.folder_of(state.id) / "state.json"
    file.write_text(json.dumps({"format_version": 2}))
    store.remove_rest(older_than_s=0)
    assert file.exists()
    assert state.id in caplog.text
    old = time.time() - KEEP.total_seconds() - 1
    os.utime(file, (old, old))
    store.remove_rest()
    assert not file.parent.exists()


def test_a_new_store_is_of_its_owner_alone_and_one_that_was_there_keeps_its_mode(tmp_path):
    Store(tmp_path / "new", KEEP)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty").chmod(0o755)
    Store(tmp_path / "empty", KEEP)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "empty")]
    assert modes == [0o700, 0o755]
    assert stat.S_IMODE((tmp_path / "empty/cases").stat().st_mode) == 0o700


@pytest.mark.parametrize(("store", "corrections"), [("a", "a/b"), ("a/b", "a"), ("a", "a")])
def test_corrections_in_the_store_are_refused(tmp_path, store, corrections):
    parser = ArgumentParser()
    serve.add_arguments(parser)
    given = [f"--store={tmp_path / store}", f"--corrections={tmp_path / corrections}"]
    with pytest.raises(InputError, match="Name folders apart"):
        serve.run(parser.parse_args(given))
