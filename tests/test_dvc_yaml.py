"""dvc.yaml is complete: every room a stage imports, every flag, every section of params.yaml."""

import ast
import importlib
import re
from pathlib import Path

import grimp
import pytest
import yaml

from pipeline import train
from pipeline.core import params
from pipeline.runtime import stage

ROOT = Path(__file__).parent.parent
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]


def flags_of(name: str) -> dict[str, str]:
    """Flag to path, from the command of a stage."""
    return dict(re.findall(r"--(\S+) (\S+)", STAGES[name]["cmd"]))


def paths_of(name: str, *kinds: str) -> list[str]:
    """Paths listed under some headings of a stage, options dropped."""
    listed = [entry for kind in kinds for entry in STAGES[name].get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed]


def code_of(name: str) -> set[str]:
    """Paths below pipeline/ that a stage lists."""
    return {path for path in paths_of(name, "deps") if path.startswith("pipeline/")}


def function_of(name: str):
    return getattr(importlib.import_module(f"pipeline.{name}"), name)


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """What imports what, without the runtime, which cannot change an out."""
    graph = grimp.build_graph("pipeline", cache_dir=None)
    for module in [
        module for module in graph.modules if f"{module}.".startswith("pipeline.runtime.")
    ]:
        graph.remove_module(module)
    return graph


def test_the_stages_stand_in_the_order_data_flows():
    assert list(STAGES) == [
        "download",
        "preprocess",
        "split",
        "augment",
        "train",
        "evaluate",
        "visualize",
    ]
    made = []
    for name in STAGES:
        data = [path for path in paths_of(name, "deps") if not path.startswith(("pipeline/", "${"))]
        for path in data:
            assert any(path == out or path.startswith(f"{out}/") for out in made), (
                f"{name} reads {path} before it is made"
            )
        made += paths_of(name, "outs", "metrics", "plots")


@pytest.mark.parametrize("name", STAGES)
def test_the_deps_of_a_stage_are_its_file_and_exactly_the_rooms_it_imports(name, imports):
    rooms = {
        module.split(".")[1]
        for module in imports.find_upstream_modules(f"pipeline.{name}")
        if "." in module
    }
    assert code_of(name) == {f"pipeline/{name}.py"} | {f"pipeline/{room}" for room in rooms}


def test_the_package_file_holds_nothing_that_a_stage_could_depend_on():
    (only,) = ast.parse((ROOT / "pipeline/__init__.py").read_text()).body
    assert isinstance(only, ast.Expr)


def test_a_checkpoint_is_of_the_code_that_dvc_trains_with():
    names = ("preprocess", "augment", "train")
    assert {f"pipeline/{place}" for place in train.CODE} == set().union(*map(code_of, names))


@pytest.mark.parametrize("name", STAGES)
def test_the_flags_of_a_stage_are_those_of_its_function(name):
    assert [flag.replace("-", "_") for flag in flags_of(name)] == stage.flags(function_of(name))


@pytest.mark.parametrize("name", STAGES)
def test_every_path_given_to_a_stage_is_a_dep_or_an_out(name):
    listed = paths_of(name, "deps", "outs", "metrics", "plots")
    for flag, path in flags_of(name).items():
        assert any(entry == path or entry.startswith(f"{path}/") for entry in listed), (
            f"{name} --{flag} {path} is not declared"
        )


@pytest.mark.parametrize("name", STAGES)
def test_the_params_of_a_stage_are_those_its_function_reads_and_they_exist(name):
    asked = {key for key, _ in stage.keys(function_of(name)).values()}
    assert set(STAGES[name].get("params", [])) == asked
    values = params.read(ROOT / "params.yaml")
    for key, kind in stage.keys(function_of(name)).values():
        params.value(values, key, kind, ROOT / "params.yaml")


def test_raw_data_survives_between_runs():
    assert {"data/raw": {"persist": True}} in STAGES["download"]["outs"]


def test_metrics_and_the_data_of_plots_go_into_git_so_that_a_pull_request_shows_them():
    outs = [
        entry
        for name in STAGES
        for kind in ("outs", "metrics")
        for entry in STAGES[name].get(kind, [])
    ]
    in_git = {
        path
        for entry in outs
        if isinstance(entry, dict)
        for path, options in entry.items()
        if options == {"cache": False}
    }
    metrics = {path for name in STAGES for path in paths_of(name, "metrics")}
    plotted = {
        path
        for entry in PIPELINE["plots"]
        if isinstance(entry, dict)
        for plot in entry.values()
        for path in plot["y"]
    }
    assert metrics | plotted <= in_git


def test_the_model_is_an_artifact():
    assert PIPELINE["artifacts"]["network"]["path"] in paths_of("train", "outs")


def test_the_file_is_short_enough_to_be_read():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 150
