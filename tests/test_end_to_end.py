"""The seven stages in a row on a small cohort, then `predict`, on the Keras backend that is set."""

import json
import os
import re
import shutil
import sys
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
from pipeline.runtime.tracking import logged_model
from tests import project
from tests.conftest import LPS, case_arrays, write_case
from tests.formats.dicom.test_series import slice_of, write

pytestmark = pytest.mark.slow

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
def volumes(prepared, tmp_path_factory):
    """A project with a network of volumes, up to its scores."""
    folder = project.copy(prepared, tmp_path_factory.mktemp("volumes"))
    project.write_params(folder, project.SMALL | VOLUMES)
    return project.run_stages(folder, "train", "evaluate")


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


def test_every_declared_file_is_there(finished):
    for name, declared in project.STAGES.items():
        for kind in ("outs", "metrics", "plots"):
            for entry in declared.get(kind, []):
                path = next(iter(entry)) if isinstance(entry, dict) else entry
                assert (finished / path).exists(), f"{name} did not write {path}"


def test_nothing_half_written_is_left(finished):
    assert not list(finished.rglob(".partial-*"))
    assert not (finished / "models/checkpoint.npz").exists()


@pytest.mark.parametrize(("folder", "epochs"), [("finished", ["1", "2", "3"]), ("volumes", ["1"])])
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


def test_predictions_lie_on_the_raw_grid_with_the_values_of_the_cohort(finished):
    for case in json.loads((finished / "data/split.json").read_text())["test"]:
        path = finished / f"metrics/predictions/{case}.nii.gz"
        raw = nifti.read(finished / f"data/raw/{case}/{case}_seg.nii.gz")
        prediction = nifti.read(path)
        assert prediction.grid.differs(raw.grid) == ""
        assert set(np.unique(prediction.voxels)) <= {0, 1, 2, 4}
        uncertain = nifti.read(path.parent / f"uncertainty/{case}.nii.gz")
        assert uncertain.grid.differs(raw.grid) == ""
        assert set(np.unique(uncertain.voxels)) <= set(range(0, 101, 5))
        borders = prediction.voxels != np.roll(prediction.voxels, 1, axis=0)
        assert uncertain.voxels[borders].mean() > uncertain.voxels.mean()


def test_scores_are_those_of_the_saved_predictions_against_the_untouched_reference(
    finished, schema
):
    rows = records.read_csv(finished / "metrics/cases.csv")
    split = json.loads((finished / "data/split.json").read_text())
    assert {row["case"] for row in rows} == set(split["test"])
    for case in split["test"]:
        reference = nibabel.load(finished.parent / f"source/{case}/{case}_seg.nii.gz")
        prediction = nibabel.load(finished / f"metrics/predictions/{case}.nii.gz")
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


