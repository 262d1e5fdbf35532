"""A project of its own in a temporary folder: small params, a small cohort, the stages called as
dvc.yaml says.
"""

import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import yaml

from pipeline.core import params
from pipeline.runtime import stage
from tests.conftest import case_arrays, write_case

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SMALL = {
    "cohort.source": "brats",
    "cohort.location": "../source",
    "cohort.cases": 0,
    "preprocess.spacing_mm": None,
    "split.val_share": 0.25,
    "split.test_share": 0.25,
    "split.folds": 3,
    "network.depth": 2,
    "network.filters": 8,
    "network.dropout": 0.1,
    "train.epochs": 3,
    "train.steps_per_epoch": 4,
    "train.batch_size": 4,
    "train.patch": [16, 16],
    "train.val_batches": 2,
    "evaluate.batch_size": 4,
    "evaluate.postprocess.min_component_ml": 0.01,
    "evaluate.postprocess.min_innermost_ml": 0.01,
    "visualize.cases": 1,
    "visualize.frames": 4,
    "visualize.dpi": 50,
}


def make(
    folder: Path,
    changes: dict | None = None,
    cases: int = 8,
    shape: tuple[int, int, int] = (24, 22, 20),
) -> Path:
    """Lay out a project: a cohort of small cases beside it, params.yaml with small values."""
    project = folder / "project"
    project.mkdir(parents=True)
    for number in range(cases):
        images, values = case_arrays(number, shape)
        write_case(folder / "source", f"BraTS2021_{number:05d}", **images, seg=values)
    write_params(project, SMALL | (changes or {}))
    return project


def write_params(project: Path, changes: dict) -> None:
    """params.yaml of the repository with other values."""
    values = params.read(ROOT / "params.yaml")
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = values
        for part in parents:
            section = section[part]
        assert last in section, key
        section[last] = value
    (project / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def follow(page: str, project: Path) -> dict:
    """Write the module that a page of docs/extending shows into a project, and its values into
    params.yaml; the values.
    """
    text = (ROOT / "docs/extending" / page).read_text()
    code = re.search(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL)
    values = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    (project / code[1]).write_text(code[2])
    write_params(project, SMALL | values)
    return values


def run(project: Path, name: str, **paths: Path) -> None:
    """Call a stage with the paths of dvc.yaml; `paths` replace some. Whole paths: worker processes
    outlive a change of folder.
    """
    function = getattr(importlib.import_module(f"pipeline.{name}"), name)
    flags = {
        flag.replace("-", "_"): project / path
        for flag, path in re.findall(r"--(\S+) (\S+)", STAGES[name]["cmd"])
    }
    values = params.read(project / "params.yaml")
    typed = {
        key: params.value(values, dotted, kind, project / "params.yaml")
        for key, (dotted, kind) in stage.keys(function).items()
    }
    function(**(flags | paths), **typed)


def clone(
    folder: Path,
    changes: dict | None = None,
    cases: int = 8,
    shape: tuple[int, int, int] = (24, 22, 20),
) -> Path:
    """A project with code, dvc.yaml and a git history of one commit, ready for `dvc repro`."""
    project = make(folder, changes, cases, shape)
    for name in ("pipeline", ".dvc", "presets"):
        shutil.copytree(
            ROOT / name,
            project / name,
            ignore=shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local"),
        )
    for name in (
        "dvc.yaml",
        "requirements.txt",
        ".dvcignore",
        ".gitignore",
        "data/.gitignore",
        "models/.gitignore",
        "metrics/.gitignore",
    ):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    dated = os.environ | {
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    }  # one commit for all clones
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "-A"],
        [*git, "commit", "-q", "-m", "A project"],
    ):
        subprocess.run(command, cwd=project, check=True, env=dated)
    return project
