"""The choice of backend and the state that training starts from."""

import os

import numpy as np
import pytest

from pipeline.network import backend, optimizer
from pipeline.network.layers.exchange import fast
from tests.network.conftest import nested_batch, take_steps, tiny

pytestmark = pytest.mark.slow


def test_the_seed_alone_determines_the_initial_weights_whatever_was_built_before():
    weights = []
    for seed in (3, 3, 4):
        backend.prepare(seed, "float32")
        weights.append(tiny(dropout=0.5).get_weights())
    for first, again, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, again)
        assert first.ndim == 1 or (first != other).all()


@pytest.mark.parametrize(("tensorflow", "chosen"), [(object(), "tensorflow"), (None, "jax")])
def test_the_backend_is_tensorflow_where_it_is_installed_and_jax_elsewhere(
    monkeypatch, tensorflow, chosen
):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", {"tensorflow": tensorflow}.get)
    backend._set_environment()
    assert os.environ["KERAS_BACKEND"] == chosen


def test_the_backend_that_the_user_names_is_kept_and_set_to_deterministic_arithmetic(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    monkeypatch.delenv("TF_DETERMINISTIC_OPS", raising=False)
    backend._set_environment()
    backend._set_environment()
    assert os.environ["KERAS_BACKEND"] == "torch"
    assert os.environ["TF_DETERMINISTIC_OPS"] == "1"
    assert (
        os.environ["XLA_FLAGS"]
        == "--xla_force_host_platform_device_count=2 --xla_gpu_deterministic_ops=true"
    )


@pytest.mark.parametrize(
    ("chosen", "installed", "given", "expected"),
    [
        ("jax", ["jax_cuda12_plugin"], "", " --xla_gpu_force_conv_nhwc=true"),
        ("jax", ["jax_cuda13_plugin"], "", " --xla_gpu_force_conv_nhwc=true"),
        ("jax", ["jax_cuda13_plugin"], "--xla_gpu_force_conv_nhwc=false ", ""),
        ("jax", [], "", ""),
        ("tensorflow", ["jax_cuda13_plugin"], "", ""),
    ],
)
def test_convolutions_are_channels_last_on_jax_with_cuda_unless_the_user_says_otherwise(
    monkeypatch, chosen, installed, given, expected
):
    monkeypatch.setenv("KERAS_BACKEND", chosen)
    monkeypatch.setenv("XLA_FLAGS", f"{given}--xla_gpu_deterministic_ops=true")
    monkeypatch.setattr("importlib.util.find_spec", dict.fromkeys(installed, object()).get)
    backend._set_environment()
    backend._set_environment()
    assert os.environ["XLA_FLAGS"] == f"{given}--xla_gpu_deterministic_ops=true{expected}"


def test_fast_arithmetic_is_asked_for_only_on_request(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1 --xla_gpu_deterministic_ops=true")
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    monkeypatch.setenv("TF_CUDNN_DETERMINISTIC", "1")
    backend.prepare(0, "float32")
    assert os.environ["XLA_FLAGS"].endswith("=true")
    backend.prepare(0, "float32", deterministic=False)
    assert os.environ["XLA_FLAGS"] == "--xla_a=1 --xla_gpu_deterministic_ops=false"
    assert os.environ["TF_DETERMINISTIC_OPS"] == os.environ["TF_CUDNN_DETERMINISTIC"] == "0"


def sgd():
    """Of rate 1."""
    chosen = optimizer.build("sgd", 0.0, 0.0, 0.0, 0.0)
    chosen.learning_rate = 1.0
    return chosen


on_tensorflow = pytest.mark.skipif(backend.name() != "tensorflow", reason="about TensorFlow")


@on_tensorflow
def test_a_sum_of_several_tensors_gives_the_same_bits_whatever_else_runs():
    import tensorflow

    @tensorflow.function
    def chain(start):
        features, others = start, []
        for _ in range(6):
            slow, quick = features @ start, tensorflow.exp(-tensorflow.abs(features))
            late = quick @ features
            others.append(tensorflow.reduce_sum(slow @ quick) + tensorflow.reduce_sum(late))
            features = tensorflow.add_n([slow, quick, late])
            features /= tensorflow.reduce_max(tensorflow.abs(features))
        return features, others

    start = tensorflow.constant(np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32))
    assert len({chain(start)[0].numpy().tobytes() for _ in range(200)}) == 1


@on_tensorflow
def test_no_sum_of_gradients_is_taken_in_the_order_of_arrival():
    from tensorflow.python.eager import context

    model = fast(tiny(filters=16, max_filters=256, depth=5))
    context.enable_run_metadata()
    take_steps(model, sgd(), [nested_batch(0, 0, (16, 96, 96))])
    graphs = context.export_run_metadata().partition_graphs
    context.disable_run_metadata()
    kinds = {node.op for graph in graphs for node in graph.node}
    for graph in graphs:
        kinds |= {node.op for function in graph.library.function for node in function.node_def}
    assert "AddN" in kinds, "nothing was seen"
    assert "TemporaryVariable" not in kinds


@on_tensorflow
def test_a_step_on_a_batch_of_real_size_gives_the_same_bits_every_time():
    model = fast(tiny(filters=16, max_filters=64, depth=4))
    start, batch, ends = model.get_weights(), nested_batch(0, 0, (16, 128, 128)), []
    for _ in range(4):
        model.set_weights(start)
        take_steps(model, sgd(), [batch, batch])
        ends.append(b"".join(weight.tobytes() for weight in model.get_weights()))
    assert len(set(ends)) == 1


def test_steps_taken_together_are_those_taken_one_by_one():
    batches, ends = [nested_batch(0, step) for step in range(4)], []
    for sizes in ((4,), (1, 3)):
        backend.prepare(3, "float32")
        model, chosen, first, losses = fast(tiny(dropout=0.3)), sgd(), 0, []
        for size in sizes:
            losses += take_steps(model, chosen, batches[first : first + size]).tolist()
            first += size
        assert len(losses) == 4
        ends.append((losses, b"".join(weight.tobytes() for weight in model.get_weights())))
    assert ends[0] == ends[1]
    assert ends[0][0][3] != ends[0][0][0]
