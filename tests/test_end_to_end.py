"""The seven stages in a row on a small cohort, then `predict`: on whichever Keras backend is set."""

import json
import os
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline import __main__ as commands
from pipeline.domain.errors import InputError
from pipeline.domain.regions import values_to_classes
from pipeline.domain.scores import score_case
from pipeline.io import nifti, records
from pipeline.sources import brats
from tests import project
from tests.conftest import write_case


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A project whose stages have all run."""
    folder = project.make(tmp_path_factory.mktemp("end_to_end"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in project.STAGES:
            project.run(folder, name)
        yield folder


@pytest.fixture
def copy(done, tmp_path, monkeypatch):
    """The finished project again, to be spoilt."""
    shutil.copytree(done.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*"))
    monkeypatch.chdir(tmp_path / "copy/project")
    monkeypatch.setenv("DVC_ROOT", str(done))
    return tmp_path / "copy/project"


def evaluation(folder: Path) -> dict:
    return json.loads((folder / "metrics/evaluate.json").read_text())


def changed_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_jax_runs_without_tensorflow():
    if os.environ.get("KERAS_BACKEND") != "jax":
        pytest.skip("this is not the environment of the JAX backend")
    from pipeline.nn import backend

    assert backend.name() == "jax"
    with pytest.raises(ImportError):
        __import__("tensorflow")
    assert "tensorflow" not in sys.modules


def test_every_declared_file_is_there(done):
    for name, declared in project.STAGES.items():
        for kind in ("outs", "metrics", "plots"):
            for entry in declared.get(kind, []):
                path = next(iter(entry)) if isinstance(entry, dict) else entry
                assert (done / path).exists(), f"{name} did not write {path}"


def test_nothing_half_written_is_left(done):
    assert not list(done.rglob(".partial-*"))
    assert not (done / "models/checkpoint.npz").exists()


def test_history_has_loss_and_dice_of_every_region_and_label_at_every_epoch(done):
    rows = records.read_csv(done / "metrics/history.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for key in ("loss", "val_loss", *(f"val_dice_{name}" for name in ("WT", "TC", "ET", "necrotic", "edema", "enhancing"))):
        assert all(0 <= float(row[key]) < 5 for row in rows), key


def test_predictions_lie_on_the_raw_grid_with_the_values_of_the_cohort(done):
    for path in (done / "metrics/predictions").glob("*.nii.gz"):
        case = path.name.removesuffix(".nii.gz")
        raw = nifti.read(done / f"data/raw/{case}/{case}_seg.nii.gz")
        prediction = nifti.read(path)
        assert prediction.grid.differs(raw.grid) == ""
        assert set(np.unique(prediction.voxels)) <= {0, 1, 2, 4}


def test_scores_are_those_of_the_saved_predictions_against_the_untouched_reference(done, schema):
    rows = records.read_csv(done / "metrics/cases.csv")
    split = json.loads((done / "data/split.json").read_text())
    assert {row["case"] for row in rows} == set(split["test"])
    for case in split["test"]:
        reference = nibabel.load(done.parent / f"source/{case}/{case}_seg.nii.gz")
        prediction = nibabel.load(done / f"metrics/predictions/{case}.nii.gz")
        maps = [values_to_classes(np.asarray(image.dataobj), schema) for image in (reference, prediction)]
        expected = score_case(*maps, schema, (1.0, 1.0, 1.0))
        for row, score in zip([row for row in rows if row["case"] == case], expected, strict=True):
            assert row["name"] == score["name"]
            assert float(row["dice"]) == pytest.approx(score["dice"], abs=1e-12)
            assert float(row["hd95_mm"]) == pytest.approx(score["hd95_mm"], abs=1e-9)


def test_the_summary_is_over_the_cases(done):
    summary = evaluation(done)
    rows = [float(row["dice"]) for row in records.read_csv(done / "metrics/cases.csv") if row["kind"] == "region" and row["name"] == "WT"]
    assert summary["cases"] == len(rows) == 2
    assert summary["region"]["WT"]["dice"]["mean"] == pytest.approx(np.mean(rows))
    assert {"accuracy_with_background", "mean_iou_without_background", "precision_with_background"} <= set(summary["multiclass"])


def test_all_of_it_is_one_finished_mlflow_run(done):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{done / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tumorflow"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.learning_rate"] == "0.003"
    assert {"data_hash", "code_hash", "dvc_exp_name", "keras_backend"} <= set(run.data.tags)
    assert len(client.get_metric_history(run.info.run_id, "val_dice_TC")) == 3
    assert run.data.metrics["region/WT/dice"] == pytest.approx(evaluation(done)["region"]["WT"]["dice"]["mean"])
    kept = {item.path for folder in ("model", "evaluation", "report") for item in client.list_artifacts(run.info.run_id, folder)}
    assert {"model/unet.keras", "model/card.json", "evaluation/evaluate.json", "report/report.html", "report/figures"} <= kept


def predict(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(["predict", *map(str, arguments)])
    if ended.value.code:
        raise InputError(ended.value.code)


def test_predict_gives_the_voxels_that_were_scored(done, tmp_path):
    case = json.loads((done / "data/split.json").read_text())["test"][0]
    predict(done.parent / "source" / case, "--model", done / "models", "--out", tmp_path / "out.nii.gz")
    scored, given = nifti.read(done / f"metrics/predictions/{case}.nii.gz"), nifti.read(tmp_path / "out.nii.gz")
    assert np.array_equal(scored.voxels, given.voxels)
    assert given.grid.differs(scored.grid) == ""
    told = json.loads((tmp_path / "out.nii.gz.json").read_text())
    assert told["network_sha256"] == json.loads((done / "models/card.json").read_text())["network_sha256"]
    assert set(told["inputs"]) == {"t1n", "t1c", "t2w", "t2f"}


def test_predict_keeps_the_grid_of_a_case_with_other_axes(done, tmp_path):
    from tests.conftest import case_arrays

    affine = np.array([[0, 0, 1.0, -5], [1.0, 0, 0, 2], [0, -1.0, 0, 9], [0, 0, 0, 1]])
    images, _ = case_arrays(3)
    turned = {name: np.transpose(array, (1, 2, 0)) for name, array in images.items()}
    folder = write_case(tmp_path, "BraTS2021_00777", affine=affine, **turned, seg=None)
    predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii")
    given = nifti.read(tmp_path / "out.nii")
    assert given.grid.shape == (22, 20, 24)
    assert np.allclose(given.grid.affine, affine)


def test_predict_refuses_a_case_that_does_not_fit_the_card(done, tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00777", flair=None, t2=None)
    with pytest.raises(InputError, match=r"BraTS2021_00777: modality t2w, t2f .* is missing"):
        predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()


def test_predict_refuses_a_network_that_is_not_the_cards(copy, tmp_path):
    network = copy / "models/unet.keras"
    network.write_bytes(network.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"unet\.keras: has sha256 .* belong together"):
        predict(copy.parent / "source/BraTS2021_00001", "--model", copy / "models", "--out", tmp_path / "out.nii.gz")


def test_predict_refuses_a_card_of_another_format(copy, tmp_path):
    changed_json(copy / "models/card.json", patch="16x16")
    with pytest.raises(InputError, match=r"card\.json\.patch"):
        predict(copy.parent / "source/BraTS2021_00001", "--model", copy / "models", "--out", tmp_path / "out.nii.gz")


def test_evaluate_refuses_a_card_of_another_cohort(copy):
    card = json.loads((copy / "models/card.json").read_text())
    changed_json(copy / "models/card.json", cohort=brats.schema("-").model_dump(mode="json"))
    with pytest.raises(InputError, match=r"card\.json: was trained on cohort brats2023 .*but the catalogue is of brats2018-2021"):
        project.run(copy, "evaluate")
    assert card["cohort"]["labels"]["enhancing"] == 4


def test_evaluate_refuses_to_test_on_what_was_trained_on(copy):
    split = json.loads((copy / "data/split.json").read_text())
    changed_json(copy / "data/split.json", test=split["train"][:2], train=split["train"][2:], folds=[])
    with pytest.raises(InputError, match="patients of the test part"):
        project.run(copy, "evaluate")


@pytest.mark.parametrize("name", ["augment", "train", "evaluate"])
def test_a_patient_in_two_parts_is_refused_wherever_the_split_is_read(copy, name):
    split = json.loads((copy / "data/split.json").read_text())
    changed_json(copy / "data/split.json", test=[*split["test"], split["train"][0]])
    with pytest.raises(InputError, match=rf"split\.json: patient {split['train'][0]} stands in train .* and in test"):
        project.run(copy, name)


def test_train_refuses_copies_of_cases_outside_of_train(copy):
    rows = records.read_csv(copy / "data/augmented/table.csv")
    rows[0]["case"] = json.loads((copy / "data/split.json").read_text())["test"][0]
    records.write_csv(copy / "data/augmented/table.csv", rows)
    with pytest.raises(InputError, match=r"table\.csv: holds copies of .*not in train"):
        project.run(copy, "train")


@pytest.mark.parametrize(("patch", "said"), [([15, 16], "multiple of 2"), ([16, 16, 16], "needs 2 sides")])
def test_train_refuses_a_patch_that_the_network_cannot_take(copy, patch, said):
    project.write_params(copy, project.SMALL | {"train.patch": patch})
    with pytest.raises(InputError, match=rf"params\.yaml: train\.patch.*{said}"):
        project.run(copy, "train")
