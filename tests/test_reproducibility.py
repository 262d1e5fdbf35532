"""Under DVC: an undisturbed clone and one that was killed in the middle of every stage end with the
same hashes.
"""

import glob
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yaml

from tests import project

pytestmark = pytest.mark.slow

# cases large enough that each stage works on for a while after its first file
COHORT = {"cases": 12, "shape": (72, 64, 48)}
PARAMS = {
    "augment.copies": 2,
    "train.patch": [32, 32],
    "evaluate.batch_size": 32,
    "visualize.cases": 0,
}
FIRST_FILE = {
    "download": "data/raw/*/",
    "preprocess": "data/shards/*.image.npy",
    "split": "",  # it writes one small file, and that at its end
    "augment": "data/augmented/*.image.npy",
    "train": "models/checkpoint.npz",
    "evaluate": "metrics/predictions/*.nii.gz",
    "visualize": "metrics/figures/*.png",
}
COMMENTED = {
    "runtime/tracking/run.py": [],
    "commands/predict.py": [],
    "report/plots/palette.py": ["visualize"],
    "metrics/overlap.py": ["evaluate", "visualize"],
    "augmentation/mirror.py": ["augment", "train"],
    "cohorts/brats.py": ["download"],
}
"""Modules, and the stages that a comment in them runs again."""


def lock(folder: Path) -> dict:
    return yaml.safe_load((folder / "dvc.lock").read_text())


def clone(folder: Path) -> Path:
    return project.clone(folder, PARAMS, **COHORT)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A clone after `dvc repro`."""
    folder = clone(tmp_path_factory.mktemp("undisturbed"))
    project.call(folder, "dvc", "repro")
    return folder


def test_a_second_repro_has_nothing_to_do(undisturbed):
    assert "Data and pipelines are up to date" in project.call(undisturbed, "dvc", "repro")


def test_a_fresh_clone_changes_no_tracked_file_and_adds_the_lock_and_the_metrics(undisturbed):
    changed = subprocess.run(
        ["git", "status", "--porcelain", "-uall"],
        cwd=undisturbed,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    metrics = (
        "cases.csv",
        "evaluate.json",
        "headline.json",
        "history.csv",
        "train.json",
        "verify.json",
    )
    assert changed.splitlines() == ["?? dvc.lock", *(f"?? metrics/{name}" for name in metrics)]


def test_a_changed_comment_runs_only_the_stages_again_that_could_change(undisturbed):
    found = project.stages_to_run(undisturbed, *(f"pipeline/{path}" for path in COMMENTED))
    assert found == list(COMMENTED.values())


class Killed(NamedTuple):
    """A clone after its kills: whether each stage was running then, and what DVC and the stages
    said.
    """

    folder: Path
    caught: dict[str, bool]
    said: dict[str, str]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A clone killed in the middle of every stage, of the training first with another learning
    rate, then repeated to its end.
    """
    folder = clone(tmp_path_factory.mktemp("killed"))
    caught, said = {}, {}
    for name in project.STAGES:
        if name == "train":
            project.write_params(folder, project.SMALL | PARAMS | {"train.learning_rate": 0.001})
            caught["train with other params"], said["train with other params"] = kill_in(
                folder, name
            )
            project.write_params(folder, project.SMALL | PARAMS)
        caught[name], said[name] = kill_in(folder, name)
    said["the end"] = project.call(folder, "dvc", "repro")
    return Killed(folder, caught, said)


def kill_in(folder: Path, name: str) -> tuple[bool, str]:
    """Start `dvc repro`, kill all of it at the first new file of a stage; whether that stage was
    running, and what was said.
    """
    log, before = folder.parent / "log", versions(folder, FIRST_FILE[name])
    with log.open("wb") as output:
        command = [sys.executable, "-m", "dvc", "repro"]
        running = subprocess.Popen(
            command,
            cwd=folder,
            env=project.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while running.poll() is None and not begun(folder, name, log, before):
        time.sleep(0.003)
    if running.returncode is not None:
        return False, log.read_text()
    os.killpg(running.pid, signal.SIGSTOP)  # looked at while it cannot move
    family = psutil.Process(running.pid).children(recursive=True)
    caught = any(
        process.status() != psutil.STATUS_ZOMBIE and f"pipeline.{name}" in process.cmdline()
        for process in family
    )
    escaped = [process for process in family if os.getpgid(process.pid) != running.pid]
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not escaped, "kill -9 would leave a process of the stage at work"
    return caught and name not in (
        lock(folder)["stages"] if (folder / "dvc.lock").exists() else {}
    ), log.read_text()


def begun(folder: Path, name: str, log: Path, before: set) -> bool:
    return f"Running stage '{name}'" in log.read_text() and (
        not FIRST_FILE[name] or bool(versions(folder, FIRST_FILE[name]) - before)
    )


def versions(folder: Path, pattern: str) -> set[tuple[str, int]]:
    """Files in place, with the time of their writing; what is half written has a hidden name."""
    return {
        (path, os.stat(folder / path).st_mtime_ns) for path in glob.glob(pattern, root_dir=folder)
    }


def test_every_stage_but_the_instant_split_was_caught_in_the_middle_of_its_work(killed):
    missed = {name for name, caught in killed.caught.items() if not caught}
    assert missed <= {"split"}


def test_a_clone_killed_in_every_stage_ends_with_the_hashes_of_an_undisturbed_one(
    undisturbed, killed
):
    stages = lock(undisturbed)["stages"]
    assert set(stages) == set(project.STAGES)
    assert all(entry["md5"] for stage in stages.values() for entry in stage["outs"])
    assert lock(killed.folder) == lock(undisturbed)
    assert not list(killed.folder.rglob(".partial-*"))
    assert not (killed.folder / "models/checkpoint.npz").exists()


def test_a_killed_training_goes_on_after_its_last_epoch(killed):
    assert "resuming after epoch" in killed.said["evaluate"]


def test_a_checkpoint_of_other_params_is_not_resumed(killed):
    assert "epoch 1/3" in killed.said["train"]
    assert "resuming after epoch" not in killed.said["train"]
