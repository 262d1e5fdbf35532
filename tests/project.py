"""A project of its own in a temporary folder: small params, a small cohort, the stages called as
dvc.yaml says.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.core import params
from pipeline.core.catalogue import Catalogue
from pipeline.core.extensions import NONE
from pipeline.core.params import Cohort, Compute
from pipeline.core.records import read_json
from pipeline.download import download
from pipeline.runtime import parallel, stage
from tests.conftest import AS_IT_IS, case_arrays, write_case

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ONE_PROCESS = Compute(backend="loky", address="", workers=1)
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
    """Call a stage in this process with the paths of dvc.yaml; `paths` replace some."""
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
    with parallel.computing(ONE_PROCESS):
        function(**(flags | paths), **typed)


def run_stages(project: Path, *names: str) -> Path:
    """Call stages in the folder of the project, with an MLflow store in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("DVC_ROOT", str(project))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in names:
            run(project, name)
    return project


def copy(project: Path, folder: Path) -> Path:
    """A copy of a project, with the cohort beside it and without its MLflow runs."""
    unwanted = shutil.ignore_patterns("mlartifacts", "mlflow.db*")
    return shutil.copytree(project.parent, folder / "copy", ignore=unwanted) / project.name


def download_cohort(folder: Path, raw: Path | None = None, **cohort) -> Catalogue:
    """Call `download` of a cohort into folder/raw, with folder/verify.json and thumbnails.png."""
    raw = raw or folder / "raw"
    described = Cohort(
        **{"cases": 0, "seed": 1, "unlabelled": "refuse", "corrections": NONE} | cohort
    )
    download(raw, folder / "verify.json", folder / "thumbnails.png", described, AS_IT_IS, NONE)
    return read_json(raw / "catalogue.json", Catalogue)


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
    ignored = (f"{folder}.gitignore" for folder in ("", "data/", "models/", "metrics/"))
    for name in ("dvc.yaml", "requirements.txt", ".dvcignore", *ignored):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    date = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "A project"]):
        subprocess.run([*git, *words], cwd=project, check=True, env=os.environ | date)
    return project


def environment() -> dict[str, str]:
    """This interpreter first on the path, nothing of an outer DVC or MLflow."""
    outer = ("DVC_", "MLFLOW_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "DVC_NO_ANALYTICS": "1", "CUDA_VISIBLE_DEVICES": ""}


def call(folder: Path, *command: str) -> str:
    """What a Python module says, run in a folder as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


STATUS = """
import json, sys
from pathlib import Path
from dvc.repo import Repo

for path in map(Path, sys.argv[1:]):
    before = path.read_text()
    path.write_text(before + "# a comment\\n")
    print(json.dumps(sorted(Repo().status())))
    path.write_text(before)
"""


def stages_to_run(folder: Path, *paths: str) -> list[list[str]]:
    """Of each file: the stages that `dvc status` lists when a comment is added to it alone."""
    (folder.parent / "status.py").write_text(STATUS)
    command = [sys.executable, str(folder.parent / "status.py"), *paths]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
