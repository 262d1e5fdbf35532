"""A training goes on only from its own checkpoint: of the same data, params and code."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import train
from pipeline.core import params
from pipeline.network import checkpoint
from pipeline.runtime import code as running
from pipeline.runtime import stage
from tests import project

ONE_STEP = {
    "train.epochs": 1,
    "train.steps_per_epoch": 1,
    "train.val_batches": 1,
    "visualize.cases": 1,
}


@pytest.fixture
def inputs(tmp_path):
    """What a fingerprint is taken of: the params of the repository, some data, no copies."""
    (tmp_path / "table.csv").write_text("name,case,copy\n")
    return {"data_hash": "0" * 64, "augmented": tmp_path} | typed(
        params.read(project.ROOT / "params.yaml")
    )


def typed(values: dict) -> dict:
    return {
        name: params.value(values, key, kind, Path("params.yaml"))
        for name, (key, kind) in stage.keys(train.train).items()
    }


def fingerprint(inputs: dict) -> str:
    return train._fingerprint(**inputs)


def test_equal_inputs_have_one_fingerprint(inputs, tmp_path):
    other = tmp_path / "elsewhere"
    shutil.copytree(inputs["augmented"], other)
    assert fingerprint(inputs) == fingerprint(inputs | {"augmented": other})


def test_other_data_have_another_fingerprint(inputs):
    assert fingerprint(inputs) != fingerprint(inputs | {"data_hash": "1" * 64})


def test_other_copies_have_another_fingerprint(inputs):
    before = fingerprint(inputs)
    (inputs["augmented"] / "table.csv").write_text("name,case,copy\none~1,one,1\n")
    assert fingerprint(inputs) != before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cohort.seed", 2027),
        ("preprocess.spacing_mm", None),
        ("preprocess.margin_voxels", 3),
        ("preprocess.clip_percentiles", [1.0, 99.5]),
        ("preprocess.dtype", "float32"),
        ("network.architecture", "my_nets:build"),
        ("network.options", {"heads": 4}),
        ("network.dimensions", 3),
        ("network.depth", 4),
        ("network.filters", 24),
        ("network.max_filters", 128),
        ("network.normalization", "batch"),
        ("network.residual", True),
        ("network.deep_supervision", True),
        ("network.dropout", 0.1),
        ("network.output", "labels"),
        ("train.epochs", 21),
        ("train.steps_per_epoch", 76),
        ("train.batch_size", 8),
        ("train.patch", [96, 80]),
        ("train.foreground_share", 0.25),
        ("train.val_batches", 9),
        ("train.precision", "float32"),
        ("train.loss", "my_losses:focal"),
        ("train.dice_weight", 0.5),
        ("train.cross_entropy_weight", 0.5),
        ("train.optimizer", "sgd"),
        ("train.learning_rate", 0.001),
        ("train.weight_decay", 0.0),
        ("train.momentum", 0.95),
        ("train.clip_norm", 0.0),
        ("train.schedule", "poly"),
        ("train.warmup_epochs", 0.0),
        ("train.plateau_factor", 0.2),
        ("train.plateau_patience", 6),
        ("train.ema_momentum", 0.0),
        ("train.early_stopping_epochs", 3),
        ("train.on_the_fly.mirror.x", 0.0),
        ("train.on_the_fly.noise.sd", [0.02, 0.1]),
    ],
)
def test_other_params_have_another_fingerprint(inputs, key, value):
    values = params.read(project.ROOT / "params.yaml")
    *sections, last = key.split(".")
    section = values
    for name in sections:
        section = section[name]
    assert section[last] != value
    section[last] = value
    assert fingerprint(inputs) != fingerprint(inputs | typed(values))


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("preparation/preprocessing.py", True),
        ("formats/raw_cases.py", True),
        ("augmentation/copies.py", True),
        ("network/training.py", True),
        ("train.py", True),
        ("report/plots/palette.py", False),
        ("metrics/overlap.py", False),
        ("runtime/tracking.py", False),
    ],
)
def test_other_code_has_another_fingerprint_if_the_weights_come_from_it(
    inputs, tmp_path, monkeypatch, path, counts
):
    before = fingerprint(inputs)
    code = shutil.copytree(project.ROOT / "pipeline", tmp_path / "pipeline")
    monkeypatch.setattr(running, "_PACKAGE", code)
    assert fingerprint(inputs) == before
    with (code / path).open("a") as module:
        module.write("# another version\n")
    assert (fingerprint(inputs) != before) == counts


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A project whose training could not write its last file: the checkpoint after its only epoch
    stands.
    """
    folder = project.make(tmp_path_factory.mktemp("interrupted"), ONE_STEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        for name in ("download", "preprocess", "split", "augment"):
            project.run(folder, name)
        with pytest.raises(FileExistsError):
            project.run(folder, "train", metrics=folder / "params.yaml/train.json")
    assert (folder / "models/checkpoint.npz").exists()
    return folder


def nothing(folder: Path) -> None:
    """The same training."""


def other_split(folder: Path) -> None:
    path = folder / "data/split.json"
    split = json.loads(path.read_text())
    path.write_text(json.dumps(split | {"val": split["test"], "test": split["val"], "folds": []}))


def other_copies(folder: Path) -> None:
    project.write_params(folder, project.SMALL | ONE_STEP | {"augment.copies": 2})
    project.run(folder, "augment")
    project.write_params(folder, project.SMALL | ONE_STEP)


def other_rate(folder: Path) -> None:
    project.write_params(folder, project.SMALL | ONE_STEP | {"train.learning_rate": 0.03})


def checkpoint_that_names_other_data(folder: Path) -> None:
    path = folder / "models/checkpoint.npz"
    with np.load(path) as members:
        own = json.loads(str(members["about"]))["fingerprint"]
    checkpoint.save(path, dataclasses.replace(checkpoint.load(path, own), fingerprint="0" * 64))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "resumed"),
    [
        (nothing, True),
        (other_split, False),
        (other_copies, False),
        (other_rate, False),
        (checkpoint_that_names_other_data, False),
    ],
)
def test_only_the_checkpoint_of_the_same_training_is_resumed(
    interrupted, tmp_path, monkeypatch, caplog, change, resumed
):
    folder = shutil.copytree(interrupted.parent, tmp_path / "copy") / "project"
    monkeypatch.chdir(folder)
    change(folder)
    with caplog.at_level("INFO", logger="pipeline"):
        project.run(folder, "train")
    assert ("resuming after epoch 1" in caplog.text) == resumed
    assert not (folder / "models/checkpoint.npz").exists()
