"""From Keras's layers to faster ones that compute the same, and back."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..backend import keras
from .depth_to_space import DepthToSpace, from_transposed, to_transposed
from .instance_norm import Activated, InstanceNorm
from .textbook_norm import TextbookNorm

Weights = list[np.ndarray]
Exchange = tuple[keras.layers.Layer, Callable[[Weights], Weights]]
"""A layer, and its weights from those of the one that it replaces."""
Exchanging = Callable[[keras.layers.Layer], Exchange]

TRANSPOSED = {2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}
CONVOLUTIONS = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


def fast(model: keras.Model) -> keras.Model:
    """A copy of a network with the layers of this folder wherever they compute the same.

    Transposed convolutions without overlap become matrix products and transpositions, convolutions
    of one voxel become products, and instance normalisation takes in the LeakyReLU that follows it.
    Names and order of the layers and weights stay. In an ensemble, those of its members change.
    """
    return _exchanged(model, _fast_ones)


def _fast_ones(model: keras.Model) -> Exchanging:
    activated = _activated_norms(model)
    leaky = {layer.name for layer in activated.values()}

    def exchanged(layer: Any) -> Exchange:
        named = {"name": layer.name, "dtype": layer.dtype_policy}
        if _is_instance_norm(layer):
            slope = activated[layer.name].negative_slope if layer.name in activated else 1.0
            return InstanceNorm(layer.epsilon, slope, **named), _same
        if layer.name in leaky:
            return Activated(layer.negative_slope, **named), _same
        if _is_block_upsampling(layer):
            upsampling = DepthToSpace(layer.filters, layer.strides, **named)
            return upsampling, lambda weights: [from_transposed(*weights)]
        if _is_product(layer):
            product = keras.layers.Dense(layer.filters, use_bias=layer.use_bias, **named)
            return product, lambda weights: [
                np.reshape(weights[0], weights[0].shape[-2:]),
                *weights[1:],
            ]
        return _copied(layer), _same

    return exchanged


def portable(model: keras.Model) -> keras.Model:
    """The inverse of `fast`: a copy built of Keras's own layers, which any Keras can load."""
    return _exchanged(model, lambda each: partial(_keras_own, _dimensions(each)))


def convertible(model: keras.Model) -> keras.Model:
    """A copy in float32, of layers that converters to other engines recognise."""
    return _exchanged(model, _convertible_ones)


def _convertible_ones(model: keras.Model) -> Exchanging:
    def exchanged(layer: Any) -> Exchange:
        named = {"name": layer.name, "dtype": "float32"}
        if isinstance(layer, InstanceNorm) or _is_instance_norm(layer):
            return TextbookNorm(layer.epsilon, 1.0, **named), _same
        other, weights = _keras_own(_dimensions(model), layer)
        other.dtype_policy = keras.DTypePolicy("float32")
        return other, weights

    return exchanged


def _dimensions(model: keras.Model) -> int:
    return len(model.inputs[0].shape) - 2


def _keras_own(count: int, layer: Any) -> Exchange:
    """Keras's own layer in place of one of `fast`, in a network of `count` dimensions."""
    named = {"name": layer.name, "dtype": layer.dtype_policy}
    if isinstance(layer, InstanceNorm):
        norm = keras.layers.GroupNormalization(groups=-1, epsilon=layer.epsilon, **named)
        return norm, _same
    if isinstance(layer, Activated):
        return keras.layers.LeakyReLU(layer.slope, **named), _same
    if isinstance(layer, DepthToSpace):
        upsampling = TRANSPOSED[count](
            layer.filters, layer.strides, strides=layer.strides, use_bias=False, **named
        )
        return upsampling, lambda weights: [to_transposed(weights[0], layer.strides)]
    if isinstance(layer, keras.layers.Dense) and len(layer.input.shape) == count + 2:
        convolution = CONVOLUTIONS[count](layer.units, 1, use_bias=layer.use_bias, **named)
        return convolution, lambda weights: [
            np.reshape(weights[0], (*[1] * count, *weights[0].shape)),
            *weights[1:],
        ]
    return _copied(layer), _same


def _exchanged(model: keras.Model, rule: Callable[[keras.Model], Exchanging]) -> keras.Model:
    """A copy by the rule for a network, of which there may be others inside."""
    conversions, exchanged = {}, rule(model)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Model):
            return _exchanged(layer, rule)
        other, conversions[layer.name] = exchanged(layer)
        return other

    uncompiled = keras.Model(model.inputs[0], _one_or_all(model.outputs), name=model.name)
    copy = keras.models.clone_model(uncompiled, clone_function=clone)
    for layer in model.layers:
        if layer.weights and layer.name in conversions:
            copy.get_layer(layer.name).set_weights(conversions[layer.name](layer.get_weights()))
    return copy


def _one_or_all(outputs: list) -> Any:
    return outputs if len(outputs) > 1 else outputs[0]


def _copied(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(layer.get_config())


def _same(weights: Weights) -> Weights:
    return weights


def _activated_norms(model: keras.Model) -> dict[str, Any]:
    """The LeakyReLU after each instance normalisation whose outputs go nowhere else."""
    consumers: dict[str, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        for node in layer._inbound_nodes:
            for parent in node.parent_nodes:
                consumers.setdefault(parent.operation.name, []).append(layer)
    outputs = {tensor._keras_history.operation.name for tensor in model.outputs}
    return {
        layer.name: consumers[layer.name][0]
        for layer in model.layers
        if _is_instance_norm(layer)
        and layer.name not in outputs
        and len(consumers[layer.name]) == 1
        and isinstance(consumers[layer.name][0], keras.layers.LeakyReLU)
    }


def _is_instance_norm(layer: Any) -> bool:
    return (
        isinstance(layer, keras.layers.GroupNormalization)
        and layer.groups in (-1, layer.input.shape[-1])
        and layer.axis in (-1, len(layer.input.shape) - 1)
        and (layer.center, layer.scale) == (True, True)
    )


def _is_block_upsampling(layer: Any) -> bool:
    return (
        type(layer) in TRANSPOSED.values()
        and tuple(layer.kernel_size) == tuple(layer.strides)
        and set(layer.dilation_rate) == {1}
        and layer.output_padding is None
        and layer.activation is keras.activations.linear
        and not layer.use_bias
        and layer.data_format == "channels_last"
    )


def _is_product(layer: Any) -> bool:
    return (
        type(layer) in CONVOLUTIONS.values()
        and {*layer.kernel_size, *layer.strides, layer.groups} == {1}
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
    )
