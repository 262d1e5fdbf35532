"""A training goes on only from its own checkpoint: of the same data, params and code."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.network import checkpoint, training
from pipeline.network.card import read_card
from pipeline.runtime import code, gpus
from pipeline.runtime.tracking import store
from pipeline.runtime.tracking.run import Run
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
    (folder / "own_losses.py").write_text("")
    other("own_code.train", "own_losses.py")(folder, patch)


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


@pytest.fixture(scope="module")
def folds(prepared, tmp_path_factory):
    """A project with a network for each of three folds, up to its scores."""
    folder = project.copy(prepared, tmp_path_factory.mktemp("folds"))
    project.write_params(folder, project.SMALL | FOLDS)
    return project.run_stages(folder, "split", "augment", "train", "evaluate", "visualize")


FOLDS = {
    "split.val_fold": "all",
    "split.folds": 2,
    "evaluate.score_validation": True,
    "evaluate.choose": ["thresholds", "min_component_ml", "min_innermost_ml", "temperature"],
}


def test_every_fold_has_a_network_and_every_training_case_a_score_out_of_fold(folds):
    card = read_card(folds / "models")
    split = json.loads((folds / "data/split.json").read_text())
    assert [list(one.validated_on) for one in card.members] == split["folds"]
    rows = read_csv(folds / "metrics/tables/validation.csv")
    assert sorted({row["case"] for row in rows}) == sorted(split["train"])
    evaluation = json.loads((folds / "metrics/evaluate.json").read_text())
    assert evaluation["validation"]["cases"] == len(split["train"])
    chosen = evaluation["chosen"]
    kept = json.loads((folds / "models/inference.json").read_text())["postprocess"]
    for step in chosen["steps"]:
        now = kept["thresholds"] if step["key"] in ("WT", "TC", "ET") else kept
        assert now.get(step["key"], 0.5) == step["after"]
    text = (folds / "models/model_card.md").read_text()
    assert "2 networks, whose logits are averaged" in text
    assert "An ensemble of 2 2D U-Nets" in (folds / "metrics/report.html").read_text()


def test_masks_of_the_test_part_change_nothing_that_was_chosen(folds, tmp_path, monkeypatch):
    folder = project.copy(folds, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    split = json.loads((folder / "data/split.json").read_text())
    for case in split["test"]:
        path = next((folder / "data/raw").glob(f"**/{case}*seg.nii.gz"))
        image = nibabel.load(path)
        voxels = np.asarray(image.dataobj)[::-1, ::-1]
        nibabel.Nifti1Image(voxels.copy(), image.affine, image.header).to_filename(path)
    before = json.loads((folder / "metrics/evaluate.json").read_text())
    kept = (folder / "models/inference.json").read_bytes()
    project.run(folder, "evaluate")
    after = json.loads((folder / "metrics/evaluate.json").read_text())
    assert after["mean_region_dice"] != before["mean_region_dice"], "the scores do see them"
    assert (after["chosen"], after["validation"]) == (before["chosen"], before["validation"])
    assert (folder / "models/inference.json").read_bytes() == kept


def test_folds_that_are_killed_go_on_with_the_fold_that_was_trained(folds, tmp_path, monkeypatch):
    folder = project.copy(folds, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    expected = {name: (folder / name).read_bytes() for name in TRAINED}
    logged = []
    log_epoch = Run.log_epoch

    def killed(run, record):
        logged.append(record["epoch"])
        if len(logged) == 5:  # in the middle of the second fold
            raise KeyboardInterrupt
        log_epoch(run, record)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            project.run(folder, "train")
    assert (folder / "models/checkpoint_1.npz").exists()
    project.run(folder, "train")
    assert {name: (folder / name).read_bytes() for name in TRAINED} == expected
    assert not list((folder / "models").glob("checkpoint*"))


def test_the_table_of_epochs_grows_while_the_network_is_trained(
    prepared, finished, tmp_path, monkeypatch
):
    folder = project.copy(prepared, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))

    def killed(run, record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            project.run(folder, "train")
    whole = (finished / "metrics/history.csv").read_text().splitlines()
    assert (folder / "metrics/history.csv").read_text().splitlines() == whole[:3]


def test_folds_on_several_gpus_side_by_side_give_the_same_network(folds, tmp_path, monkeypatch):
    folder = project.copy(folds, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(project.ROOT))
    monkeypatch.setattr(gpus, "visible", lambda: ["0", "1"])
    flags = project.STAGES["train"]["cmd"].split()[3:]
    monkeypatch.setattr("sys.argv", ["train.py", *flags])
    expected = {name: (folder / name).read_bytes() for name in TRAINED}
    trained_here = []
    epoch = training._train_epoch
    monkeypatch.setattr(training, "_train_epoch", lambda *given: trained_here.append(epoch(*given)))
    for name in TRAINED:
        (folder / name).unlink()
    project.run(folder, "train")
    assert not trained_here, "this process only joins what the others have trained"
    assert {name: (folder / name).read_bytes() for name in TRAINED} == expected
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name(store.EXPERIMENT)
    [run] = client.search_runs([experiment.experiment_id], "attributes.run_name = 'fold 1'")
    assert run.data.metrics["epoch"] == project.SMALL["train.epochs"], "the nested run has a curve"


def test_a_fold_that_fails_on_its_gpu_is_named(folds, tmp_path, monkeypatch):
    folder = project.copy(folds, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.setattr(gpus, "visible", lambda: ["0", "1"])
    failing = [[sys.executable, "-c", f"raise SystemExit({code})"] for code in (0, 3)]
    given = gpus.side_by_side
    monkeypatch.setattr(gpus, "side_by_side", lambda commands, cards: given(failing, cards))
    with pytest.raises(InputError, match=r"Training of fold 1 failed"):
        project.run(folder, "train")


TRAINED = ("models/network.keras", "models/card.json", "metrics/history.csv")
