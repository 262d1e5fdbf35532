"""A trained network is found in a folder, an MLflow run, a DVC experiment or a revision."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.network.settings import read_settings
from pipeline.runtime.model_folder import model_folder
from pipeline.runtime.tracking import kept, logged_model, store
from tests.conftest import write_case

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/network/format_1"


@pytest.fixture
def clone(tmp_path, tables, monkeypatch):
    """A repository with an empty store of MLflow, and a folder below it as the current one."""
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".dvc").mkdir()
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def logged(*names, **tags):
    """Id of a run whose model holds these files."""
    client, experiment_id = store.opened()
    run_id = client.create_run(experiment_id, run_name="a run", tags=tags).info.run_id
    logged_model.log(client, run_id, [MODEL / name for name in names])
    return run_id


def run_of_an_earlier_version(*names):
    """Id of a run that has the files among its artifacts."""
    client, experiment_id = store.opened()
    run_id = client.create_run(experiment_id, run_name="an old run").info.run_id
    for name in names:
        client.log_artifact(run_id, str(MODEL / name), "model")
    return run_id


WHOLE = ("unet.keras", "card.json", "inference.json")


def test_a_folder_is_taken_as_it_is_and_needs_no_store(clone):
    (clone / "mlflow.db").unlink()
    assert model_folder(str(MODEL)) == MODEL
    assert not (clone / "mlflow.db").exists()


def test_the_workspace_is_the_folder_of_models_even_beside_one_of_this_name(clone):
    Path("workspace").mkdir()
    assert model_folder("workspace") == Path("models")


def test_a_run_is_found_by_uri_id_name_and_dvc_experiment(clone):
    run_id = logged(*WHOLE, dvc_exp_name="quiet-owl")
    for name in (f"runs:/{run_id}", f"runs:/{run_id}/model", run_id, "a run", "quiet-owl"):
        folder = model_folder(name)
        assert api.load(folder).card == api.load(MODEL).card
        assert (folder / "inference.json").read_bytes() == (MODEL / WHOLE[2]).read_bytes()
    assert not list((clone / "below").iterdir()), "MLflow makes no other store"


def test_a_run_of_an_earlier_version_that_is_whole_is_found(clone):
    assert api.load(model_folder(f"runs:/{run_of_an_earlier_version(*WHOLE)}")).card


PARAMS = {
    "evaluate.overlap": "0.5",
    "evaluate.mirror": '["x"]',
    "evaluate.batch_size": "4",
    "evaluate.engine": "keras",
    "evaluate.choose": "[]",
    "evaluate.metrics": "[]",
    "evaluate.postprocess.min_component_ml": "0.01",
    "evaluate.postprocess.fill_holes": "false",
    "evaluate.postprocess.min_innermost_ml": "0.01",
    "evaluate.postprocess.thresholds.ET": "0.4",
}


@pytest.mark.parametrize("chosen", [False, True])
def test_the_settings_of_an_evaluated_run_of_an_earlier_version_are_its_params(clone, chosen):
    run_id = run_of_an_earlier_version(*WHOLE[:2])
    client, _ = store.opened()
    choose = {"evaluate.choose": '["min_component_ml"]'} if chosen else {}
    for name, value in (PARAMS | choose).items():
        client.log_param(run_id, name, value)
    client.set_tag(run_id, "evaluation_sha256", "0" * 64)
    if chosen:
        with pytest.raises(InputError, match=r"no model/inference\.json: .*evaluate\.choose"):
            model_folder(run_id)
        return
    settings = read_settings(model_folder(run_id))
    assert (settings.overlap, settings.batch_size, settings.engine) == (0.5, 4, "keras")
    assert settings.postprocess.thresholds == {"ET": 0.4}
    assert settings.postprocess.min_component_ml == 0.01


@pytest.mark.parametrize("made", [logged, run_of_an_earlier_version])
def test_a_run_that_was_only_trained_is_rejected_with_what_completes_it(clone, made):
    run_id = made(*WHOLE[:2])
    with pytest.raises(InputError, match=r"no model/inference\.json: .*dvc repro evaluate"):
        model_folder(f"runs:/{run_id}")
    client, _ = store.opened()
    logged_model.complete(client, run_id, MODEL / "inference.json")
    assert api.load(model_folder(run_id)).card


def test_of_several_runs_of_a_name_the_newest_whole_one_is_taken(clone, tmp_path):
    whole = logged(*WHOLE)
    logged(*WHOLE[:2])
    assert kept.model_files("a run", tmp_path).is_dir()
    assert model_folder(whole).is_dir()


def test_a_network_that_the_card_does_not_describe_is_rejected(clone):
    run_id = logged(*WHOLE)
    client, _ = store.opened()
    other = clone / "unet.keras"
    other.write_bytes(b"another network")
    client.log_model_artifact(logged_model.model_of(client, run_id), str(other))
    with pytest.raises(InputError, match=r"unet\.keras: has sha256 .* describes"):
        api.load(model_folder(f"runs:/{run_id}"))


def test_a_dvc_experiment_and_a_revision_are_found(clone, monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(clone)
    shutil.rmtree(".dvc")
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")

    def git(*arguments):
        command = ["git", *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    with Repo.init() as repository:
        git("commit", "--quiet", "--message", "without a network")
        base = git("rev-parse", "HEAD")
        Path("models").mkdir()
        for name in WHOLE:
            shutil.copyfile(MODEL / name, Path("models") / name)
            repository.add(f"models/{name}")
        git("add", "--all", "models")
        git("commit", "--quiet", "--message", "experiment")
        experiment = git("rev-parse", "HEAD")
    git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/tidy-newt", experiment)
    git("reset", "--quiet", "--hard", base)
    shutil.rmtree("models", ignore_errors=True)
    monkeypatch.chdir("below")
    for name in ("tidy-newt", experiment[:8]):
        folder = model_folder(name)
        assert {path.name for path in folder.iterdir()} == set(WHOLE)
        assert api.load(folder).card
    with pytest.raises(InputError, match=r"DVC: models/ of this revision is not there: it has no"):
        model_folder("HEAD")
    (clone / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    git("add", "../dvc.lock")
    git("commit", "--quiet", "--message", "whose outs are not in the cache")
    with pytest.raises(InputError, match=r"DVC: models/ of this revision cannot be fetched"):
        model_folder("HEAD")
    case = write_case(clone / "cases", "BraTS2021_00000")
    words = ["predict", case.parent, "--model", "tidy-newt", "--out", clone / "out"]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *words, "--device", "cpu"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in ended.stderr.splitlines() if "Keras" in line]
    assert len(said) == 1, "DVC replaces sys.stderr, which must not add a second log"


def test_a_name_that_is_no_model_is_rejected_with_where_it_was_looked_for(clone):
    (clone / "mlflow.db").unlink()
    with pytest.raises(InputError) as fault:
        model_folder("nowhere")
    message = str(fault.value)
    assert "nowhere: does not exist. Train a network (dvc repro), or name the folder" in message
    assert "DVC: " in message
    assert "MLflow: store " in message
    logged()
    with pytest.raises(InputError, match=r"^runs:/0123: no run of this name or id"):
        model_folder("runs:/0123")
    with pytest.raises(InputError, match="MLflow: no run of this name or id"):
        model_folder("nowhere")
    with pytest.raises(InputError, match="a run holds no trained network"):
        model_folder("a run")
    with pytest.raises(InputError, match=r"is no model of an MLflow run\. Write runs:/ID"):
        model_folder("runs:/0/another/folder")
