"""Under DVC: two clones end with the same hashes, and so does one that was killed in every stage."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pipeline.io import records
from tests import project

pytestmark = pytest.mark.slow


def environment(folder: Path) -> dict[str, str]:
    """This interpreter first on the path, nothing of an outer DVC or MLflow."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "DVC_NO_ANALYTICS": "1", "CUDA_VISIBLE_DEVICES": ""}


def dvc(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def lock(folder: Path) -> dict:
    return yaml.safe_load((folder / "dvc.lock").read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A clone after `dvc repro`."""
    folder = project.clone(tmp_path_factory.mktemp("undisturbed"))
    dvc(folder, "repro")
    return folder


def test_a_second_repro_has_nothing_to_do(undisturbed):
    assert "Data and pipelines are up to date" in dvc(undisturbed, "repro")


def test_a_fresh_clone_needs_no_change_to_a_tracked_file(undisturbed):
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=undisturbed, capture_output=True, text=True, check=True).stdout
    assert changed.split() == ["??", "dvc.lock"]


def start_repro(folder: Path, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "dvc", "repro"]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=output, stderr=output, start_new_session=True)


def kill_in(folder: Path, name: str, delay: float, until: Path | None = None) -> bool:
    """Start `dvc repro` and kill all of it, seconds after a stage began or a file appeared; False if it ended before."""
    log = folder.parent / f"{name}.log"
    running = start_repro(folder, log)
    try:
        while f"Running stage '{name}'" not in log.read_text() or (until and not until.exists()):
            if running.poll() is not None:
                return False
            time.sleep(0.02)
        time.sleep(delay)
        return running.poll() is None
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def test_a_clone_killed_in_every_stage_ends_with_the_same_hashes(undisturbed, tmp_path):
    folder = project.clone(tmp_path)
    rng = random.Random(5)
    killed = {name: kill_in(folder, name, rng.uniform(0.3, 1.5)) for name in project.STAGES if name != "train"}
    assert sum(killed.values()) >= 4, f"too few stages were caught running: {killed}"
    dvc(folder, "repro")
    assert lock(folder) == lock(undisturbed)
    assert not list(folder.glob("models/.partial-*")) + list(folder.glob("data/**/.partial-*"))


def test_a_training_killed_between_epochs_goes_on_and_ends_with_the_same_weights(undisturbed, tmp_path):
    folder = project.clone(tmp_path)
    checkpoint = folder / "models/checkpoint.npz"
    assert kill_in(folder, "train", 0.1, until=checkpoint)
    assert checkpoint.exists()
    assert "going on after epoch" in dvc(folder, "repro")
    assert lock(folder) == lock(undisturbed)
    assert not checkpoint.exists()


def test_a_checkpoint_of_other_params_is_not_resumed(undisturbed, tmp_path):
    folder = project.clone(tmp_path)
    assert kill_in(folder, "train", 0.1, until=folder / "models/checkpoint.npz")
    project.write_params(folder, project.SMALL | {"train.learning_rate": 0.001})
    dvc(folder, "repro")
    history = records.read_csv(folder / "metrics/history.csv")
    assert len(history) == 3
    assert float(history[0]["loss"]) != float(records.read_csv(undisturbed / "metrics/history.csv")[0]["loss"])
    assert lock(folder)["stages"]["train"] != lock(undisturbed)["stages"]["train"]
