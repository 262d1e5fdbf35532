"""A network is registered once under a name, found by its alias, and described by its card."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import api
from pipeline.commands import register
from pipeline.core.errors import InputError
from pipeline.runtime.model_folder import model_folder
from pipeline.runtime.tracking import logged_model, store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/network/format_1"
WHOLE = ("unet.keras", "card.json", "inference.json")


@pytest.fixture
def clone(tmp_path, tables, monkeypatch):
    """A repository with an empty store of MLflow and a network in models/."""
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".dvc").mkdir()
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    (tmp_path / "models").mkdir()
    for name in WHOLE:
        shutil.copy(MODEL / name, tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def registered(*words) -> list[str]:
    command = [sys.executable, "-m", "pipeline", "register", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def call(*words) -> None:
    """The command in this process."""
    parser = argparse.ArgumentParser()
    register.add_arguments(parser)
    register.run(parser.parse_args(words))


def versions(name: str):
    client, _ = store.opened()
    return client.search_model_versions(f"name = '{name}'")


def aliases(name: str) -> dict[str, int]:
    client, _ = store.opened()
    found = client.get_registered_model(name).aliases
    assert {*map(int, found.values())} == {int(each.version) for each in versions(name)}
    return {alias: int(version) for alias, version in found.items()}


def evaluated_run(**tags) -> str:
    """A run that trained and scored the network, with a model card in its report."""
    client, experiment_id = store.opened()
    sha256 = api.load(MODEL).card.network_sha256
    tags = {"model_sha256": sha256, "evaluation_sha256": "0" * 64} | tags
    run_id = client.create_run(experiment_id, run_name="a run", tags=tags).info.run_id
    logged_model.log(client, run_id, [MODEL / name for name in WHOLE])
    client.log_metric(run_id, "mean_region_dice", 0.87654)
    sections = [f"## {number}\n\n{'text ' * 300}\n\n" for number in range(9)]
    Path("model_card.md").write_text("# Model card\n\n" + "".join(sections))
    client.log_artifact(run_id, "model_card.md", "report")
    Path("model_card.md").unlink()
    return run_id


def test_a_folder_is_registered_and_found_by_alias_and_number(clone):
    first, second = registered("--name", "glioma")
    assert first.startswith("glioma, version 1: registered; mean region Dice unknown")
    assert second == "models:/glioma@champion"
    for address in ("models:/glioma@champion", "models:/glioma/1"):
        folder = model_folder(address)
        assert api.load(folder).card == api.load(MODEL).card
        assert (folder / "inference.json").read_bytes() == (MODEL / WHOLE[2]).read_bytes()


def test_the_same_model_gets_the_alias_and_no_second_version(clone, capsys):
    for alias in ("champion", "challenger", "champion"):
        call("--name", "glioma", "--alias", alias)
    assert aliases("glioma") == {"champion": 1, "challenger": 1}
    assert "version 1: was registered before" in capsys.readouterr().out
    settings = json.loads(Path("models/inference.json").read_bytes())
    Path("models/inference.json").write_text(json.dumps(settings | {"overlap": 0.25}))
    call("--name", "glioma")
    assert aliases("glioma") == {"champion": 2, "challenger": 1}


def test_a_version_names_network_data_score_run_and_card(clone):
    run_id = evaluated_run()
    call("--model", f"runs:/{run_id}", "--name", "glioma", "--alias", "best_1")
    call("--name", "glioma", "--alias", "folder")
    [version] = versions("glioma")
    card = api.load(MODEL).card
    assert version.tags["network_sha256"] == card.network_sha256
    assert version.tags["data_hash"] == card.data_hash
    assert version.tags["mean_region_dice"] == "0.8765"
    assert version.run_id == run_id
    assert version.description.startswith("# Model card\n\n## 0")
    assert 3000 < len(version.description) <= 5000
    assert version.description.endswith("text \n\n"), "whole sections"


def test_the_score_is_that_of_the_settings(clone):
    run_id = evaluated_run()
    settings = json.loads(Path("models/inference.json").read_bytes())
    Path("models/inference.json").write_text(json.dumps(settings | {"overlap": 0.25}))
    call("--name", "glioma")
    [version] = versions("glioma")
    assert "mean_region_dice" not in version.tags
    assert version.run_id != run_id


def test_a_model_without_a_card_is_described_by_its_use_and_labels(clone):
    call("--name", "glioma")
    [version] = versions("glioma")
    assert version.description.startswith("Research use only, not for diagnosis. Segments necrotic")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "a/b"), r"^--name a/b: may have letters"),
        (("--name", "it's"), r"^--name it's: may have letters"),
        (("--name", "a", "--alias", "v1"), r"^--alias v1: may have letters"),
        (("--name", "a", "--alias", "latest"), r"^--alias latest: may have letters"),
        (("--name", "a", "--alias", "ä b"), r"^--alias ä b: may have letters"),
    ],
)
def test_a_name_that_mlflow_would_not_take_is_rejected_before_anything_is_made(
    clone, words, message
):
    with pytest.raises(InputError, match=message):
        call(*words)
    client, _ = store.opened()
    assert not client.search_registered_models()


def test_a_network_that_was_not_evaluated_is_rejected(clone):
    Path("models/inference.json").unlink()
    with pytest.raises(InputError, match=r"inference\.json: is missing, .*dvc repro evaluate"):
        call("--name", "glioma")


def test_an_address_that_names_no_model_says_so(clone):
    call("--name", "glioma")
    for address, message in (
        ("models:/glioma@nobody", "nobody not found"),
        ("models:/glioma/7", r"version=7\) not found"),
        ("models:/other@champion", "other"),
        ("models:/glioma", r"is no registered model\. Write models:/NAME@ALIAS"),
    ):
        with pytest.raises(InputError, match=message):
            model_folder(address)
    Path("mlflow.db").unlink()
    with pytest.raises(InputError, match="does not exist yet"):
        model_folder("models:/glioma@champion")
