import importlib
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline import __main__ as command_line
from pipeline.commands import preset
from pipeline.core import params
from pipeline.runtime import params_file, stage

ROOT = Path(__file__).parents[2]
STAGES = ("download", "preprocess", "split", "augment", "train", "evaluate", "visualize")
NAMES = sorted(path.stem for path in preset.PRESETS.glob("*.yaml"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a params.yaml of the phantom preset."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    apply("phantom")
    return tmp_path


def apply(*arguments):
    """Call the command as a user does; its exit status."""
    with pytest.raises(SystemExit) as left:
        command_line.main(["preset", *arguments])
    return left.value.code


def keys_of(values):
    """Dotted names of all values."""
    if not isinstance(values, dict) or not values:
        return {""}
    return {f"{key}.{name}" for key, value in values.items() for name in keys_of(value)}


def read(path="params.yaml"):
    return params.read(Path(path))


def written(name):
    return preset.parse((preset.PRESETS / f"{name}.yaml").read_text(), name)


def test_a_preset_changes_values_and_keeps_every_comment_and_line(here):
    before = Path("params.yaml").read_text().splitlines()
    Path("cases").mkdir()
    assert not apply("brats-cpu", f"cohort.location={here}/cases", "train.learning_rate=1e-4")
    after = Path("params.yaml").read_text().splitlines()
    values = read()
    expected = {"source": "brats", "location": f"{here}/cases", "cases": 0}
    assert expected.items() <= values["cohort"].items()
    assert values["train"]["learning_rate"] == 0.0001
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert old.partition(":")[0] == new.partition(":")[0]
        assert old.partition("#")[2] == new.partition("#")[2]


@pytest.mark.slow  # it imports DVC
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_dvc_exp_run_has_rewritten_takes_a_preset(here, name):
    from dvc.utils.hydra import apply_overrides

    original = Path("params.yaml").read_text()
    apply_overrides("params.yaml", ["evaluate.postprocess.min_component_ml=0.5"])
    assert "\n  - 80\n" in Path("params.yaml").read_text(), "lists are blocks"
    assert not apply(name)
    after = Path("params.yaml").read_text()
    found = read()
    Path("params.yaml").write_text(original)
    assert not apply(name)
    expected = read()
    if "min_component_ml" not in (preset.PRESETS / f"{name}.yaml").read_text():
        expected["evaluate"]["postprocess"]["min_component_ml"] = 0.5
    assert found == expected
    assert after.count("#") == original.count("#")


def test_the_change_is_shown_as_a_diff_and_the_phantom_preset_restores_the_file(here, capsys):
    first = Path("params.yaml").read_bytes()
    capsys.readouterr()
    for said in ("--- params.yaml\n+++ params.yaml\n", "has these values already"):
        apply("phantom", "cohort.cases=7", "split.val_fold=2")
        shown = capsys.readouterr().out
        assert said in shown
        if "+++" in said:
            *lines, step = shown.splitlines()[2:]
            assert step == "next: dvc repro"
            changes = [line for line in lines if not line.startswith("@@")]
            assert [line[0] for line in changes] == ["-", "+", "-", "+"]
            assert "cases: 7" in changes[1]
    apply("phantom")
    assert Path("params.yaml").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["brats"],
            "no such preset; the presets are brats-cpu, brats2021, cheng, flair-wt, phantom",
        ),
        (["phantom", "train.lr=1"], "no key train.lr; train has epochs"),
        (["phantom", "training.epochs=1"], "no key training.epochs; the sections are cohort"),
        (["phantom", "train.epochs.first=1"], "train.epochs.first; train.epochs has no keys"),
        (["phantom", "train.on_the_fly=1"], "is a group; set one of train.on_the_fly.rotation"),
        (["phantom", "train.epochs"], "train.epochs: not of the form key=value"),
        (["phantom", "train.patch=[1, 2"], "train.patch=[1, 2: cannot be read as YAML"),
        (["phantom", "--params", "absent.yaml"], "absent.yaml: cannot be read"),
        (["phantom", "train.epochs=abc"], "params.yaml: train.epochs: input should be a valid int"),
        (["phantom", "train.patch=[80, 90]"], "train.patch is [80, 90], but a network with"),
        (["brats-cpu", "cohort.location=/nope"], "/nope: does not exist. Set cohort.location"),
        (["phantom", "cohort.corrections=/nope"], "/nope: is no folder. Set cohort.corrections"),
        (["phantom", "cohort.source=cheng"], "none has one around it to take its voxels"),
    ],
)
def test_a_key_that_cannot_be_set_is_rejected_by_name_and_nothing_changes(here, arguments, message):
    before = Path("params.yaml").read_bytes()
    assert message in apply(*arguments)
    assert Path("params.yaml").read_bytes() == before


