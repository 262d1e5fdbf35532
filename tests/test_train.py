"""A training goes on only from its own checkpoint: of the same data, params and code."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.network import checkpoint
from pipeline.network.card import read_card
from pipeline.runtime import code
from tests import project

pytestmark = pytest.mark.slow

ONE_STEP = {"train.epochs": 1, "train.steps_per_epoch": 1, "train.val_batches": 1}


@pytest.fixture(scope="module")
def interrupted(prepared, tmp_path_factory):
    """A project whose training could not write its last file: the checkpoint after its only epoch
    stands.
    """
    folder = project.copy(prepared, tmp_path_factory.mktemp("interrupted"))
    project.write_params(folder, project.SMALL | ONE_STEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        with pytest.raises(FileExistsError):
            project.run(folder, "train", metrics=folder / "params.yaml/train.json")
    assert (folder / "models/checkpoint.npz").exists()
    return folder


def nothing(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The same training."""


def other_split(folder: Path, patch: pytest.MonkeyPatch) -> None:
    path = folder / "data/split.json"
    split = json.loads(path.read_text())
    path.write_text(json.dumps(split | {"val": split["test"], "test": split["val"], "folds": []}))


def other_copies(folder: Path, patch: pytest.MonkeyPatch) -> None:
    project.write_params(folder, project.SMALL | ONE_STEP | {"augment.copies": 2})
    project.run(folder, "augment")
    project.write_params(folder, project.SMALL | ONE_STEP)


def other(key: str, value: object):
    def change(folder: Path, patch: pytest.MonkeyPatch) -> None:
        project.write_params(folder, project.SMALL | ONE_STEP | {key: value})

    return change


def other_code(folder: Path, patch: pytest.MonkeyPatch) -> None:
    package = shutil.copytree(project.ROOT / "pipeline", folder / "pipeline")
    with (package / "preparation/preprocessing.py").open("a") as module:
        module.write("# another version\n")
    patch.setattr(code, "_PACKAGE", package)


def own_code(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "mine.py").write_text("")
    other("own_code.train", "mine.py")(folder, patch)


def checkpoint_that_names_other_data(folder: Path, patch: pytest.MonkeyPatch) -> None:
    path = folder / "models/checkpoint.npz"
    with np.load(path) as members:
        own = json.loads(str(members["about"]))["fingerprint"]
    checkpoint.save(path, dataclasses.replace(checkpoint.load(path, own), fingerprint="0" * 64))


@pytest.mark.parametrize(
    ("change", "resumed"),
    [
        (nothing, True),
        (other_split, False),
        (other_copies, False),
        (other("train.learning_rate", 0.03), False),
        (other("network.filters", 4), False),
        (other("preprocess.margin_voxels", 3), False),
        (other("cohort.seed", 7), False),
        (other_code, False),
        (own_code, False),
        (checkpoint_that_names_other_data, False),
    ],
)
def test_only_the_checkpoint_of_the_same_training_is_resumed(
    interrupted, tmp_path, monkeypatch, caplog, change, resumed
):
    folder = project.copy(interrupted, tmp_path)
    monkeypatch.chdir(folder)
    change(folder, monkeypatch)
    with caplog.at_level("INFO", logger="pipeline"):
        project.run(folder, "train")
    assert ("resuming after epoch 1" in caplog.text) == resumed
    assert not (folder / "models/checkpoint.npz").exists()


@pytest.mark.parametrize(
    "shape",
    [
        {"network.slices": 3, "network.encoder": "residual", "network.encoder_blocks": [1, 2]},
        {
            "network.dimensions": 3,
            "network.depth": 4,
            "network.filters": 4,
            "network.strides": "auto",
            "network.kernels": "auto",
            "network.deep_supervision": True,
            "train.patch": [16, 16, 4],
            "train.precision": "float32",
        },
    ],
    ids=["neighbouring slices and a residual encoder", "chosen strides"],
)
def test_networks_of_every_shape_train_and_segment_from_their_card(
    prepared, tmp_path, monkeypatch, shape
):
    folder = project.copy(prepared, tmp_path)
    monkeypatch.chdir(folder)
    project.write_params(folder, project.SMALL | ONE_STEP | shape)
    if shape.get("network.strides"):
        with pytest.raises(InputError, match=r"can be halved 2 times .* network\.depth 4 needs 3"):
            project.run(folder, "train")
        shape = shape | {"network.depth": 3}
        project.write_params(folder, project.SMALL | ONE_STEP | shape)
    project.run(folder, "train")
    project.run(folder, "evaluate")
    network = read_card(folder / "models").network
    assert network.slices == shape.get("network.slices", 1)
    if network.strides:
        assert network.strides == ((2, 2, 1), (2, 2, 1))
        assert network.kernels == ((3, 3, 3),) * 3
    assert read_csv(folder / "metrics/cases.csv")
