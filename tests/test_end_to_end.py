"""The seven stages in a row on a small cohort, then `predict`, on the Keras backend that is set."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline import __main__ as commands
from pipeline.cohorts import brats
from pipeline.core import records
from pipeline.core.errors import InputError
from pipeline.core.regions import values_to_classes
from pipeline.formats import nifti
from pipeline.metrics.case_scores import score_case
from pipeline.preparation import shards
from pipeline.preparation.inverse import restore
from tests import project
from tests.conftest import LPS, case_arrays, write_case
from tests.formats.dicom.test_series import slice_of, write

# the other half of what a network can be: volumes instead of slices, softmax instead of sigmoids
VOLUMES = {
    "network.dimensions": 3,
    "network.depth": 4,
    "network.filters": 4,
    "network.output": "labels",
    "network.deep_supervision": True,
    "train.patch": [16, 16, 16],
    "train.epochs": 1,
    "train.batch_size": 2,
    "train.precision": (
        "float32"
    ),  # in bfloat16 oneDNN's gradient of a 3x3x3 filter over 2x2x2 voxels is garbage
    "evaluate.mirror": True,
    "evaluate.postprocess.min_component_ml": 0.0,
    "evaluate.postprocess.min_innermost_ml": 0.0,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A project whose stages have all run."""
    return run_stages(project.make(tmp_path_factory.mktemp("end_to_end")), project.STAGES)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """A project with a network of volumes, up to its scores."""
    return run_stages(
        project.make(tmp_path_factory.mktemp("volumes"), VOLUMES),
        [name for name in project.STAGES if name != "visualize"],
    )


def run_stages(folder: Path, names: Iterable[str]) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in names:
            project.run(folder, name)
    return folder


@pytest.fixture
def copy(done, tmp_path, monkeypatch):
    """The finished project again, to be spoilt."""
    shutil.copytree(
        done.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*")
    )
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
    from pipeline.network import backend

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


@pytest.mark.parametrize(("folder", "epochs"), [("done", ["1", "2", "3"]), ("volumes", ["1"])])
def test_history_has_loss_and_dice_of_every_region_and_label_at_every_epoch(
    folder, epochs, request
):
    rows = records.read_csv(request.getfixturevalue(folder) / "metrics/history.csv")
    assert [row["epoch"] for row in rows] == epochs
    numbers = {
        "loss",
        "val_loss",
        "val_dice",
        *(f"val_dice_{name}" for name in ("WT", "TC", "ET", "necrotic", "edema", "enhancing")),
    }
    assert set(rows[0]) == numbers | {"epoch", "learning_rate"}
    for key in numbers:
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
        maps = [
            values_to_classes(np.asarray(image.dataobj), schema)
            for image in (reference, prediction)
        ]
        expected = score_case(*maps, schema, (1.0, 1.0, 1.0))
        for row, score in zip([row for row in rows if row["case"] == case], expected, strict=True):
            assert {
                key: text or "nan"
                for key, text in row.items()
                if key not in ("case", "patient", "filled")
            } == {key: str(value) for key, value in score.items() if key != "filled"}


def test_scoring_the_saved_predictions_from_outside_gives_the_same_tables(done, tmp_path):
    """Also those of lesions and classes, byte for byte."""
    with pytest.raises(SystemExit) as ended:
        commands.main(
            [
                "score",
                str(done.parent / "source"),
                str(done / "metrics/predictions"),
                "--cohort",
                "brats2021",
                "--subset",
                "--out",
                str(tmp_path),
            ]
        )
    assert not ended.value.code
    for name in ("lesionwise", "lesions", "instances", "multiclass", "confusion"):
        (found,) = tmp_path.rglob(f"{name}.csv")
        assert found.read_bytes() == (done / f"metrics/tables/{name}.csv").read_bytes(), name
    assert (tmp_path / "cases.csv").read_bytes() == (done / "metrics/cases.csv").read_bytes()


