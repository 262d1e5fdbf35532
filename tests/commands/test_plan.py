import contextlib
import importlib
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline import __main__ as command_line
from pipeline.commands import plan
from pipeline.core import params
from pipeline.core.params import Cohort
from pipeline.planning.machine import Machine
from pipeline.runtime import stage
from tests import project

ROOT = Path(__file__).parents[2]
STAGES = ("download", "preprocess", "split", "augment", "train", "evaluate", "visualize")


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory) -> Path:
    """The commented params.yaml beside the catalogue of eight small cases."""
    folder = project.make(tmp_path_factory.mktemp("plan"))
    project.run_stages(folder, "download")
    text = (ROOT / "params.yaml").read_text()
    cohort = {"source": "brats", "location": "../source", "cases": 0}
    shares = {"val_share": 0.25, "test_share": 0.25}
    values = plan.changed(
        text,
        {f"cohort.{key}": value for key, value in cohort.items()}
        | {f"split.{key}": value for key, value in shares.items()},
        folder / "params.yaml",
    )
    (folder / "params.yaml").write_text(values)
    return folder


@pytest.fixture
def here(downloaded, tmp_path, monkeypatch):
    """A copy of it as the current folder, and a folder for caches of its own."""
    folder = shutil.copytree(downloaded, tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


def call(*arguments):
    """Call the command as a user does: what it printed, and its exit status."""
    printed = io.StringIO()
    with pytest.raises(SystemExit) as left, contextlib.redirect_stdout(printed):
        command_line.main(["plan", *arguments])
    return printed.getvalue(), left.value.code


def leaves(values, name=""):
    if not isinstance(values, dict) or not values:
        return {name: values}
    return {
        key: found
        for part, value in values.items()
        for key, found in leaves(value, f"{name}.{part}".removeprefix(".")).items()
    }


@pytest.mark.slow
def test_a_plan_times_steps_changes_params_yaml_and_is_the_same_twice(here):
    before = Path("params.yaml").read_text()
    shown, status = call("--minutes", "4", "--dry-run")
    assert not status, shown
    assert Path("params.yaml").read_text() == before
    assert "timing " in shown
    assert "s a step" in shown

    planned, status = call("--minutes", "4")
    assert not status, planned
    assert "timing " not in planned  # remembered
    assert "--- params.yaml\n+++ params.yaml\n" in planned
    after = Path("params.yaml").read_text()
    for old, new in zip(before.splitlines(), after.splitlines(), strict=True):
        assert old.partition(":")[0] == new.partition(":")[0]
        assert old.partition("#")[2] == new.partition("#")[2]
    old, new = leaves(yaml.safe_load(before)), leaves(yaml.safe_load(after))
    changed = {key for key in old if old[key] != new[key]}
    assert changed
    for key in changed:
        (line,) = [one for one in planned.splitlines() if one.split()[:1] == [key]]
        assert json.dumps(new[key]) in line
        assert key.split(".")[0] in ("preprocess", "augment", "network", "train", "evaluate")

    values = params.read(Path("params.yaml"))
    for module in STAGES:
        function = getattr(importlib.import_module(f"pipeline.{module}"), module)
        for key, kind in stage.keys(function).values():
            params.value(values, key, kind, Path("params.yaml"))

    again, status = call("--minutes", "4")
    assert not status
    assert "params.yaml has these values already.\n" in again
    assert again.endswith("next: dvc repro\n")
    assert Path("params.yaml").read_text() == after


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minutes", "0"], "--minutes is 0.0, expected a number above 0"),
        (["--minutes", "nan"], "--minutes is nan, expected a number above 0"),
        (["--memory-gb", "-1"], "--memory-gb is -1.0, expected a number above 0"),
        (["--memory-gb", "0.9"], "no training fits into 0.675 GB of memory"),
        (["--catalogue", "nothing.json"], "nothing.json: there is no catalogue of the cohort yet"),
        (["--params", "nothing.yaml"], "nothing.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_planned_is_an_error_and_nothing_changes(here, arguments, message):
    before = Path("params.yaml").read_bytes()
    _, status = call(*arguments)
    assert message in status
    assert Path("params.yaml").read_bytes() == before


def test_a_fault_of_any_section_is_rejected_before_a_step_is_timed(here):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("dpi: 130", "dpi: abc"))
    printed, status = call("--minutes", "30")
    assert "params.yaml: visualize.dpi: " in status
    assert printed == ""


def test_a_catalogue_of_another_cohort_is_rejected(here):
    values = params.read(Path("params.yaml"))
    made = values["cohort"] | {"location": "elsewhere"}
    lock = {"stages": {"download": {"params": {"params.yaml": {"cohort": made}}}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    _, status = call("--minutes", "30")
    assert "was made with cohort.location 'elsewhere', but params.yaml says '../source'" in status
    assert "Run `dvc repro download`, then plan." in status
    Path("dvc.lock").unlink()
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  cases: 0 ", "  cases: 5 "))
    _, status = call("--minutes", "30")
    assert "holds 8 cases, but params.yaml takes 5" in status


def test_the_cohort_is_described_from_its_catalogue_and_voxels(here):
    found = plan.fingerprint_of(plan.CATALOGUE, params.read(Path("params.yaml")))
    assert found.patients == found.cases == 8
    assert (found.to_train, found.to_validate, found.to_test) == (4, 2, 2)
    assert found.brain_mm == (20.0, 18.0, 16.0)
    assert found.spacing_mm == (1.0, 1.0, 1.0)
    assert found.region_ml["WT"] == 0.8
    assert Cohort(**params.read(Path("params.yaml"))["cohort"]).source == "brats"


def test_this_machine_is_described_by_what_it_has_and_what_may_be_used():
    machine = plan.this_machine(None)
    assert isinstance(machine, Machine)
    assert machine.cores >= 1
    assert "keras 3." in machine.backend
    assert plan.this_machine(3.0).memory_gb == 3.0
    assert plan.this_machine(1e6) == machine


def test_small_numbers_are_written_so_that_every_yaml_reader_sees_a_number():
    text = plan.changed("train: {weight_decay: 1.0e-4}\n", {"train.weight_decay": 3e-5}, Path("p"))
    assert yaml.safe_load(text) == {"train": {"weight_decay": 3e-5}}


def test_a_value_that_stays_keeps_its_spelling_and_a_new_text_needs_no_quotes():
    path = ROOT / "params.yaml"
    before = path.read_text()
    same = {"train.schedule": "cosine", "train.learning_rate": 0.003, "train.deterministic": True}
    assert plan.changed(before, same, path) == before
    after = plan.changed(before, {"train.schedule": "poly"}, path)
    assert "\n  schedule: poly " in after