def test_scoring_the_saved_predictions_from_outside_gives_the_same_tables(finished, tmp_path):
    """Also those of lesions and classes, byte for byte."""
    with pytest.raises(SystemExit) as ended:
        commands.main(
            [
                "score",
                str(finished.parent / "source"),
                str(finished / "metrics/predictions"),
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
        assert found.read_bytes() == (finished / f"metrics/tables/{name}.csv").read_bytes(), name
    assert (tmp_path / "cases.csv").read_bytes() == (finished / "metrics/cases.csv").read_bytes()


def test_the_summary_is_over_the_cases(finished):
    summary = evaluation(finished)
    rows = [
        float(row["dice"])
        for row in records.read_csv(finished / "metrics/cases.csv")
        if row["kind"] == "region" and row["name"] == "WT"
    ]
    assert summary["cases"] == len(rows) == 2
    assert summary["region"]["WT"]["dice"]["mean"] == pytest.approx(np.mean(rows))
    assert {
        "accuracy_with_background",
        "mean_iou_without_background",
        "precision_with_background",
    } <= set(summary["multiclass"])


def test_the_headline_holds_the_means_of_the_summary(finished):
    summary, headline = (
        evaluation(finished),
        json.loads((finished / "metrics/headline.json").read_text()),
    )
    assert headline == {
        "mean_region_dice": summary["mean_region_dice"]["value"],
        "dice": {name: region["dice"]["mean"] for name, region in summary["region"].items()},
    }


def test_all_of_it_is_one_finished_mlflow_run(finished, tmp_path):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tumorflow"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.learning_rate"] == "0.003"
    assert {"data_hash", "code_hash", "dvc_exp_name", "keras_backend"} <= set(run.data.tags)
    assert len(client.get_metric_history(run.info.run_id, "validation/dice_TC")) == 3
    assert run.data.metrics["region/WT/dice"] == pytest.approx(
        evaluation(finished)["region"]["WT"]["dice"]["mean"]
    )
    kept = {
        item.path
        for folder in ("evaluation", "report")
        for item in client.list_artifacts(run.info.run_id, folder)
    }
    model = logged_model.files_of(client, run.info.run_id)
    assert {"network.keras", "card.json", "inference.json", "MLmodel"} <= model
    assert {
        "evaluation/evaluate.json",
        "report/report.html",
        "report/figures",
        "report/model_card.md",
    } <= kept
    assert "evaluation/tables" in kept
    copy = client.download_artifacts(run.info.run_id, "report/report.html", str(tmp_path))
    assert f"MLflow run {run.info.run_id}" in Path(copy).read_text()
    assert run.info.run_id not in (finished / "metrics/report.html").read_text()


def predict(folder: Path, out: Path, *arguments: object) -> nifti.Volume:
    """Call `predict` with the network of a project; what it wrote."""
    words = ("predict", "--model", folder / "models", "--out", out, *arguments)
    with pytest.raises(SystemExit) as ended:
        commands.main([str(word) for word in words])
    if ended.value.code:
        raise InputError(ended.value.code)
    return nifti.read(out)


def held_out(folder: Path) -> Path:
    """The source of the first of the test cases."""
    return (
        folder.parent / "source" / json.loads((folder / "data/split.json").read_text())["test"][0]
    )


def scored(folder: Path) -> nifti.Volume:
    """What was scored for it."""
    return nifti.read(folder / f"metrics/predictions/{held_out(folder).name}.nii.gz")


def same(one: nifti.Volume, other: nifti.Volume) -> bool:
    return one.voxels.tobytes() == other.voxels.tobytes() and not one.grid.differs(other.grid)


def images_of(folder: Path) -> dict[str, np.ndarray]:
    """The voxels of the first test case, by kind of file."""
    return case_arrays(int(held_out(folder).name[-5:]))[0]


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out.nii.gz"


@pytest.mark.parametrize("name", ["finished", "volumes"])
def test_predict_gives_the_voxels_that_were_scored_and_warns_of_nothing(name, out, request, capsys):
    folder = request.getfixturevalue(name)
    given = predict(folder, out, held_out(folder))
    assert len(np.unique(given.voxels)) > 1
    assert same(given, scored(folder))
    assert "warning" not in capsys.readouterr().err
    record = json.loads(out.with_name("out.nii.gz.json").read_text())
    card = json.loads((folder / "models/card.json").read_text())
    assert record["network_sha256"] == card["network_sha256"]
    assert set(record["inputs"]) == {"t1n", "t1c", "t2w", "t2f"}
    assert record["warnings"] == []


def test_predict_reports_a_case_that_the_network_was_trained_on(finished, out, capsys):
    parts = json.loads((finished / "data/split.json").read_text())
    for part, said in (("train", True), ("test", False)):
        predict(finished, out, finished / "data/raw" / parts[part][0])
        assert ("was a training case of this network" in capsys.readouterr().err) == said


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
    finished, tmp_path, affine, turn
):
    turned = {name: turn(array) for name, array in images_of(finished).items()}
    folder = write_case(tmp_path, "BraTS2021_00777", affine=affine, **turned, seg=None)
    given, expected = predict(finished, tmp_path / "out.nii", folder), scored(finished).voxels
    assert len(np.unique(expected)) > 1
    assert given.voxels.tobytes() == turn(expected).tobytes()
    assert given.grid.shape == turn(expected).shape
    assert np.array_equal(given.grid.affine, affine)


