"""OpenVINO and onnxruntime give what Keras gives, for every kind of network."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.network import backend, ensemble
from pipeline.network.architectures import inference_network
from pipeline.network.backend import keras
from pipeline.network.engines import engine, onnx_graph
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


@pytest.mark.parametrize("name", [pytest.param("openvino", marks=on_tensorflow), "onnx"])
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
def test_probabilities_are_those_of_keras(changes, name):
    model = fast(scattered(tiny(**changes)))
    sides = (16, 8, 12)[: changes["dimensions"]]
    windows = RNG.normal(size=(4, *sides, 4)).astype(np.float32)
    activation = "softmax" if changes.get("output") == "labels" else "sigmoid"
    expected = engine.forward(model, activation, "keras")(windows)
    run = engine.forward(model, activation, name)
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
    assert list(engine.versions("onnx")) == ["onnxruntime"]


def test_an_ensemble_is_one_graph_whose_logits_are_the_mean():
    members = [fast(scattered(tiny(dimensions=3))) for _ in range(2)]
    joined = ensemble.joined(members)
    windows = RNG.normal(size=(2, 8, 8, 12, 4)).astype(np.float32)
    expected, _ = engine.forward(joined, "sigmoid", "keras")(windows)
    found, _ = engine.forward(joined, "sigmoid", "onnx")(windows)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_logits_of_a_bfloat16_network_are_those_of_its_weights_in_float32():
    import onnxruntime

    exact = scattered(tiny(dimensions=3, deep_supervision=True, depth=4))
    backend.prepare(0, "mixed_bfloat16")
    model = tiny(dimensions=3, deep_supervision=True, depth=4)
    model.set_weights(exact.get_weights())
    graph = onnx_graph.graph_of(inference_network(fast(model)), (16, 16, 8), rounded=False)
    windows = RNG.normal(size=(3, 16, 16, 8, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    (found,) = session.run(None, {"image": np.ascontiguousarray(np.moveaxis(windows, -1, 1))})
    expected = keras.ops.convert_to_numpy(exact(windows)[0])
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, atol=1e-3)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_layers_round_as_those_of_keras(precision):
    import onnxruntime

    backend.prepare(0, f"mixed_{precision}")
    image = keras.Input((None, None, 4))
    features = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    features = keras.layers.GroupNormalization(-1)(features)
    model = fast(scattered(keras.Model(image, keras.layers.LeakyReLU(0.01)(features))))
    windows = RNG.normal(size=(2, 16, 16, 4)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(keras.ops.cast(model(windows), "float32"))

    def equal(rounded: bool) -> float:
        graph = onnx_graph.graph_of(model, rounded=rounded)
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        (found,) = session.run(None, {"image": np.moveaxis(windows, -1, 1).copy()})
        return np.mean(np.moveaxis(found, 1, -1) == expected)

    assert equal(rounded=True) > 0.95
    assert equal(rounded=False) < 0.1


def test_a_graph_is_valid_onnx_and_the_same_bytes_again():
    import onnx

    model = fast(tiny(dimensions=2, type_head=True, output="labels"))
    graph = onnx_graph.graph_of(model, (16, 24))
    onnx.checker.check_model(graph, full_check=True)
    assert [output.name for output in graph.graph.output] == ["logits", "types"]
    again = onnx_graph.graph_of(model, (16, 24))
    assert graph.SerializeToString() == again.SerializeToString()


def test_a_layer_without_a_translation_is_named():
    image = keras.Input((None, None, 4))
    features = keras.layers.Conv2D(3, 1)(image)
    model = keras.Model(image, keras.layers.UpSampling2D(name="wider")(features))
    with pytest.raises(InputError, match=r"layer wider of kind UpSampling2D has no translation"):
        onnx_graph.graph_of(model)


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
