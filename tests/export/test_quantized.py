"""A network in int8 is calibrated on training cases and checked on validation cases."""

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.export import runner
from pipeline.preparation import shards
from tests.export import made


def shard_of(data, name: str, seed: int) -> None:
    """Write a prepared case: a brain of noise in a box."""
    image = np.zeros((24, 28, 10, 4), np.float16)
    image[2:-2, 2:-2, 1:-1] = np.random.default_rng(seed).normal(size=(20, 24, 8, 4))
    shards.write(data / "shards", name, image, np.zeros(image.shape[:3], np.uint8))


def export(tmp_path, *options: str) -> int | str:
    out = ["--out", str(tmp_path / "out"), "--data", str(tmp_path / "data")]
    with pytest.raises(SystemExit) as ended:
        main(["export", "--model", str(tmp_path / "models"), *out, "--precision", "int8", *options])
    return ended.value.code


def test_int8_that_changes_the_labels_is_not_written(tmp_path, capsys):
    """The probabilities of drawn weights are all near a half."""
    made.model(tmp_path / "models")
    for number, name in enumerate("ab"):
        shard_of(tmp_path / "data", name, number)
    assert export(tmp_path) == 1
    assert "below 0.995: nothing is written" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_int8_that_agrees_is_written_and_runs(form, tmp_path, capsys):
    made.model(tmp_path / "models", shift=3.0)
    for number, name in enumerate("ab"):
        shard_of(tmp_path / "data", name, number)
    assert export(tmp_path, "--format", form) == 0
    pipeline = runner.read_pipeline(tmp_path / "out")
    assert pipeline["network"]["precision"] == "int8"
    network = runner.open_network(tmp_path / "out", pipeline)
    labels = runner.segment(network, pipeline, made.image(), made.AFFINE, [True] * 4)
    assert len(np.unique(labels)) > 1


def test_missing_data_is_found_first(tmp_path):
    made.model(tmp_path / "models")
    assert "a.image.npy: is not a readable .npy array" in str(export(tmp_path))
