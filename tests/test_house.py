"""The floors of the house: who may import whom, who may open files, who may know Keras, MLflow or a plotting library."""

import ast
import subprocess
from pathlib import Path

import pytest

from pipeline import stage
from pipeline.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
STAGES = {"download", "preprocess", "split", "augment", "train", "evaluate", "visualize"}
TOP_LEVEL = {
    *("dvc.yaml", "dvc.lock", "params.yaml", "pipeline", "data", "models", "metrics", "tests", "requirements.txt"),
    *("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "presets", "benchmarks", "docs"),
}
MAY_IMPORT = {
    "domain": {"domain"},
    "params": {"domain"},
    "stage": {"domain", "params"},
    "io": {"domain", "params", "stage", "io"},
    "sources": {"domain", "params", "stage", "io", "sources"},
    "nn": {"domain", "params", "stage", "io", "nn"},
    "pictures": {"domain", "params", "stage", "io", "pictures"},
    "tracking": {"domain", "params", "stage", "io"},
    "stages": {"domain", "params", "stage", "io", "sources", "nn", "pictures", "tracking"},
    "commands": {"domain", "params", "stage", "io", "sources", "nn", "pictures", "tracking"},
    "__main__": {"params", "stage", "commands"},
}
ONLY_IN = {
    "keras": {"nn"},
    "mlflow": {"tracking"},
    "matplotlib": {"pictures"},
    "PIL": {"pictures"},
    "tensorflow": set(),
    "jax": set(),
    "torch": set(),
}

ONLY_BY = {("tensorflow", "backend.py")}  # its switches, where it is the engine


def room(path: Path) -> str:
    """The room of a file: its folder below pipeline/, or its own name at the top."""
    parts = path.relative_to(ROOT / "pipeline").with_suffix("").parts
    return "stages" if parts[0] in STAGES else parts[0]


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at its head or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def libraries(module: str) -> set[str]:
    """Top names of everything that a module of ours leads to."""
    return {name.split(".")[0] for path in stage.code_files(module) for name in imported(ROOT / path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_the_rooms_below_it(path):
    if path == ROOT / "pipeline/__init__.py":
        return
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("pipeline.")}
    strangers = {"stages" if name in STAGES else name for name in rooms} - MAY_IMPORT[room(path)]
    assert not strangers, f"{path} is in {room(path)} and imports from {strangers}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_known_in_its_room_alone(path):
    for library, rooms in ONLY_IN.items():
        if any(name.split(".")[0] == library for name in imported(path)):
            assert room(path) in rooms or (library, path.name) in ONLY_BY, f"{path} imports {library}"


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "domain"], ids=lambda path: path.name)
def test_the_domain_opens_no_file_and_reads_no_clock(path):
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"open", "print", "input"}
    assert not {name.split(".")[0] for name in imported(path)} & {"time", "datetime", "random", "os", "pathlib", "subprocess"}


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: path.parent.name)
def test_a_package_says_what_it_is_and_nothing_else(path):
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_the_top_level_is_the_agreed_one():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name.split("/")[0] for name in listed if not name.startswith(".")} <= TOP_LEVEL


def test_every_parameter_model_is_without_defaults():
    import importlib

    from pydantic import BaseModel

    def models(kind):
        yield kind
        for field in kind.model_fields.values():
            for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
                if isinstance(part, type) and issubclass(part, BaseModel):
                    yield from models(part)

    for name in STAGES:
        module = importlib.import_module(f"pipeline.{name}")
        for key, kind in stage.keys(getattr(module, name)).values():
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                for model in models(kind):
                    optional = [field for field, info in model.model_fields.items() if not info.is_required()]
                    assert not optional, f"{key}: {model.__name__} has defaults for {optional}"


@pytest.mark.parametrize("name", sorted(STAGES - {"train", "evaluate"}) + [f"commands.{name}" for name in COMMANDS if name != "predict"])
def test_only_train_evaluate_and_predict_wait_for_keras(name):
    assert not libraries(f"pipeline.{name}") & {"keras"}
    assert libraries("pipeline.train") & {"keras"}
