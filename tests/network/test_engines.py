"""OpenVINO gives what Keras gives, for every kind of network."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.network import backend
from pipeline.network.backend import keras
from pipeline.network.engines import engine
from pipeline.network.layers.exchange import fast
from tests.network.conftest import tiny

RNG = np.random.default_rng(0)
on_tensorflow = pytest.mark.skipif(
    backend.name() != "tensorflow", reason="OpenVINO takes networks from TensorFlow alone"
)


def scattered(model: keras.Model) -> keras.Model:
    """With all weights drawn: those of a new network hide a wrong scale, offset or average."""
    for layer in model.layers:
        drawn = [one + np.abs(RNG.normal(size=one.shape, scale=0.2)) for one in layer.get_weights()]
        layer.set_weights(drawn)
    return model


@on_tensorflow
@pytest.mark.parametrize(
    "changes",
    [
        {"dimensions": 2},
        {"dimensions": 3, "normalization": "group", "filters": 8},
        {"dimensions": 2, "normalization": "batch", "dropout": 0.2},
        {"dimensions": 3, "encoder": "residual", "encoder_blocks": (1, 2, 1)},
        {
            "dimensions": 3,
            "strides": ((2, 2, 1), (2, 2, 2)),
            "kernels": ((3, 3, 1), (3, 3, 3), (3, 3, 3)),
        },
        {"dimensions": 2, "type_head": True, "output": "labels"},
    ],
    ids=["plain", "group", "batch", "residual", "per axis", "type head"],
)
def test_probabilities_are_those_of_keras(changes):
    model = fast(scattered(tiny(**changes)))
    sides = (16, 8, 12)[: changes["dimensions"]]
    windows = RNG.normal(size=(4, *sides, 4)).astype(np.float32)
    activation = "softmax" if changes.get("output") == "labels" else "sigmoid"
    expected = engine.forward(model, activation, "keras")(windows)
    run = engine.forward(model, activation, "openvino")
    found = run(windows)
    for own, other in zip(expected, found, strict=True):
        assert (own is None) == (other is None)
        if own is not None:
            assert np.ptp(own) > 0.1
            np.testing.assert_allclose(other, own, atol=1e-4)
    for before, again in zip(found, run(windows), strict=True):
        np.testing.assert_array_equal(before, again)


@on_tensorflow
def test_results_are_arrays_of_their_own():
    run = engine.forward(fast(tiny()), "sigmoid", "openvino")
    first, _ = run(np.zeros((2, 8, 8, 4), np.float32))
    kept = first.copy()
    run(RNG.normal(size=(2, 8, 8, 4)).astype(np.float32))
    np.testing.assert_array_equal(first, kept)


@on_tensorflow
def test_bfloat16_is_as_near_to_float32_as_that_of_keras():
    """Whether the CPU has it or computes in float32."""
    exact = scattered(tiny(dimensions=3))
    windows = RNG.normal(size=(1, 16, 16, 16, 4)).astype(np.float32)
    expected, _ = engine.forward(fast(exact), "sigmoid", "keras")(windows)
    backend.prepare(0, "mixed_bfloat16")
    model = tiny(dimensions=3)
    model.set_weights(exact.get_weights())
    errors = [
        np.abs(engine.forward(fast(model), "sigmoid", name)(windows)[0] - expected).mean()
        for name in ("keras", "openvino")
    ]
    assert errors[0] > 0
    assert errors[1] < 1.5 * errors[0]


@on_tensorflow
def test_auto_is_openvino_on_a_cpu_but_not_for_own_networks():
    assert engine.chosen("auto", "unet") == "openvino"
    assert engine.chosen("keras", "unet") == "keras"
    assert engine.chosen("auto", "own.networks:build") == "keras"
    with pytest.raises(InputError, match=r"own\.networks:build is your own\. Set keras"):
        engine.chosen("openvino", "own.networks:build")


def test_each_engine_has_its_version():
    assert engine.versions("keras") == {}
    assert engine.versions("openvino")["openvino"].startswith("20")


@on_tensorflow
def test_nothing_is_reported_to_the_makers_of_openvino(tmp_path):
    """It keeps an identity of the user in the home folder before it reports anything."""
    code = """
import sys
import numpy as np
from pipeline.network.engines import engine
from pipeline.network.backend import keras

image = keras.Input((None, None, 1))
model = keras.Model(image, keras.layers.Conv2D(1, 3, padding="same")(image))
engine.forward(model, "sigmoid", "openvino")(np.zeros((1, 8, 8, 1), np.float32))
assert "openvino" in sys.modules
assert not sys.modules["openvino_telemetry"]
"""
    settings = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=settings, check=True, timeout=120)
    assert not list(tmp_path.glob("intel*"))
