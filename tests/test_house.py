"""The floors of the house: who imports whom, who opens files, who knows Keras, MLflow or a plotting
library.
"""

import ast
import importlib
import subprocess
from pathlib import Path

import grimp
import pytest
from pydantic import BaseModel

from pipeline.__main__ import COMMANDS
from pipeline.runtime import stage

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
GRAPH = grimp.build_graph("pipeline", include_external_packages=True, cache_dir=None)
STAGES = {"download", "preprocess", "split", "augment", "train", "evaluate", "visualize"}
TOP_LEVEL = {
    *(
        "dvc.yaml",
        "dvc.lock",
        "params.yaml",
        "pipeline",
        "data",
        "models",
        "metrics",
        "tests",
        "requirements.txt",
    ),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "pyproject.toml"),
    *("presets", "benchmarks", "docs", "examples"),
}
BELOW = {
    "core": set(),
    "runtime": {"core"},
    "statistics": {"core"},
    "formats": {"core"},
    "preparation": {"core"},
    "quality": {"core", "preparation"},
    "augmentation": {"core"},
    "phantom": {"core"},
    "metrics": {"core", "statistics"},
    "verification": {"core", "formats"},
    "registration": {"core", "formats", "verification"},
    "cohorts": {"core", "formats", "phantom", "runtime"},
    "network": {"core", "preparation", "augmentation"},
    "planning": {"core", "preparation", "network", "runtime"},
    "export": {"core", "preparation", "network"},
    "report": {"core", "metrics", "statistics", "verification"},
    "checking": {
        *("core", "runtime", "preparation", "augmentation", "registration", "metrics"),
        *("cohorts", "network", "report", "scoring"),
    },
    "segmenting": {
        *("core", "formats", "cohorts", "registration", "preparation", "verification"),
        *("network", "metrics", "quality", "report", "runtime"),
    },
    "exchange": {"core", "formats", "cohorts", "network", "runtime", "segmenting"},
    "serving": {
        *("core", "formats", "cohorts", "registration", "metrics", "quality", "runtime"),
        *("segmenting", "following", "network", "report", "correcting"),
    },
    "following": {
        *("core", "formats", "cohorts", "registration", "metrics", "segmenting", "report")
    },
    "correcting": {"core", "formats", "cohorts", "metrics", "verification"},
    "scoring": {"core", "formats", "metrics", "network", "preparation", "quality", "statistics"},
}
"""Room -> rooms it may import from, beside itself; stages and commands may import all of them."""
PURE = {"augmentation", "metrics", "phantom", "statistics"}
ONLY_IN = {
    "keras": {"network"},
    "mlflow": {"runtime.tracking"},
    "matplotlib": {"report.plots"},
    "PIL": {"formats", "report.plots", "verification"},
    "tensorflow": {"network.backend", "network.steps"},
    "jax": {"network.steps"},
    "torch": set(),
    "dicomweb_client": {"exchange"},
    "fastapi": {"serving"},
    "uvicorn": {"commands.serve", "serving.connections"},
    "tqdm": {"core.progress", "cohorts.copying"},
}


def room(module: str) -> str:
    """Room of a module, or its own name at the top."""
    return module.split(".")[1] if "." in module else module


def test_every_room_is_on_a_floor():
    folders = {path.parent.name for path in FILES if path.parent.parent == ROOT / "pipeline"}
    assert folders == {*BELOW, "commands"}


@pytest.mark.parametrize("name", BELOW)
def test_a_room_imports_only_from_the_rooms_below_it(name):
    modules = {module for module in GRAPH.modules if module.startswith(f"pipeline.{name}.")}
    assert modules
    for module in modules:
        ours = {
            room(other)
            for other in GRAPH.find_modules_directly_imported_by(module)
            if other.startswith("pipeline.")
        }
        assert ours <= {name, *BELOW[name]}, f"{module} imports from {ours - {name, *BELOW[name]}}"


def test_no_stage_and_no_command_imports_another():
    doors = {f"pipeline.{name}" for name in STAGES} | {
        f"pipeline.commands.{name}" for name in COMMANDS
    }
    for door in doors:
        assert not GRAPH.find_modules_directly_imported_by(door) & doors


@pytest.mark.parametrize(("library", "places"), ONLY_IN.items())
def test_a_library_is_known_in_its_room_alone(library, places):
    importers = (
        GRAPH.find_modules_that_directly_import(library) if library in GRAPH.modules else set()
    )
    strangers = {
        module
        for module in importers
        if not any(f"{module}.".startswith(f"pipeline.{place}.") for place in places)
    }
    assert not strangers


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parts[-2] in PURE], ids=lambda path: path.name
)
def test_a_pure_room_opens_no_file_and_reads_no_clock(path):
    names = {
        node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
    }
    assert not names & {"open", "print", "input"}
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    assert not GRAPH.find_modules_directly_imported_by(module) & {
        "time",
        "datetime",
        "random",
        "os",
        "pathlib",
        "subprocess",
    }


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.name == "__init__.py"],
    ids=lambda path: path.parent.name,
)
def test_a_package_says_what_it_is_and_nothing_else(path):
    (only,) = ast.parse(path.read_text()).body
    assert isinstance(only, ast.Expr)


def test_imports_within_the_package_are_relative_so_that_it_can_be_installed_under_another_name():
    for path in FILES:
        absolute = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            and not node.level
            and (node.module or "").split(".")[0] == "pipeline"
        ]
        assert not absolute, path


def test_the_top_level_is_the_agreed_one():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.split("/")[0] for name in listed if not name.startswith(".")} <= TOP_LEVEL


def models(kind: type[BaseModel]):
    """A model and those within it."""
    yield kind
    for field in kind.model_fields.values():
        for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_parameter_model_is_without_defaults(name):
    module = importlib.import_module(f"pipeline.{name}")
    for key, kind in stage.keys(getattr(module, name)).values():
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for model in models(kind):
                optional = [
                    field for field, info in model.model_fields.items() if not info.is_required()
                ]
                assert not optional, f"{key}: {model.__name__} has defaults for {optional}"


@pytest.mark.parametrize("name", sorted(STAGES) + [f"commands.{name}" for name in COMMANDS])
def test_only_what_uses_a_network_waits_for_keras(name):
    networks = {"predict", "export", "dicomweb", "watch", "follow", "serve"}
    assert ("keras" in GRAPH.find_upstream_modules(f"pipeline.{name}")) == (
        name in {"train", "evaluate", *(f"commands.{command}" for command in networks)}
    )
