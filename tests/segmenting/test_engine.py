"""`predict --engine` runs the network by another engine, and the record names it."""

import json

import numpy as np
import pytest

from pipeline import __main__ as commands
from pipeline import api
from pipeline.formats import nifti
from tests.conftest import write_case
from tests.export import made


def test_the_engine_of_the_command_runs_the_network_and_is_named(tmp_path, capsys):
    model = made.model(tmp_path / "models", output="labels", postprocess={"min_component_ml": 0.1})
    case = write_case(tmp_path / "source", "BraTS2021_00777", affine=made.AFFINE)
    for engine, state in (("keras", "1 done"), ("onnx", "1 done"), ("onnx", "1 skipped")):
        out = tmp_path / "out"
        options = ["--model", str(model), "--out", str(out), "--engine", engine]
        with pytest.raises(SystemExit) as ended:
            commands.main(["predict", str(case), *options])
        assert not ended.value.code
        assert state in capsys.readouterr().out
        record = json.loads((out / f"{case.name}.nii.gz.json").read_text())
        assert (record["engine"]["name"], record["settings"]["engine"]) == (engine, engine)
        assert ("onnxruntime" in record["versions"]) == (engine == "onnx")
    labels = nifti.read(tmp_path / f"out/{case.name}.nii.gz").voxels
    expected = api.load(model).segment(case).labels
    assert len(np.unique(expected)) > 2
    assert (labels != expected).mean() < 1e-4
