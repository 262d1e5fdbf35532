"""dvc.yaml tells the truth: every file a stage imports, every flag, every section of params.yaml."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from pipeline import params, stage

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def flags_of(name: str) -> dict[str, str]:
    """Flag to path, from the command of a stage."""
    return dict(re.findall(r"--(\S+) (\S+)", STAGES[name]["cmd"]))


def paths_of(name: str, *kinds: str) -> list[str]:
    """Paths listed under some headings of a stage, options dropped."""
    listed = [entry for kind in kinds for entry in STAGES[name].get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed]


def function_of(name: str):
    return getattr(importlib.import_module(f"pipeline.{name}"), name)


def test_the_stages_stand_in_the_order_data_flows():
    assert list(STAGES) == ["download", "preprocess", "split", "augment", "train", "evaluate", "visualize"]
    made = []
    for name in STAGES:
        data = [path for path in paths_of(name, "deps") if not path.startswith("pipeline/")]
        for path in data:
            assert any(path == out or path.startswith(f"{out}/") for out in made), f"{name} reads {path} before it is made"
        made += paths_of(name, "outs", "metrics", "plots")


@pytest.mark.parametrize("name", STAGES)
def test_the_deps_of_a_stage_are_exactly_the_files_it_imports(name):
    listed = {path for path in paths_of(name, "deps") if path.startswith("pipeline/") and path.endswith(".py")}
    assert listed == {path.as_posix() for path in stage.code_files(f"pipeline.{name}")}


@pytest.mark.parametrize("name", STAGES)
def test_what_else_lies_beside_the_code_of_a_stage_is_a_dep_of_it(name):
    code = stage.code_files(f"pipeline.{name}")
    beside = {path for file in code for path in (ROOT / file).parent.iterdir() if path.suffix != ".py" and path.name != "__pycache__"}
    read = [path for path in beside if not (path / "__init__.py").exists() and any(path.name in (ROOT / file).read_text() for file in code)]
    data = {path.relative_to(ROOT).as_posix() for path in read}
    assert data == {path for path in paths_of(name, "deps") if path.startswith("pipeline/") and not path.endswith(".py")}


@pytest.mark.parametrize("name", STAGES)
def test_the_flags_of_a_stage_are_those_of_its_function(name):
    assert [flag.replace("-", "_") for flag in flags_of(name)] == stage.flags(function_of(name))


@pytest.mark.parametrize("name", STAGES)
def test_every_path_given_to_a_stage_is_a_dep_or_an_out(name):
    listed = paths_of(name, "deps", "outs", "metrics", "plots")
    for flag, path in flags_of(name).items():
        assert any(entry == path or entry.startswith(f"{path}/") for entry in listed), f"{name} --{flag} {path} is not declared"


@pytest.mark.parametrize("name", STAGES)
def test_the_params_of_a_stage_are_those_its_function_reads_and_they_exist(name):
    asked = {key for key, _ in stage.keys(function_of(name)).values()}
    assert set(STAGES[name].get("params", [])) == asked
    values = params.read(ROOT / "params.yaml")
    for key, kind in stage.keys(function_of(name)).values():
        params.value(values, key, kind, ROOT / "params.yaml")


def test_raw_data_survives_between_runs():
    assert {"data/raw": {"persist": True}} in STAGES["download"]["outs"]