def test_predict_takes_a_dicom_study_and_gives_the_same_voxels(finished, tmp_path, out):
    names = {"t1": "SAG T1", "t1ce": "AX T1 POST GD", "t2": "AX T2 FSE", "flair": "T2 FLAIR"}
    place = {"ImageOrientationPatient": [1.0, 0, 0, 0, 1, 0], "PixelSpacing": [1.0, 1.0]}
    place |= {"SpacingBetweenSlices": 1.0, "SliceThickness": 1.0}
    for series, (name, voxels) in enumerate(images_of(finished).items()):
        about = {"SeriesDescription": names[name], "SeriesInstanceUID": f"1.2.826.{series}"}
        for number in range(voxels.shape[2]):
            dataset = slice_of(number, plane=voxels[..., number].T, **about)
            dataset.update(place | {"ImagePositionPatient": [0.0, 0.0, float(number)]})
            write(tmp_path / "Roe_Jane" / f"{name}_{number:03d}.dcm", dataset)
    assert same(predict(finished, out, tmp_path / "Roe_Jane"), scored(finished))
    record = out.with_name("out.nii.gz.json").read_text()
    assert not [identity for identity in ("MRN4711", "Roe", "Jane") if identity in record]


def test_labels_of_a_network_of_volumes_are_decided_by_the_mean_softmax_of_mirror_images(
    volumes, schema
):
    from pipeline.network import backend, predictor, saving
    from pipeline.network.card import read_card
    from pipeline.network.settings import read_settings

    described = read_card(volumes / "models")
    settings = read_settings(volumes / "models")
    case = volumes / "data/shards", held_out(volumes).name
    image = shards.read(*case).image
    backend.prepare(described.seed, described.train["precision"])
    network = saving.load_model(volumes / "models/network.keras")
    probabilities = predictor.predict(network, described, settings, image).probabilities
    assert probabilities.shape == (*image.shape[:3], 4)
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    classes = restore(probabilities, shards.read_geometry(*case)).argmax(axis=-1)
    assert np.array_equal(values_to_classes(scored(volumes).voxels, schema), classes)
    plain = settings.model_copy(update={"mirror": False})
    unmirrored = predictor.predict(network, described, plain, image).probabilities
    assert not np.allclose(probabilities, unmirrored, atol=1e-5)


def test_a_coarser_level_was_trained_and_is_not_kept(volumes):
    from pipeline.network import saving

    network = saving.load_model(volumes / "models/network.keras")
    kept = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    assert len(network.outputs) == 1
    # the coarser logits come from 8 channels, for background and three labels, with a bias each
    assert json.loads((volumes / "models/card.json").read_text())["weights"] == kept + (8 + 1) * 4


def shifted(array: np.ndarray) -> np.ndarray:
    return array - np.int16(7)


def in_noise(array: np.ndarray) -> np.ndarray:
    return array + np.random.default_rng(0).integers(1, 20, array.shape).astype(array.dtype)


AIR = r"BraTS2021_00777 \({}\): air is a constant other than 0"
ALL = ("t1", "t1ce", "t2", "flair")


@pytest.mark.parametrize(
    ("change", "which", "warning"),
    [
        (shifted, ALL, AIR.format("t1n -7, t1c -7, t2w -7, t2f -7")),
        (shifted, ("t2",), AIR.format("t2w -7")),
        (in_noise, ALL, "BraTS2021_00777: the skull is on.* trained on brains alone.*--native"),
    ],
    ids=["air of all modalities", "air of one modality", "skull"],
)
def test_predict_warns_of_air_that_is_not_0_and_of_a_skull(
    finished, tmp_path, out, capsys, change, which, warning
):
    assert json.loads((finished / "models/card.json").read_text())["stripped"] is True
    images = images_of(finished)
    changed = {name: change(images[name]) for name in which}
    folder = write_case(tmp_path, "BraTS2021_00777", seg=None, **images | changed)
    given = predict(finished, out, folder)
    assert re.search(f"warning: {warning}", capsys.readouterr().err)
    warnings = json.loads(out.with_name("out.nii.gz.json").read_text())["warnings"]
    assert [line for line in warnings if re.search(warning, line)]
    if change is shifted:  # the brain was found all the same
        assert same(given, scored(finished))


def test_predict_takes_files_of_any_name_one_by_one(finished, tmp_path, out):
    source = held_out(finished)
    names = {"t1": "T1.nii.gz", "t1ce": "CT1.NII.GZ", "t2": "T2.nii.gz", "flair": "FLAIR.nii.gz"}
    words = []
    for option, (kind, name) in zip(("t1n", "t1c", "t2w", "t2f"), names.items(), strict=True):
        file = shutil.copy(source / f"{source.name}_{kind}.nii.gz", tmp_path / name)
        words += [f"--{option}", file]
    assert same(predict(finished, out, *words), scored(finished))