def test_the_summary_is_over_the_cases(done):
    summary = evaluation(done)
    rows = [
        float(row["dice"])
        for row in records.read_csv(done / "metrics/cases.csv")
        if row["kind"] == "region" and row["name"] == "WT"
    ]
    assert summary["cases"] == len(rows) == 2
    assert summary["region"]["WT"]["dice"]["mean"] == pytest.approx(np.mean(rows))
    assert {
        "accuracy_with_background",
        "mean_iou_without_background",
        "precision_with_background",
    } <= set(summary["multiclass"])


def test_the_headline_holds_the_means_of_the_summary(done):
    summary, headline = evaluation(done), json.loads((done / "metrics/headline.json").read_text())
    assert headline["mean_region_dice"] == summary["mean_region_dice"]["value"]
    assert headline["dice"] == {
        name: region["dice"]["mean"] for name, region in summary["region"].items()
    }
    assert headline["lesion_dice"] == {
        name: region["lesion_dice"]["mean"] for name, region in summary["lesionwise"].items()
    }
    assert headline["nsd_1mm"]["WT"] == summary["region"]["WT"]["nsd_1mm"]["mean"]


def test_all_of_it_is_one_finished_mlflow_run(done):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{done / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tumorflow"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.learning_rate"] == "0.003"
    assert {"data_hash", "code_hash", "dvc_exp_name", "keras_backend"} <= set(run.data.tags)
    assert len(client.get_metric_history(run.info.run_id, "val_dice_TC")) == 3
    assert run.data.metrics["region/WT/dice"] == pytest.approx(
        evaluation(done)["region"]["WT"]["dice"]["mean"]
    )
    kept = {
        item.path
        for folder in ("model", "evaluation", "report")
        for item in client.list_artifacts(run.info.run_id, folder)
    }
    assert {
        "model/network.keras",
        "model/card.json",
        "evaluation/evaluate.json",
        "report/report.html",
        "report/figures",
        "report/model_card.md",
    } <= kept
    assert "evaluation/tables" in kept