def test_a_preset_without_a_location_that_it_needs_says_so_before_the_next_step(here, capsys):
    assert not apply("flair-wt")
    *_, warning, step, then = capsys.readouterr().out.splitlines()
    assert warning.startswith("warning: params.yaml: cohort.location is empty.")
    assert step == "next: python -m pipeline preset flair-wt cohort.location=FOLDER"
    assert then == "then: dvc repro"


def test_a_fault_that_was_there_before_is_a_warning(here, capsys):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("dpi: 130", "dpi: abc"))
    assert not apply("brats-cpu", "train.epochs=3")
    assert read()["train"]["epochs"] == 3
    assert "warning: params.yaml: visualize.dpi: " in capsys.readouterr().out
    Path("params.yaml").write_text(text.replace("copies: 1 ", "copies: x "))
    assert not apply("phantom"), "the preset corrects it"
    assert read()["augment"]["copies"] == 1


def test_a_value_is_read_as_yaml(here):
    pairs = ("cohort.location=", "evaluate.mirror=true", "split.val_fold=null")
    apply("phantom", "preprocess.spacing_mm=[1, 1.5, 2e0]", *pairs)
    values = read()
    assert values["preprocess"]["spacing_mm"] == [1, 1.5, 2.0]
    assert values["cohort"]["location"] == ""
    assert values["evaluate"]["mirror"] is True
    assert values["split"]["val_fold"] is None


@pytest.mark.parametrize("key", params_file.FREE)
def test_a_mapping_with_names_of_the_user_is_replaced_and_cleared_as_a_whole(here, key):
    def value():
        found = read()
        for part in key.split("."):
            found = found[part]
        return found

    for names in ("{ET: 0.6, WT: 0.4}", "{TC: 0.3}", "{}"):
        assert not apply("phantom", f"{key}={names}")
        assert value() == yaml.safe_load(names)
    apply("phantom", f"{key}={{ET: 0.6}}")
    for name in ("brats-cpu", "phantom"):
        assert not apply(name)
        assert key == "network.options" or value() == {}, "a preset clears what it names"
    assert value() == {}


def test_without_a_name_all_presets_are_listed_with_their_cost(here, capsys):
    apply()
    listed = capsys.readouterr().out
    for name in NAMES:
        about = listed.split(f"{name}\n    ")[1].split("\n\n")[0]
        for item in ("command", "hardware", "cost", "expected score"):
            assert f"{item}: " in about


def test_the_phantom_preset_sets_every_value_and_the_others_of_brats_the_same_ones():
    assert keys_of(written("phantom")) == keys_of(read(ROOT / "params.yaml"))
    assert keys_of(written("brats2021")) == keys_of(written("brats-cpu"))


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_accepts_the_values_of_a_preset(here, name):
    assert not apply(name)
    values = read()
    for module in STAGES:
        function = getattr(importlib.import_module(f"pipeline.{module}"), module)
        for key, kind in stage.keys(function).values():
            params.value(values, key, kind, Path("params.yaml"))
    patch, network = values["train"]["patch"], values["network"]
    assert len(patch) == network["dimensions"]
    assert all(side % 2 ** (network["depth"] - 1) == 0 for side in patch)
