"""Shapes, names and kinds of the networks that the builder makes."""

import numpy as np
import pytest

from pipeline.network import architectures, backend
from pipeline.network.backend import keras
from tests.network.conftest import TINY, take_steps, tiny


@pytest.mark.parametrize(("dimensions", "sides"), [(2, (12, 8)), (3, (8, 12, 4))])
@pytest.mark.parametrize(
    ("normalization", "encoder"),
    [("instance", "residual"), ("group", "plain"), ("batch", "residual")],
)
def test_logits_have_the_size_of_the_image_and_float32_whatever_the_precision(
    dimensions, sides, normalization, encoder
):
    backend.prepare(0, "mixed_bfloat16")
    model = tiny(dimensions=dimensions, normalization=normalization, encoder=encoder, dropout=0.1)
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
            encoder="residual",
            encoder_blocks=(1, 2, 2, 1),
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


def test_a_residual_encoder_has_the_weights_that_its_shape_demands_and_its_decoder_is_plain():
    model = tiny(
        dimensions=3,
        depth=3,
        filters=4,
        max_filters=8,
        encoder="residual",
        encoder_blocks=(1, 3, 4),
        decoder_convolutions=1,
    )
    norms = {4: 2 * 4, 8: 2 * 8}  # scale and offset
    stem = 27 * 4 * 4 + norms[4]
    first = 2 * (27 * 4 * 4 + norms[4])
    second = 27 * 4 * 8 + 5 * 27 * 8 * 8 + 6 * norms[8] + (4 * 8 + norms[8])  # and the projection
    third = 8 * (27 * 8 * 8 + norms[8])  # as many channels as the second: pooled, not projected
    finer = 8 * 8 * 8 + 27 * 16 * 8 + norms[8]
    finest = 8 * 8 * 4 + 27 * 8 * 4 + norms[4]
    assert model.count_params() == stem + first + second + third + finer + finest + 4 * 3 + 3
    names = {layer.name for layer in model.layers}
    assert {"encoder_1_shortcut", "encoder_1_pool", "encoder_2_pool"} <= names
    assert not names & {"encoder_0_shortcut", "encoder_2_shortcut", "decoder_0_sum"}
    assert "encoder_2_block_4_sum" in names
    assert "encoder_2_block_5_sum" not in names


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_strides_and_kernels_per_axis_shape_every_level_and_all_weights_learn(encoder):
    params = TINY.model_copy(
        update={
            "dimensions": 3,
            "depth": 4,
            "encoder": encoder,
            "deep_supervision": True,
            "strides": ((2, 2, 1), (2, 1, 2), (2, 2, 2)),
            "kernels": ((3, 3, 1), (3, 3, 1), (3, 3, 3), (3, 3, 3)),
        }
    )
    model = architectures.build(params, (16, 8, 4), 4, 3, None)
    image = np.random.default_rng(0).normal(size=(2, 16, 8, 4, 4)).astype("float32")
    assert [logits.shape[1:4] for logits in model(image)] == [(16, 8, 4), (8, 4, 4)]
    assert architectures.coarsening(model, (16, 8, 4)) == [(1, 1, 1), (2, 2, 1)]
    bottleneck = keras.Model(model.inputs[0], model.get_layer("encoder_3_relu_2").output)
    assert bottleneck(image).shape == (2, 2, 2, 1, 12)
    kernels = [model.get_layer(f"encoder_{level}_conv_1").kernel_size for level in (0, 3)]
    assert kernels == [(3, 3, 1), (3, 3, 3)]
    before = model.get_weights()
    target = np.random.default_rng(1).integers(0, 2, (2, 16, 8, 4, 3)).astype("uint8")
    # twice, since the scales of 0 in residual blocks let no gradient through at first
    take_steps(model, keras.optimizers.SGD(1.0), [(image, target)] * 2)
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        assert np.abs(new - old).max() > 0, weight.path


def test_planes_of_kernels_1_do_not_see_each_other_until_a_level_pools_them():
    thick = ((2, 2, 1),)
    model = tiny(
        dimensions=3, depth=2, normalization="batch", strides=thick, kernels=((3, 3, 1), (3, 3, 1))
    )
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3, 4)).astype("float32")
    changed = image.copy()
    changed[:, :, :, 0] += 1
    found, other = (keras.ops.convert_to_numpy(model(one)) for one in (image, changed))
    np.testing.assert_array_equal(found[..., 1:, :], other[..., 1:, :])
    assert (found[..., 0, :] != other[..., 0, :]).any()


def test_a_type_head_adds_logits_per_image_that_stay_in_use_and_nothing_else():
    backend.prepare(0, "mixed_bfloat16")
    params = TINY.model_copy(
        update={"depth": 4, "deep_supervision": True, "output": "labels", "type_head": True}
    )
    model = architectures.build(params, (16, 16), 4, 4, None)
    image = np.random.default_rng(0).normal(size=(2, 16, 16, 4)).astype("float32")
    logits = model(image)
    assert [one.shape for one in logits] == [(2, 16, 16, 4), (2, 8, 8, 4), (2, 3)]
    assert {keras.backend.standardize_dtype(one.dtype) for one in logits} == {"float32"}
    assert architectures.coarsening(model, (16, 16)) == [(1, 1), (2, 2)]
    finest, types = architectures.inference_network(model)(image)
    np.testing.assert_array_equal(finest, logits[0])
    np.testing.assert_array_equal(types, logits[2])
    plain = tiny(outputs=4, depth=4, deep_supervision=True)
    assert model.count_params() == plain.count_params() + 2 * 12 * 3 + 3