def predict(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(["predict", *map(str, arguments)])
    if ended.value.code:
        raise InputError(ended.value.code)


def held_out(folder: Path) -> str:
    """The first of the test cases."""
    return json.loads((folder / "data/split.json").read_text())["test"][0]


def scored(folder: Path) -> nifti.Volume:
    """What was scored for it."""
    return nifti.read(folder / f"metrics/predictions/{held_out(folder)}.nii.gz")


@pytest.mark.parametrize("name", ["done", "volumes"])
def test_predict_gives_the_voxels_that_were_scored(name, tmp_path, request):
    folder = request.getfixturevalue(name)
    predict(
        folder.parent / "source" / held_out(folder),
        "--model",
        folder / "models",
        "--out",
        tmp_path / "out.nii.gz",
    )
    given = nifti.read(tmp_path / "out.nii.gz")
    assert len(np.unique(given.voxels)) > 1
    assert np.array_equal(scored(folder).voxels, given.voxels)
    assert given.grid.differs(scored(folder).grid) == ""
    told = json.loads((tmp_path / "out.nii.gz.json").read_text())
    assert (
        told["network_sha256"]
        == json.loads((folder / "models/card.json").read_text())["network_sha256"]
    )
    assert set(told["inputs"]) == {"t1n", "t1c", "t2w", "t2f"}


AXES_TURNED = LPS[:, [1, 2, 0, 3]]
RAS = np.array([[1.0, 0, 0, -23], [0, 1, 0, -21], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("affine", "turn"),
    [
        (AXES_TURNED, lambda voxels: np.transpose(voxels, (1, 2, 0))),
        (RAS, lambda voxels: voxels[::-1, ::-1]),
    ],
    ids=["axes in another order", "axes to the right and front"],
)
def test_predict_gives_the_same_anatomy_whatever_the_axes_of_the_files(
    done, tmp_path, affine, turn
):
    images, _ = case_arrays(int(held_out(done)[-5:]))
    turned = {name: turn(array) for name, array in images.items()}
    folder = write_case(tmp_path, "BraTS2021_00777", affine=affine, **turned, seg=None)
    predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii")
    given, expected = nifti.read(tmp_path / "out.nii"), scored(done).voxels
    assert len(np.unique(expected)) > 1
    assert given.voxels.tobytes() == turn(expected).tobytes()
    assert given.grid.shape == turn(expected).shape
    assert np.array_equal(given.grid.affine, affine)


def test_predict_takes_a_dicom_study_and_gives_the_same_voxels(done, tmp_path):
    images, _ = case_arrays(int(held_out(done)[-5:]))
    told = {"t1": "SAG T1", "t1ce": "AX T1 POST GD", "t2": "AX T2 FSE", "flair": "T2 FLAIR"}
    for place, (name, voxels) in enumerate(images.items()):
        for number in range(voxels.shape[2]):
            dataset = slice_of(
                number,
                plane=voxels[..., number].T,
                SeriesDescription=told[name],
                SeriesInstanceUID=f"1.2.826.{place}",
            )
            dataset.update(
                {
                    "ImagePositionPatient": [0.0, 0.0, float(number)],
                    "ImageOrientationPatient": [1.0, 0, 0, 0, 1, 0],
                }
            )
            dataset.update(
                {"PixelSpacing": [1.0, 1.0], "SpacingBetweenSlices": 1.0, "SliceThickness": 1.0}
            )
            write(tmp_path / "Roe_Jane" / f"{name}_{number:03d}.dcm", dataset)
    predict(tmp_path / "Roe_Jane", "--model", done / "models", "--out", tmp_path / "out.nii.gz")
    given = nifti.read(tmp_path / "out.nii.gz")
    assert np.array_equal(given.voxels, scored(done).voxels)
    assert np.array_equal(given.grid.affine, LPS)
    told = (tmp_path / "out.nii.gz.json").read_text()
    assert not [identity for identity in ("MRN4711", "Roe", "Jane") if identity in told]


def test_labels_of_a_network_of_volumes_are_decided_by_the_mean_softmax_of_mirror_images(
    volumes, schema
):
    from pipeline.network import backend, predictor, saving
    from pipeline.network.card import read_card

    described = read_card(volumes / "models")
    settings = records.read_json(volumes / "models/inference.json", predictor.Settings)
    image = shards.read(volumes / "data/shards", held_out(volumes)).image
    backend.prepare(described.seed, described.train["precision"])
    network = saving.load_model(volumes / "models/network.keras")
    probabilities, _ = predictor.predict(network, described, settings, image)
    assert probabilities.shape == (*image.shape[:3], 4)
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    classes = restore(
        probabilities, shards.read_geometry(volumes / "data/shards", held_out(volumes))
    ).argmax(axis=-1)
    assert np.array_equal(values_to_classes(scored(volumes).voxels, schema), classes)
    unmirrored, _ = predictor.predict(
        network, described, settings.model_copy(update={"mirror": False}), image
    )
    assert not np.allclose(probabilities, unmirrored, atol=1e-5)


def test_a_coarser_level_was_trained_and_is_not_kept(volumes):
    from pipeline.network import saving

    network = saving.load_model(volumes / "models/network.keras")
    kept = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    assert len(network.outputs) == 1
    # the coarser logits come from 8 channels, for background and three labels, with a bias each
    assert json.loads((volumes / "models/card.json").read_text())["weights"] == kept + (8 + 1) * 4


def test_predict_refuses_a_case_that_does_not_fit_the_card(done, tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00777", flair=None, t2=None)
    with pytest.raises(InputError, match=r"BraTS2021_00777: modality t2w, t2f .* is missing"):
        predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()


def shifted(array: np.ndarray) -> np.ndarray:
    return array - np.int16(7)


def in_noise(array: np.ndarray) -> np.ndarray:
    return array + np.random.default_rng(0).integers(1, 20, array.shape).astype(array.dtype)


@pytest.mark.parametrize(
    ("change", "which", "warning"),
    [
        (
            shifted,
            ("t1", "t1ce", "t2", "flair"),
            (
                r"warning: BraTS2021_00777 \(t1n -7, t1c -7, t2w -7, t2f -7\): air is a constant"
                r" other than 0"
            ),
        ),
        (shifted, ("t2",), r"warning: BraTS2021_00777 \(t2w -7\): air is a constant other than 0"),
    ],
    ids=["all modalities", "one modality"],
)
def test_predict_finds_the_brain_in_air_that_is_not_0_and_warns(
    done, tmp_path, capsys, change, which, warning
):
    images, _ = case_arrays(int(held_out(done)[-5:]))
    folder = write_case(
        tmp_path,
        "BraTS2021_00777",
        seg=None,
        **{name: change(array) if name in which else array for name, array in images.items()},
    )
    predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii.gz")
    assert nifti.read(tmp_path / "out.nii.gz").voxels.tobytes() == scored(done).voxels.tobytes()
    assert re.search(warning, capsys.readouterr().err)
    told = json.loads((tmp_path / "out.nii.gz.json").read_text())["warnings"]
    assert [line for line in told if re.search(warning.removeprefix("warning: "), line)]


def test_predict_warns_of_a_skull_where_the_network_was_trained_on_brains_alone(
    done, tmp_path, capsys
):
    assert json.loads((done / "models/card.json").read_text())["stripped"] is True
    images, _ = case_arrays(int(held_out(done)[-5:]))
    folder = write_case(
        tmp_path,
        "BraTS2021_00777",
        seg=None,
        **{name: in_noise(array) for name, array in images.items()},
    )
    predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii.gz")
    assert re.search(
        "warning: BraTS2021_00777: the skull is on.* trained on brains alone.*--native",
        capsys.readouterr().err,
    )


def test_predict_warns_of_nothing_in_a_case_that_is_in_order(done, tmp_path, capsys):
    predict(
        done.parent / "source" / held_out(done),
        "--model",
        done / "models",
        "--out",
        tmp_path / "out.nii.gz",
    )
    assert "warning" not in capsys.readouterr().err
    assert json.loads((tmp_path / "out.nii.gz.json").read_text())["warnings"] == []


def test_predict_takes_files_of_any_name_one_by_one(done, tmp_path):
    source = done.parent / "source" / held_out(done)
    names = {"t1": "T1.nii.gz", "t1ce": "CT1.NII.GZ", "t2": "T2.nii.gz", "flair": "FLAIR.nii.gz"}
    files = {
        kind: shutil.copy(source / f"{source.name}_{kind}.nii.gz", tmp_path / name)
        for kind, name in names.items()
    }
    options = dict(zip(("--t1n", "--t1c", "--t2w", "--t2f"), files.values(), strict=True))
    predict(
        *(word for option in options.items() for word in option),
        "--model",
        done / "models",
        "--out",
        tmp_path / "out.nii.gz",
    )
    assert nifti.read(tmp_path / "out.nii.gz").voxels.tobytes() == scored(done).voxels.tobytes()


def test_predict_lists_files_it_passed_over_and_takes_one_that_is_named(done, tmp_path):
    folder = shutil.copytree(done.parent / "source" / held_out(done), tmp_path / held_out(done))
    unknown = (folder / f"{folder.name}_t1ce.nii.gz").rename(folder / f"{folder.name}_T1GD.nii.gz")
    arguments = folder, "--model", done / "models", "--out", tmp_path / "out.nii.gz"
    with pytest.raises(
        InputError,
        match=rf"t1c of case .* is missing.* not known here: {unknown.name}\..*by --t1c FILE",
    ):
        predict(*arguments)
    predict(*arguments, "--t1c", unknown)
    assert nifti.read(tmp_path / "out.nii.gz").voxels.tobytes() == scored(done).voxels.tobytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no case: name its folder, or its files by --t1n FILE"),
        (
            ("CASE/CASE_t1.nii.gz",),
            r"_t1\.nii\.gz: is a file\. Name the folder of the case, or single files by --t1n FILE",
        ),
        (("nowhere",), r"nowhere: does not exist\. Name the folder"),
        (
            ("CASE", "--t1c", "CASE"),
            r"is a folder\. Name one \.nii, .* file as t1c; of a DICOM study name the folder alone",
        ),
        (
            ("CASE", "--image", "adc", "CASE/CASE_t1.nii.gz"),
            "adc: is no modality of the network, which takes t1n, t1c, t2w, t2f",
        ),
        (
            ("CASE", "--t1n", "CASE/CASE_t1.nii.gz", "--image", "t1n", "CASE/CASE_t2.nii.gz"),
            "one modality is named twice",
        ),
        (("CASE", "--t1c", "nowhere.nii"), r"nowhere\.nii: does not exist\. Name one \.nii"),
        (
            ("CASE", "--model", "models/network.keras"),
            (
                r"network\.keras: is a file\. Name the folder that holds network\.keras and"
                r" card\.json: --model models"
            ),
        ),
        (
            ("CASE", "--model", "nowhere"),
            r"nowhere: does not exist\. Train a network .*, or name the folder",
        ),
    ],
)
def test_predict_says_which_folder_or_file_is_wanted(done, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(done)
    case = f"../source/{held_out(done)}"
    words = [
        word.replace("CASE/CASE", f"{case}/{held_out(done)}").replace("CASE", case)
        for word in arguments
    ]
    with pytest.raises(InputError, match=said):
        predict(*words, "--out", tmp_path / "out.nii.gz")


def test_predict_names_native_where_the_modalities_lie_on_several_grids(done, tmp_path):
    images, _ = case_arrays(int(held_out(done)[-5:]))
    folder = write_case(tmp_path, "BraTS2021_00777", seg=None, t2=images["t2"][:, :, ::2])
    with pytest.raises(
        InputError,
        match=r"_t2\.nii\.gz: lies on another grid .*predict --native.*native\.enabled: true",
    ):
        predict(folder, "--model", done / "models", "--out", tmp_path / "out.nii.gz")


def test_predict_refuses_a_network_that_is_not_the_cards(copy, tmp_path):
    network = copy / "models/network.keras"
    network.write_bytes(network.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"network\.keras: has sha256 .* belong together"):
        predict(
            copy.parent / "source/BraTS2021_00001",
            "--model",
            copy / "models",
            "--out",
            tmp_path / "out.nii.gz",
        )


def test_a_card_written_before_skull_and_rules_were_recorded_still_predicts(copy, tmp_path):
    card = json.loads((copy / "models/card.json").read_text())
    del card["format_version"], card["stripped"], card["cohort"]["lesion_rules"]
    (copy / "models/card.json").write_text(json.dumps(card))
    predict(
        copy.parent / "source" / held_out(copy),
        "--model",
        copy / "models",
        "--out",
        tmp_path / "out.nii.gz",
    )
    assert nifti.read(tmp_path / "out.nii.gz").voxels.tobytes() == scored(copy).voxels.tobytes()


def test_predict_refuses_a_card_of_another_format(copy, tmp_path):
    changed_json(copy / "models/card.json", patch="16x16")
    with pytest.raises(InputError, match=r"card\.json\.patch"):
        predict(
            copy.parent / "source/BraTS2021_00001",
            "--model",
            copy / "models",
            "--out",
            tmp_path / "out.nii.gz",
        )


def test_evaluate_refuses_a_card_of_another_cohort(copy):
    card = json.loads((copy / "models/card.json").read_text())
    changed_json(copy / "models/card.json", cohort=brats.schema("-").model_dump(mode="json"))
    with pytest.raises(
        InputError,
        match=(
            r"card\.json: was trained on cohort brats2023 .*but the catalogue is of brats2018-2021"
        ),
    ):
        project.run(copy, "evaluate")
    assert card["cohort"]["labels"]["enhancing"] == 4


def test_a_catalogue_that_names_no_rules_is_scored_without_lesions_and_the_report_says_why(
    copy, caplog
):
    """Also one that was written before schemas named them, beside the card of a network that was
    trained with them.
    """
    catalogue = json.loads((copy / "data/raw/catalogue.json").read_text())
    del catalogue["cohort"]["lesion_rules"]
    (copy / "data/raw/catalogue.json").write_text(json.dumps(catalogue))
    assert (copy / "metrics/tables/lesionwise.csv").is_file(), "the one of before must not stay"
    project.run(copy, "evaluate")
    said = "No lesion-wise score: the schema of cohort brats2018-2021 names no rules"
    assert said in caplog.text
    assert {path.stem for path in (copy / "metrics/tables").iterdir()} == {
        *("multiclass", "instances", "calibration", "reliability", "confusion")
    }
    summary = evaluation(copy)
    assert (summary["lesionwise"], summary["lesion_rules"]) == ({}, None)
    assert json.loads((copy / "metrics/headline.json").read_text())["lesion_dice"] == {}
    shutil.rmtree(copy / "metrics/figures")
    project.run(copy, "visualize")
    assert not list((copy / "metrics/figures").glob("detection*"))
    assert all(
        said in (copy / path).read_text()
        for path in ("metrics/report.html", "models/model_card.md")
    )


def test_evaluate_refuses_to_test_on_what_was_trained_on(copy):
    split = json.loads((copy / "data/split.json").read_text())
    changed_json(
        copy / "data/split.json", test=split["train"][:2], train=split["train"][2:], folds=[]
    )
    with pytest.raises(InputError, match="patients of the test part"):
        project.run(copy, "evaluate")


@pytest.mark.parametrize("name", ["augment", "train", "evaluate"])
def test_a_patient_in_two_parts_is_refused_wherever_the_split_is_read(copy, name):
    split = json.loads((copy / "data/split.json").read_text())
    changed_json(copy / "data/split.json", test=[*split["test"], split["train"][0]])
    with pytest.raises(
        InputError, match=rf"split\.json: patient {split['train'][0]} is in train .* and in test"
    ):
        project.run(copy, name)


def test_train_refuses_copies_of_cases_outside_of_train(copy):
    rows = records.read_csv(copy / "data/augmented/table.csv")
    rows[0]["case"] = json.loads((copy / "data/split.json").read_text())["test"][0]
    records.write_csv(copy / "data/augmented/table.csv", rows)
    with pytest.raises(InputError, match=r"table\.csv: holds copies of .*not in train"):
        project.run(copy, "train")


@pytest.mark.parametrize(
    ("patch", "said"), [([15, 16], "multiple of 2"), ([16, 16, 16], "needs 2 sides")]
)
def test_train_refuses_a_patch_that_the_network_cannot_take(copy, patch, said):
    project.write_params(copy, project.SMALL | {"train.patch": patch})
    with pytest.raises(InputError, match=rf"params\.yaml: train\.patch.*{said}"):
        project.run(copy, "train")


def test_train_refuses_bfloat16_where_volumes_become_too_small_for_it(copy):
    project.write_params(copy, project.SMALL | VOLUMES | {"train.precision": "mixed_bfloat16"})
    with pytest.raises(InputError, match=r"coarsest level is \[2, 2, 2\] voxels.*float32"):
        project.run(copy, "train")


def test_a_training_whose_loss_is_not_finite_ends_without_a_network(copy):
    before = (copy / "models/card.json").read_bytes()
    project.write_params(
        copy,
        project.SMALL
        | {"train.learning_rate": 1.0e30, "train.clip_norm": 0.0, "train.optimizer": "sgd"},
    )
    with pytest.raises(
        InputError, match=r"the loss became (nan|inf) at step \d+ of epoch 1.*learning_rate"
    ):
        project.run(copy, "train")
    assert (copy / "models/card.json").read_bytes() == before
