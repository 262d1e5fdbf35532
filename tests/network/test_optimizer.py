"""Steps of the optimizers, on weights that can be followed by hand."""

import numpy as np
import pytest

from pipeline.network import backend, optimizer
from pipeline.network.backend import keras

PLAIN = {"weight_decay": 0.0, "momentum": 0.0, "clip_norm": 0.0, "ema_momentum": 0.0}


def stepped(chosen, gradients, values, names):
    """Values of the weights after one step of rate 1."""
    weights = [
        keras.Variable(np.float32(value), name=name)
        for value, name in zip(values, names, strict=True)
    ]
    chosen.build(weights)
    chosen.learning_rate = 1.0
    chosen.apply([keras.ops.convert_to_tensor(np.float32(one)) for one in gradients], weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


@pytest.mark.parametrize("name", ["adamw", "sgd", "keras.optimizers:Lion"])
def test_decay_shrinks_kernels_and_spares_normalisations_and_biases(name):
    chosen = optimizer.build(name, **(PLAIN | {"weight_decay": 0.25}))
    kernel, gamma, beta, bias = stepped(
        chosen, [[0.0]] * 4, [[4.0]] * 4, ["kernel", "gamma", "beta", "bias"]
    )
    assert kernel == pytest.approx(3.0)
    assert (gamma, beta, bias) == (4.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("settings", "gradients", "expected"),
    [({"clip_norm": 5.0}, [[30.0], [40.0]], [-3, -4]), ({"momentum": 0.5}, [[1.0]], [-1.5])],
)
def test_the_norm_of_all_gradients_is_limited_and_sgd_looks_ahead_along_its_momentum(
    settings, gradients, expected
):
    chosen = optimizer.build("sgd", **(PLAIN | settings))
    moved = stepped(
        chosen, gradients, np.zeros_like(gradients), ["kernel", "other"][: len(expected)]
    )
    assert np.ravel(moved) == pytest.approx(expected)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_averages_are_kept_where_they_are_wanted_and_losses_scaled_in_float16_only(precision):
    backend.prepare(0, precision)
    plain = optimizer.build("adam", **PLAIN)
    assert optimizer.averages(optimizer.build("adam", **(PLAIN | {"ema_momentum": 0.9})))
    assert not optimizer.averages(plain)
    scaled = isinstance(plain, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
