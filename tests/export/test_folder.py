"""The folder of an exported network is written whole, in the place of an export alone."""

import json

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.export import folder
from pipeline.network.card import read_card
from pipeline.network.settings import read_settings
from tests.export import made

FILES = {"network.onnx": b"graph"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> dict:
    """Content of pipeline.json."""
    model = made.model(tmp_path_factory.mktemp("model"), postprocess={"thresholds": {"ET": 0.6}})
    return folder.described(read_card(model), read_settings(model), FILES, "float32")


def test_an_export_is_written_again_with_the_same_bytes(pipeline, tmp_path):
    for _ in range(2):
        folder.write(tmp_path / "out", FILES, pipeline)
        found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        assert set(found) == {"network.onnx", "pipeline.json", "run.py", "README.txt"}
    other = {"network.xml": b"net", "network.bin": b"weights"}
    folder.write(tmp_path / "out", other, pipeline)
    assert not (tmp_path / "out/network.onnx").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["thesis.txt", "network.keras", "network.onnx"])
def test_a_folder_with_other_files_is_left_alone(pipeline, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"holds {name}, and is no exported network"):
        folder.write(tmp_path, FILES, pipeline)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_folder(pipeline, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        folder.write(tmp_path / "out", FILES, pipeline)


def test_an_export_that_fails_leaves_the_earlier_one(pipeline, tmp_path):
    folder.write(tmp_path / "out", FILES, pipeline)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(TypeError):
        folder.write(tmp_path / "out", {"network.onnx": b"other"}, pipeline | {"use": np.eye})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_pipeline_json_says_what_the_model_does(pipeline):
    assert json.loads(json.dumps(pipeline)) == pipeline
    regions = {region["name"]: region for region in pipeline["regions"]}
    assert [region["threshold"] for region in regions.values()] == [0.5, 0.5, 0.6]
    assert (regions["ET"]["around"], regions["TC"]["own_label"]) == ("TC", "necrotic")
    assert pipeline["use"] == "Research use only, not for diagnosis."
    assert list(pipeline["labels"].values()) == [1, 2, 4]
