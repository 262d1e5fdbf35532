"""Faster layers compute what Keras's own do, and turn into them again."""

import numpy as np
import pytest

from pipeline.network import backend
from pipeline.network.backend import keras
from pipeline.network.layers.depth_to_space import DepthToSpace
from pipeline.network.layers.exchange import fast, portable
from pipeline.network.layers.instance_norm import InstanceNorm
from pipeline.network.losses import DiceCrossEntropy
from tests.network.conftest import nested_batch, tiny

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("dimensions", "sides"), [(2, (16, 8)), (3, (8, 4, 12))])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder": "residual", "encoder_blocks": (1, 2, 1), "decoder_convolutions": 1},
        {"encoder": "residual", "strides": "thick", "kernels": "thick"},
    ],
    ids=["plain", "residual", "per axis"],
)
def test_a_network_of_fast_layers_has_the_logits_and_gradients_of_keras_own(
    dimensions, sides, changes
):
    if "strides" in changes:  # the last axis at the coarsest level only
        thick = (*[2] * (dimensions - 1), 1), (2,) * dimensions
        small = (*[3] * (dimensions - 1), 1)
        changes = changes | {"strides": thick, "kernels": (small, small, (3,) * dimensions)}
    own = tiny(dimensions=dimensions, **changes)
    for layer in own.layers:  # initial offsets of 0 would hide a wrong sign
        if isinstance(layer, keras.layers.GroupNormalization):
            layer.set_weights([RNG.normal(size=one.shape) for one in layer.get_weights()])
    exchanged = fast(own)
    kinds = {type(layer) for layer in exchanged.layers}
    assert {DepthToSpace, InstanceNorm, keras.layers.Dense} <= kinds
    assert keras.layers.GroupNormalization not in kinds
    image, target = nested_batch(0, 0, (2, *sides))
    np.testing.assert_allclose(exchanged(image), own(image), atol=5e-5)
    back = portable(exchanged)
    assert all(type(layer).__module__.startswith("keras.") for layer in back.layers)
    np.testing.assert_array_equal(back(image), own(image))
    before = own.get_weights()
    for model in (own, exchanged):
        model.compile(keras.optimizers.SGD(1.0), DiceCrossEntropy("regions", 1.0, 1.0))
        model.train_on_batch(image, target)
    for old, expected, found in zip(
        before, own.get_weights(), portable(exchanged).get_weights(), strict=True
    ):
        moved = np.abs(expected - old).max()
        assert moved > 0
        np.testing.assert_allclose(found, expected, atol=1e-6 + 1e-4 * moved)


def test_names_and_number_of_weights_stay():
    own = tiny(deep_supervision=True, depth=4, dropout=0.1)
    exchanged = fast(own)
    assert [layer.name for layer in exchanged.layers] == [layer.name for layer in own.layers]
    assert exchanged.count_params() == own.count_params()


def test_batch_and_group_normalisation_stay_keras_own():
    for kind, layer in (("batch", "BatchNormalization"), ("group", "GroupNormalization")):
        names = {type(one).__name__ for one in fast(tiny(normalization=kind, filters=16)).layers}
        assert layer in names
        assert "InstanceNorm" not in names


def test_instance_norm_keeps_float32_statistics_of_bfloat16_features():
    backend.prepare(0, "mixed_bfloat16")
    layer = InstanceNorm(1e-5, 1.0)
    image = RNG.normal(5, 2, (1, 64, 64, 3)).astype(np.float32)
    rounded = keras.ops.convert_to_numpy(
        keras.ops.cast(keras.ops.cast(image, "bfloat16"), "float32")
    )
    found = keras.ops.cast(layer(image), "float32")
    assert keras.backend.standardize_dtype(layer(image).dtype) == "bfloat16"
    axes = (1, 2)
    expected = (rounded - rounded.mean(axes)) / np.sqrt(rounded.var(axes) + 1e-5)
    np.testing.assert_allclose(found, expected, atol=2.0**-7 * np.abs(expected).max())


def test_a_norm_read_twice_keeps_its_activation_apart():
    image = keras.Input((8, 8, 2))
    norm = keras.layers.GroupNormalization(groups=-1, name="norm")(image)
    both = keras.layers.Add()([keras.layers.LeakyReLU(0.01, name="relu")(norm), norm])
    own = keras.Model(image, both)
    exchanged = fast(own)
    assert exchanged.get_layer("norm").slope == 1
    batch = RNG.normal(size=(2, 8, 8, 2)).astype(np.float32)
    np.testing.assert_allclose(exchanged(batch), own(batch), atol=1e-5)


@pytest.mark.parametrize("changes", [{"kernel_size": 3}, {"use_bias": True}])
def test_transposed_convolutions_that_overlap_or_have_a_bias_stay(changes):
    image = keras.Input((8, 8, 2))
    settings = {"kernel_size": 2, "use_bias": False} | changes
    up = keras.layers.Conv2DTranspose(4, strides=2, padding="same", name="up", **settings)(image)
    assert isinstance(fast(keras.Model(image, up)).get_layer("up"), keras.layers.Conv2DTranspose)
