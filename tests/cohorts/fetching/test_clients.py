"""Data behind an account comes by the client of its keeper, whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from pipeline.cohorts.fetching.clients import fetch_by_client, is_account
from pipeline.core.errors import InputError


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Puts a script of that name first on the path; it is called with the words of the client."""

    def install(name: str, script: str) -> Path:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path

    return install


def test_a_location_names_its_keeper():
    assert is_account("synapse:syn25829067")
    assert is_account("kaggle:mateuszbuda/lgg-mri-segmentation")
    others = ["/data/kaggle", "kaggle:", "synapse:--help", "https://kaggle.com/x"]
    assert not any(map(is_account, [*others, "synapse:syn1; rm -r x"]))


def test_what_the_client_fetches_is_put_in_place_when_it_has_ended_well(client, tmp_path):
    client(
        "synapse",
        'test "$1 $2 $3 $4" = "get -r syn7 --downloadLocation" && echo voxels > "$5/case.nii.gz" &&'
        ' echo once >> "$0.calls"',
    )
    for _ in range(2):
        folder = fetch_by_client("synapse:syn7", tmp_path / "fetched")
        assert (folder / "case.nii.gz").read_text() == "voxels\n"
    assert (tmp_path / "bin/synapse.calls").read_text() == "once\n"
    assert [path.name for path in (tmp_path / "fetched").iterdir() if path.is_dir()] == [
        "synapse_syn7"
    ]


def test_a_client_that_fails_is_quoted_and_goes_on_from_where_it_was(client, tmp_path):
    script = client("kaggle", 'echo half > "$6/a"; echo "401 - Unauthorized" >&2; exit 3')
    said = (
        r"kaggle datasets download -d me/x .*status 3: 401 - Unauthorized\..*kaggle\.json.*by hand"
    )
    with pytest.raises(InputError, match=said):
        fetch_by_client("kaggle:me/x", tmp_path / "fetched")
    assert not (tmp_path / "fetched/kaggle_me_x").exists()
    script.write_text('#!/bin/sh\ntest -f "$6/a" && echo whole > "$6/a"\n')
    assert (fetch_by_client("kaggle:me/x", tmp_path / "fetched") / "a").read_text() == "whole\n"


def test_a_client_that_is_not_installed_is_named_with_the_way_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = (
        r"client synapse, .*not installed: pip install synapseclient, then synapse login\..*by hand"
    )
    with pytest.raises(InputError, match=said):
        fetch_by_client("synapse:syn7", tmp_path)
