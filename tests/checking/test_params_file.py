"""Every stage and command checks the whole of params.yaml, and names every fault once."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.checking import params_file as checking
from pipeline.checking.sections import MODELS
from pipeline.core import params
from pipeline.core.errors import InputError
from pipeline.runtime import stage
from pipeline.runtime.params_file import DEFAULTS
from tests.preparation.test_postprocess import ONE_LABEL

ROOT = Path(__file__).parents[2]
STAGES = ("download", "preprocess", "split", "augment", "train", "evaluate", "visualize")
PATH = Path("params.yaml")


@pytest.fixture(autouse=True)
def clone(tmp_path, monkeypatch):
    """A folder that is the root of a clone."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return tmp_path


def changed(changes):
    """Values of params.yaml with some dotted keys changed."""
    values = params.read(DEFAULTS)
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = values
        for part in parents:
            section = section[part]
        section[last] = value
    return values


def faults(changes):
    return checking.check(changed(changes), PATH).faults


def test_a_stage_reads_the_models_that_are_checked():
    for name in STAGES:
        function = getattr(importlib.import_module(f"pipeline.{name}"), name)
        for key, kind in stage.keys(function).values():
            section, _, rest = key.partition(".")
            found = MODELS[section].model_fields[rest].annotation if rest else MODELS[section]
            assert found is (getattr(kind, "__origin__", kind)), (name, key)
    assert set(MODELS) == set(params.SECTIONS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"visualize.dpi": "abc"}, "visualize.dpi: input should be a valid integer, got 'abc'"),
        ({"visualize.dpi": 900}, "visualize.dpi: input should be less than or equal to 600, got"),
        ({"split.val_fold": "x"}, "split.val_fold: input should be a valid integer or 'all', got"),
        ({"split.val_fold": 5}, "split.val_fold: must be one of the folds 0 to 4, all or null"),
        ({"network.encoder_blocks": [1, "x", 1, 1, 1]}, "network.encoder_blocks.1: input should"),
        ({"evaluate.missing_modalities": {"all": 1}}, "evaluate.missing_modalities: must be all"),
        ({"cohort.source": "bratz"}, "cohort.source is 'bratz'. Set it to one of phantom, brats,"),
        ({"cohort.cases": 0}, "cohort.cases is 0, but phantom needs the number of cases to"),
        ({"cohort.source": "no.such:SOURCE"}, "cohort.source is 'no.such:SOURCE', but there is no"),
        ({"train.loss": "mine:loss"}, "train.loss is 'mine:loss', but there is no module mine in"),
        ({"train.loss": "dice"}, "train.loss: must be one of dice_ce, or your own as package.mod"),
        ({"train.on_the_fly.own": ["mine:x"]}, "train.on_the_fly.own is 'mine:x', but there is"),
        ({"evaluate.metrics": ["dice"]}, "evaluate.metrics is 'dice', expected your own as"),
        ({"own_code.train": "mine.py"}, "own_code.train is 'mine.py', which does not exist in"),
        ({"train.patch": [80, 90]}, "train.patch is [80, 90], but a network with network.depth 5"),
        ({"train.patch": [80]}, "train.patch is [80], but a network with network.dimensions 2"),
        ({"evaluate.postprocess.thresholds": {"XX": 0.5}}, "evaluate.postprocess.thresholds names"),
        (
            {"network.output": "labels", "evaluate.postprocess.thresholds": {"ET": 0.5}},
            "evaluate.postprocess.thresholds are of regions, but network.output is labels",
        ),
        ({"evaluate.missing_modalities": [["dwi"]]}, "evaluate.missing_modalities: dwi: is no"),
        ({"network.type_head": True}, "network.type_head: needs network.output labels"),
        ({"cohort.source": "cheng"}, "evaluate.postprocess.min_innermost_ml is 1, but of the"),
    ],
)
def test_a_fault_is_found_without_data_and_named_once(changes, said):
    (fault,) = faults(changes)
    assert fault.startswith(f"params.yaml: {said}")


def test_openvino_and_a_film_that_cannot_be_made_are_found_before_the_training(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("PATH", "")
    engine, film = faults({"evaluate.engine": "openvino", "visualize.animations": ["gif", "mp4"]})
    assert "evaluate.engine: openvino takes the networks of this project on TensorFlow" in engine
    assert "visualize.animations has mp4, which needs ffmpeg on PATH" in film


def test_all_faults_of_all_sections_are_reported_at_once():
    values = changed({"train.epochs": "x", "visualize.dpi": 1, "evaluate.metrics": ["a:b"]})
    del values["split"]["folds"], values["native"]
    values["cohort"]["sede"] = 1
    PATH.write_text(json.dumps(values))
    with pytest.raises(InputError) as raised:
        checking.checked(PATH, "split", {})
    lines = [line for line in str(raised.value).splitlines() if line.startswith("params.yaml: ")]
    assert [line.removeprefix("params.yaml: ").split(":")[0] for line in lines] == [
        "unknown sections [], missing sections ['native']; the sections are "
        f"{list(params.SECTIONS)}.",
        "cohort.sede",
        "split.folds",
        "train.epochs",
        "visualize.dpi",
        "evaluate.metrics is 'a",
    ]


def test_only_download_needs_the_location_of_the_cases():
    values = changed({"cohort.source": "brats", "cohort.location": "/nope"})
    assert checking.check(values, PATH).faults == []
    (missing,) = checking.check(values, PATH).missing
    assert missing.startswith("params.yaml: /nope: does not exist. Set cohort.location to the")
    PATH.write_text(json.dumps(values))
    for name in STAGES[1:]:
        assert checking.checked(PATH, name, {}) == values
    with pytest.raises(InputError, match="/nope: does not exist"):
        checking.checked(PATH, "download", {})


def test_a_catalogue_and_a_split_show_what_does_not_fit_the_cohort():
    changes = {
        "cohort.source": "folder",
        "visualize.names": ["B", "C"],
        "evaluate.postprocess.thresholds": {"ET": 0.5},
        "evaluate.postprocess.min_innermost_ml": 0.0,
    }
    PATH.write_text(json.dumps(changed(changes)))
    Path("catalogue.json").write_text(json.dumps({"cohort": ONE_LABEL.model_dump(mode="json")}))
    Path("split.json").write_text(json.dumps({"test": ["A", "B"]}))
    given = {"catalogue": Path("catalogue.json"), "split": Path("split.json")}
    with pytest.raises(InputError) as raised:
        checking.checked(PATH, "train", given)
    thresholds, names = str(raised.value).splitlines()
    assert "thresholds names ET, but the regions of cohort" in thresholds
    assert names.endswith(
        "visualize.names has ['C'], but the test cases in split.json are ['A', 'B']."
    )
    with pytest.raises(InputError, match="thresholds") as raised:
        checking.checked(PATH, "split", given)
    assert "visualize.names" not in str(raised.value), "the split is what this stage makes"
    assert checking.checked(PATH, "train", {"raw": Path("absent"), "split": Path("absent.json")})


def test_the_whole_check_loads_neither_keras_nor_scipy(tmp_path):
    program = (
        "import sys; from pathlib import Path; from pipeline.checking.params_file import checked;"
        f" checked(Path({str(DEFAULTS)!r}), 'train', {{}});"
        " print({'keras', 'tensorflow', 'scipy', 'nibabel', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