def test_predict_lists_files_it_passed_over_and_takes_one_that_is_named(finished, tmp_path, out):
    folder = shutil.copytree(held_out(finished), tmp_path / held_out(finished).name)
    unknown = (folder / f"{folder.name}_t1ce.nii.gz").rename(folder / f"{folder.name}_T1GD.nii.gz")
    said = rf"t1c of case .* is missing.* not known here: {unknown.name}\..*by --t1c FILE"
    with pytest.raises(InputError, match=said):
        predict(finished, out, folder)
    assert same(predict(finished, out, folder, "--t1c", unknown), scored(finished))


def trained_to_miss(folder: Path) -> None:
    """Change the card as if the network had been trained with modality dropout."""
    train = json.loads((folder / "models/card.json").read_text())["train"]
    train["on_the_fly"]["modality_dropout"]["probability"] = 0.25
    changed_json(folder / "models/card.json", train=train)


def test_the_price_of_a_missing_modality_is_that_of_predict_without_its_file(
    copy, out, capsys, schema
):
    trained_to_miss(copy)
    asked = {"evaluate.missing_modalities": [["t1c"], ["t2f", "t1n"]]}
    project.write_params(copy, project.SMALL | asked)
    before = {
        name: (copy / name).read_bytes() for name in ("metrics/cases.csv", "models/inference.json")
    }
    project.run(copy, "evaluate")
    assert before == {name: (copy / name).read_bytes() for name in before}
    rows = records.read_csv(copy / "metrics/tables/missing_modalities.csv")
    cases = json.loads((copy / "data/split.json").read_text())["test"]
    assert [(row["case"], row["missing"], row["name"]) for row in rows] == [
        (case, missing, region)
        for case in cases
        for missing in ("t1c", "t1n t2f")
        for region in schema.regions
    ]
    source = held_out(copy)
    case = shutil.copytree(source, copy.parent / "lacking" / source.name)
    (case / f"{case.name}_t1ce.nii.gz").unlink()
    lacking = predict(copy, out, case)
    assert f"warning: {case.name}: t1c is missing" in capsys.readouterr().err
    assert not same(lacking, scored(copy))
    given = predict(copy, out, source, "--missing", "t2f", "--missing", "t1n")
    reference = values_to_classes(case_arrays(int(source.name[-5:]))[1], schema)
    for place, predicted in enumerate((lacking, given)):
        classes = values_to_classes(predicted.voxels, schema)
        expected = score_case(reference, classes, schema, (1.0, 1.0, 1.0))[3:]
        found = rows[3 * place : 3 * place + 3]
        for key in ("dice", "hd95_mm"):
            assert [row[key] for row in found] == [repr(row[key]) for row in expected]
    summary = evaluation(copy)
    assert list(summary["missing_modalities"]) == ["t1c", "t1n t2f"]
    price = summary["missing_modalities"]["t1c"]
    difference = price["mean_region_dice_difference"]["value"]
    whole = summary["mean_region_dice"]["value"]
    assert price["mean_region_dice"]["value"] - whole == pytest.approx(difference)
    project.run(copy, "visualize")
    for page in ("metrics/report.html", "models/model_card.md"):
        assert "t1n, t2f" in (copy / page).read_text()
    project.write_params(copy, project.SMALL)
    project.run(copy, "evaluate")
    assert not (copy / "metrics/tables/missing_modalities.csv").exists()
    assert evaluation(copy)["missing_modalities"] == {}


