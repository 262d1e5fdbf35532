"""The examples of examples/ run: Triton's model, and the recipes of the containers."""

import ast
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import pipeline.api
from pipeline import api
from tests.conftest import write_case

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/network/format_1"
TRITON = ROOT / "examples/triton/tumorflow"
CONTAINER = ROOT / "examples/container"
KINDS = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}


class Tensor:
    """As of triton_python_backend_utils: a name and an array, in which texts are bytes."""

    def __init__(self, name, values):
        assert isinstance(values, np.ndarray)
        self._name, self._values = name, values

    def name(self):
        return self._name

    def as_numpy(self):
        return self._values


class InferenceResponse:
    def __init__(self, output_tensors=(), error=None):
        self.error = error
        self.outputs = {tensor.name(): tensor.as_numpy() for tensor in output_tensors}


class TritonError:
    def __init__(self, message):
        self.text = message


@pytest.fixture
def triton(monkeypatch):
    """examples/triton's model.py over a stand-in of the module that only Triton's server has."""
    standin = types.ModuleType("triton_python_backend_utils")
    standin.Tensor, standin.TritonError = Tensor, TritonError
    standin.InferenceResponse = InferenceResponse
    standin.get_input_tensor_by_name = lambda request, name: request.get(name)
    monkeypatch.setitem(sys.modules, standin.__name__, standin)
    monkeypatch.setitem(sys.modules, "tumorflow", pipeline)
    monkeypatch.setitem(sys.modules, "tumorflow.api", api)
    space = {}
    exec(compile((TRITON / "1/model.py").read_text(), "model.py", "exec"), space)
    return space["TritonPythonModel"]()


def request(**inputs):
    """The inputs as Triton hands them over: texts as arrays of bytes."""
    return {name: Tensor(name, np.array(values, np.object_)) for name, values in inputs.items()}


@pytest.mark.slow
def test_tritons_model_answers_with_the_file_that_predict_writes(triton, tmp_path):
    case = write_case(tmp_path / "cases", "BraTS2021_00077", seed=77)
    api.load(MODEL).segment(case).save(tmp_path / "by_predict.nii.gz")
    expected = (tmp_path / "by_predict.nii.gz").read_bytes()
    values = {"model": str(MODEL), "root": str(case.parent)}
    config = {"parameters": {name: {"string_value": text} for name, text in values.items()}}
    triton.initialize({"model_config": json.dumps(config)})
    files = [(case / f"{case.name}_{kind}.nii.gz").read_bytes() for kind in KINDS.values()]
    names = [name.encode() for name in KINDS]
    by_path, by_files, outside, unequal = triton.execute(
        [
            request(CASE=[case.name.encode()]),
            request(IMAGES=files, MODALITIES=names, NATIVE=[False]),
            request(CASE=[b"/etc"]),
            request(IMAGES=files, MODALITIES=names[:3]),
        ]
    )
    for response in (by_path, by_files):
        assert response.error is None, response.error.text
        assert list(response.outputs["LABELS"]) == [expected]
        assert len(response.outputs["SERIES"]) == len(response.outputs["SERIES_NAMES"]) == 0
        [record] = response.outputs["RECORD"]
        assert json.loads(record)["volumes_ml"]
    assert outside.error.text.startswith("case: is no folder below")
    assert "IMAGES" in unequal.error.text


def test_tritons_configuration_names_the_tensors_that_the_model_reads_and_writes():
    config = (TRITON / "config.pbtxt").read_text()
    inputs, outputs = config.split("output [")
    model = (TRITON / "1/model.py").read_text()
    assert set(re.findall(r'_given\(request, "(\w+)"\)', model)) == set(
        re.findall(r'{ name: "(\w+)"', inputs)
    )
    assert set(re.findall(r'"([A-Z_]+)": ', model)) == set(re.findall(r'{ name: "(\w+)"', outputs))
    assert f'name: "{TRITON.name}"' in config


def test_kserves_predictor_is_python_and_asks_for_the_public_interface_alone():
    tree = ast.parse((ROOT / "examples/kserve/predictor.py").read_text())
    asked = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tumorflow")
        for alias in node.names
    }
    assert asked <= set(api.__all__)


@pytest.mark.parametrize("script", sorted(CONTAINER.glob("*.sh")), ids=lambda path: path.name)
def test_the_scripts_of_the_container_can_be_parsed(script):
    subprocess.run(["sh", "-n", script], check=True)


def test_both_recipes_install_the_same_files_by_the_same_script():
    docker = (CONTAINER / "Dockerfile").read_text()
    apptainer = (CONTAINER / "tumorflow.def").read_text()
    for recipe, source in ((docker, "/tmp/source"), (apptainer, "/opt/source")):
        assert f"sh {source}/examples/container/install.sh {source} " in recipe
        assert f"rm -rf {source}" in recipe
        assert ". /opt/tumorflow/environment.sh" in recipe
    [docker_base] = re.findall(r"^ARG BASE=(\S+)", docker, re.M)
    [apptainer_base] = re.findall(r"^From: (\S+)", apptainer, re.M)
    assert docker_base == apptainer_base
    ignored = (ROOT / ".dockerignore").read_text()
    sent = set(re.findall(r"^!(.+)$", ignored, re.M))
    copied = set(re.findall(r"^ +(\S+) /opt/source/\1$", apptainer, re.M))
    assert sent == copied
    used = set(re.findall(r"\$source/([\w./-]+)", (CONTAINER / "install.sh").read_text()))
    for path in (*sent, *used):
        assert (ROOT / path).exists(), path
        assert any(path == entry or path.startswith(f"{entry}/") for entry in sent), path


def test_the_script_rejects_another_device_before_it_changes_anything():
    done = subprocess.run(
        ["/bin/sh", CONTAINER / "install.sh", ".", "tpu"], env={"PATH": ""}, capture_output=True
    )
    assert done.returncode == 1
    assert b"tpu: is neither cpu nor gpu" in done.stderr


def test_the_environment_of_the_container_needs_no_home_and_no_name(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    script = f". {CONTAINER / 'environment.sh'} && env && test -w $HOME && test -z ${{cache+x}}"
    done = subprocess.run(
        ["sh", "-euc", script], env=environment, capture_output=True, text=True, check=True
    )
    places = dict(line.split("=", 1) for line in done.stdout.splitlines())
    for name in ("HOME", "MPLCONFIGDIR", "KERAS_HOME", "XDG_CACHE_HOME", "DVC_SITE_CACHE_DIR"):
        assert places[name].startswith(str(tmp_path))
