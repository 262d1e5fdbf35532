"""Shapes, names and kinds of the networks that the builder makes."""

import numpy as np
import pytest

from pipeline.network import architectures, backend
from pipeline.network.backend import keras
from tests.network.conftest import tiny


@pytest.mark.parametrize(("dimensions", "sides"), [(2, (12, 8)), (3, (8, 12, 4))])
@pytest.mark.parametrize(
    ("normalization", "residual"), [("instance", True), ("group", False), ("batch", True)]
)
def test_logits_have_the_size_of_the_image_and_float32_whatever_the_precision(
    dimensions, sides, normalization, residual
):
    backend.prepare(0, "mixed_bfloat16")
    model = tiny(dimensions=dimensions, normalization=normalization, residual=residual, dropout=0.1)
    layer = model.get_layer("encoder_0_conv_1")
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")
    logits = keras.ops.convert_to_numpy(model(np.ones((2, *sides, 4), np.float32)))
    assert logits.shape == (2, *sides, 3)
    assert logits.dtype == np.float32


def test_deep_supervision_gives_each_output_at_half_the_size_of_the_one_before():
    model = tiny(depth=5, deep_supervision=True)
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 4)).astype("float32")
    logits = model(image)
    assert [one.shape for one in logits] == [(1, side, side, 3) for side in (32, 16, 8)]
    alone = architectures.inference_network(model)
    np.testing.assert_array_equal(alone(image), logits[0])
    assert not any("logits_1" in variable.path for variable in alone.variables)


def test_layers_are_keras_own_named_whatever_was_built_before_and_groups_divide_their_channels():
    first, second = (
        tiny(
            residual=True,
            deep_supervision=True,
            depth=4,
            dropout=0.2,
            normalization="group",
            filters=12,
            max_filters=20,
        )
        for _ in range(2)
    )
    assert [first.get_layer(f"encoder_{level}_norm_1").groups for level in range(4)] == [4] * 4
    assert all(type(layer).__module__.startswith("keras.") for layer in first.layers)
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert [one.path for one in first.weights] == [one.path for one in second.weights]


def test_the_parameters_are_those_of_nnunets_network_of_the_same_shape_but_for_biases():
    model = tiny(dimensions=3, depth=5, filters=16, max_filters=256)
    biases_of_nnunet = 2 * (16 + 32 + 64 + 128 + 256) + 3 * (16 + 32 + 64 + 128)
    assert model.count_params() == 5_649_187 - biases_of_nnunet


def test_dropout_is_random_in_training_and_absent_in_use():
    model, image = tiny(dropout=0.5), np.ones((1, 8, 8, 4), np.float32)
    np.testing.assert_array_equal(model(image), model(image))
    assert np.abs(np.subtract(model(image, training=True), model(image, training=True))).max() > 0