def test_evaluate_prices_modalities_that_the_network_never_missed_with_a_warning(copy, caplog):
    project.write_params(copy, project.SMALL | {"evaluate.missing_modalities": [["t1c"]]})
    project.run(copy, "evaluate")
    assert "the network was not trained to miss modalities" in caplog.text
    assert "t1c" in evaluation(copy)["missing_modalities"]
    project.write_params(copy, project.SMALL | {"evaluate.missing_modalities": [["flair"]]})
    with pytest.raises(InputError, match="flair: is no modality of the network, which takes t1n"):
        project.run(copy, "evaluate")
    project.write_params(copy, project.SMALL | {"evaluate.missing_modalities": ["t1c"]})
    said = r"evaluate\.missing_modalities: .*must be all, or a list of lists such as \[\[t1c\],"
    with pytest.raises(InputError, match=said):
        project.run(copy, "evaluate")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "no case: name its folder, or its files by --t1n FILE"),
        (
            "CASE/CASE_t1.nii.gz",
            r"_t1\.nii\.gz: is a file\. Name the folder of the case, or single files by --t1n FILE",
        ),
        ("nowhere", r"nowhere: does not exist\. Name the folder"),
        (
            "CASE --t1c CASE",
            r"is a folder\. Name one \.nii, .* file as t1c; of a DICOM study name the folder alone",
        ),
        (
            "CASE --image adc CASE/CASE_t1.nii.gz",
            "adc: is no modality of the network, which takes t1n, t1c, t2w, t2f",
        ),
        (
            "CASE --t1n CASE/CASE_t1.nii.gz --image t1n CASE/CASE_t2.nii.gz",
            "one modality is named twice",
        ),
        ("CASE --t1c nowhere.nii", r"nowhere\.nii: does not exist\. Name one \.nii"),
        (
            "CASE --model models/network.keras",
            r"network\.keras: is a file\. Name the folder that holds .* card\.json: --model models",
        ),
        (
            "CASE --model nowhere",
            r"nowhere: does not exist\. Train a network .*, or name the folder",
        ),
    ],
)
def test_predict_says_which_folder_or_file_is_wanted(finished, out, monkeypatch, arguments, said):
    monkeypatch.chdir(finished)
    case = held_out(finished)
    named = arguments.replace("CASE/CASE", f"{case}/{case.name}").replace("CASE", str(case))
    with pytest.raises(InputError, match=said):
        predict(finished, out, *named.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda images: {"flair": None, "t2": None},
            "BraTS2021_00777: modality t2w, t2f .* is missing.* trained with train.on_the_fly.moda",
        ),
        (
            lambda images: {"t2": images["t2"][:, :, ::2]},
            r"_t2\.nii\.gz: lies on another grid .*predict --native.*native\.enabled: true",
        ),
    ],
    ids=["a modality missing", "several grids"],
)
def test_predict_refuses_a_case_that_it_cannot_segment(finished, tmp_path, out, change, said):
    images = images_of(finished)
    folder = write_case(tmp_path, "BraTS2021_00777", seg=None, **images | change(images))
    with pytest.raises(InputError, match=said):
        predict(finished, out, folder)
    assert not out.exists()


def test_predict_refuses_a_network_that_is_not_the_cards_and_a_card_of_another_format(copy, out):
    network = copy / "models/network.keras"
    network.write_bytes(network.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"network\.keras: has sha256 .* belong together"):
        predict(copy, out, held_out(copy))
    changed_json(copy / "models/card.json", patch="16x16")
    with pytest.raises(InputError, match=r"card\.json\.patch"):
        predict(copy, out, held_out(copy))


def test_a_card_written_before_skull_and_rules_were_recorded_still_predicts(copy, out):
    card = json.loads((copy / "models/card.json").read_text())
    del card["format_version"], card["stripped"], card["cohort"]["lesion_rules"]
    (copy / "models/card.json").write_text(json.dumps(card))
    assert same(predict(copy, out, held_out(copy)), scored(copy))


def test_evaluate_refuses_a_card_of_another_cohort(copy):
    changed_json(copy / "models/card.json", cohort=brats.schema("-").model_dump(mode="json"))
    said = r"card\.json: was trained on cohort brats2023 .*but the catalogue is of brats2018-2021"
    with pytest.raises(InputError, match=said):
        project.run(copy, "evaluate")


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
    ("changes", "said"),
    [
        ({"train.patch": [15, 16]}, r"train\.patch.*multiple of 2"),
        ({"train.patch": [16, 16, 16]}, r"train\.patch.*needs 2 sides"),
        (
            VOLUMES | {"train.precision": "mixed_bfloat16"},
            r"coarsest level is \[2, 2, 2\] voxels.*float32",
        ),
    ],
)
def test_train_refuses_a_patch_that_the_network_cannot_take(copy, changes, said):
    project.write_params(copy, project.SMALL | changes)
    with pytest.raises(InputError, match=rf"params\.yaml: .*{said}"):
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
