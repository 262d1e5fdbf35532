"""The installed package: import name `tumorflow`, its command, its data files, its notebook."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import write_case

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/network/format_1"
NOTEBOOK = ROOT / "examples/quickstart.ipynb"


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """The unpacked wheel, as a folder for PYTHONPATH."""
    copy = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    for name in ("pipeline", "presets"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (wheel,) = (copy / "dist").glob("tumorflow-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(copy / "site")
    return copy / "site"


def run(installed: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run Python outside of the clone, with the installed package."""
    environment = os.environ | {"PYTHONPATH": str(installed), "GIT_CEILING_DIRECTORIES": str(cwd)}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_the_wheel_holds_every_file_of_the_package_and_the_presets(installed):
    def files(folder):
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if "__pycache__" not in path.parts}

    presets = {f"presets/{name}" for name in files(ROOT / "presets")}
    assert files(installed / "tumorflow") == files(ROOT / "pipeline") | presets
    (info,) = installed.glob("tumorflow-*.dist-info")
    assert "tumorflow = tumorflow.__main__:main" in (info / "entry_points.txt").read_text()
    metadata = (info / "METADATA").read_text()
    required = (ROOT / "requirements.txt").read_text().splitlines()
    listed = re.findall(r"^Requires-Dist: ([^;\n]*)$", metadata, re.MULTILINE)
    assert len(listed) == sum(not line.startswith("#") for line in required if line)


def test_every_module_imports_without_the_modules_that_windows_lacks(installed, tmp_path):
    code = """
import importlib, pkgutil, sys
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
import tumorflow
for module in pkgutil.walk_packages(tumorflow.__path__, "tumorflow."):
    if "__main__" not in module.name and ".steps.jax" not in module.name:
        importlib.import_module(module.name)
assert not [name for name in sys.modules if name.partition(".")[0] == "pipeline"]
"""
    done = run(installed, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_help_names_the_command_as_it_was_called(installed, tmp_path):
    script = tmp_path / "tumorflow"
    script.write_text("from tumorflow.__main__ import main\nmain()\n")
    for command, program in (
        ([str(script)], "tumorflow"),
        (["-m", "tumorflow"], "python -m tumorflow"),
    ):
        general = run(installed, *command, "--help", cwd=tmp_path).stdout
        assert f"usage: {program} [-h] [--version] COMMAND" in general
        shown = run(installed, *command, "predict", "--help", cwd=tmp_path).stdout
        assert f"usage: {program} predict" in shown
        assert f"{program} predict CASE_FOLDER" in shown
        assert "pipeline" not in shown.replace("pipeline/", "")
    failed = run(installed, str(script), "preset", "nothing", cwd=tmp_path)
    assert failed.returncode == 1
    assert "params.yaml: cannot be read" in failed.stderr


def test_the_presets_are_part_of_the_installed_package(installed, tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    done = run(installed, "-m", "tumorflow", "preset", "brats-cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "source: brats" in (tmp_path / "params.yaml").read_text()


def test_doctor_of_an_installed_package_needs_no_clone(installed, tmp_path):
    done = run(installed, "-m", "tumorflow", "doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no dvc.yaml here: predict, score, compare, sources and tumorflow.api" in done.stdout
    assert re.search(r"ok +keras +", done.stdout)


def test_a_stage_of_the_installed_package_works_in_parallel(installed, tmp_path):
    code = """
from tumorflow.core.params import Compute
from tumorflow.formats.nifti import is_nifti
from tumorflow.runtime.parallel import computing, over_cases
from pathlib import Path
with computing(Compute(backend="loky", address="", workers=2)):
    print(over_cases(is_nifti, [Path("a.nii.gz"), Path("b.txt")], "look"))
"""
    assert run(installed, "-c", code, cwd=tmp_path).stdout.strip() == "[True, False]"


def script_of(notebook: Path) -> str:
    """The code cells as a script that displays what a notebook would."""
    cells = json.loads(notebook.read_text())["cells"]
    lines = ["def display(value):", "    for kind in ('_repr_png_', '_repr_html_', '__repr__'):"]
    lines += [
        "        if hasattr(value, kind):",
        "            return print(getattr(value, kind)())",
    ]
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        body = ast.parse("".join(cell["source"])).body
        if isinstance(body[-1], ast.Expr):
            shown = ast.Call(ast.Name("display", ast.Load()), [body[-1].value], [])
            body[-1] = ast.Expr(shown)
        lines.append(ast.unparse(ast.fix_missing_locations(ast.Module(body, []))))
    return "\n".join(lines)


def test_the_notebook_runs_with_the_installed_package(installed, tmp_path):
    shutil.copytree(MODEL, tmp_path / "models")
    write_case(tmp_path / "data/raw", "Phantom_009", seed=77)
    (tmp_path / "examples").mkdir()
    done = run(installed, "-c", script_of(NOTEBOOK), cwd=tmp_path / "examples")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(r"\x89PNG") == 2
    assert "hd95_mm" in done.stdout
    assert (tmp_path / "examples/Phantom_009_labels.nii.gz").is_file()


def test_the_notebook_is_committed_without_outputs():
    assert NOTEBOOK.stat().st_size < 10_000
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
