"""A trained network as an ONNX graph, channels first, in float32.

Where the network computes in bfloat16 or float16, the graph rounds to that type and computes on in
float32: onnxruntime has no kernels of bfloat16 for a CPU.

The graph is written layer by layer with operators that engines have kernels for, and needs no
TensorFlow. A converter of TensorFlow's graph writes an instance normalisation as ten operations
and keeps channels last, with transpositions in between (docs/benchmarks.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.errors import InputError
from ..backend import keras
from ..layers.exchange import portable
from .engine import Activation

OPSET = 17
IR_VERSION = 8  # of the release that brought this opset
Write = Callable[["_Writer", Any, list[str], str], str]


def graph_of(
    model: keras.Model,
    sides: Sequence[int] | None = None,
    activation: Activation | None = None,
    rounded: bool = True,
) -> Any:
    """Write a network as ONNX.

    Parameters
    ----------
    model : keras.Model
        From (B, *spatial, C) to logits (B, *spatial, O), with a type head also to (B, O - 1).
    sides : sequence of int, optional
        Spatial sides that the graph takes; by default any that the network does.
    activation : {"sigmoid", "softmax"}, optional
        Of the outputs, which are logits without it. With it, types are probabilities too.
    rounded : bool
        Whether layers that compute in bfloat16 or float16 round what they take, their kernels and
        what they give, as they do in Keras.

    Returns
    -------
    onnx.ModelProto
        From ``image``, (B, C, *spatial) float32, to ``logits`` or ``probabilities``, (B, O,
        *spatial) float32, and of a type head ``types``, (B, O - 1) float32, with any B.

    Raises
    ------
    InputError
        If a layer has no translation.
    """
    from onnx import helper

    model = portable(model)
    writer, count = _Writer(rounded), len(model.inputs[0].shape) - 2
    spatial = tuple(sides) if sides else tuple(f"side_{axis}" for axis in "xyz"[:count])
    logits, *types = writer.model(model, ["image"])
    name = "probabilities" if activation else "logits"
    writer.end(logits, name, activation)
    found = [_value(name, ("B", model.outputs[0].shape[-1], *spatial))]
    if types:
        writer.end(types[0], "types", "softmax" if activation else None)
        found.append(_value("types", ("B", model.outputs[1].shape[-1])))
    image = _value("image", ("B", model.inputs[0].shape[-1], *spatial))
    graph = helper.make_graph(writer.nodes, model.name, [image], found, writer.weights)
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="TumorFlow",
    )


def _value(name: str, shape: Sequence[int | str]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _number(dtype: str) -> int:
    """Number of a type in ONNX."""
    from onnx import TensorProto

    return int(TensorProto.DataType.Value(dtype.upper().replace("FLOAT32", "FLOAT")))


def _rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """An array rounded to a type, as float32."""
    from onnx import helper

    narrow = np.asarray(array).astype(helper.tensor_dtype_to_np_dtype(_number(dtype)))
    return narrow.astype(np.float32)


@dataclass
class _Writer:
    """The nodes and weights of a graph; `narrow` names what a tensor is, rounded to a type."""

    rounded: bool
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"image", "logits", "probabilities", "types"})
    narrow: dict[tuple[str, str], str] = field(default_factory=dict)

    def model(self, model: keras.Model, inputs: list[str], prefix: str = "") -> list[str]:
        """Add a network whose inputs have these names; the names of its outputs."""
        names = {id(tensor): name for tensor, name in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.is_input:
                    given = [names[id(tensor)] for tensor in node.input_tensors]
                    found = self.layer(node.operation, given, prefix)
                    names |= {id(t): n for t, n in zip(node.outputs, found, strict=True)}
        return [names[id(tensor)] for tensor in model.outputs]

    def layer(self, layer: Any, inputs: list[str], prefix: str) -> list[str]:
        """Add a layer; the names of its outputs."""
        name = f"{prefix}{layer.name}"
        if name in self.taken:  # as of a layer that is called again
            name = f"{name}_{len(self.nodes)}"
        self.taken.add(name)
        if isinstance(layer, keras.Model):
            return self.model(layer, inputs, f"{name}/")
        write = _LAYERS.get(type(layer).__name__)
        if write is None:
            raise InputError(
                f"the layer {layer.name} of kind {type(layer).__name__} has no translation to"
                f" ONNX; {', '.join(sorted(_LAYERS))} have. Use the engine keras."
            )
        dtype = self.dtype(layer)
        output = write(self, layer, [self.round(each, dtype) for each in inputs], name)
        if self.nodes[-1].op_type in _EXACT:
            self.narrow[output, dtype] = output
        return [self.round(output, dtype)]

    def dtype(self, layer: Any) -> str:
        """The type that a layer rounds to; float32 for none."""
        return layer.compute_dtype if self.rounded else "float32"

    def round(self, tensor: str, dtype: str) -> str:
        """Add what rounds a tensor to a type, unless it is so already; the name of its output."""
        if dtype == "float32":
            return tensor
        if (tensor, dtype) not in self.narrow:
            cast = self.node("Cast", [tensor], f"{tensor}/{dtype}", to=_number(dtype))
            wide = self.node("Cast", [cast], f"{tensor}/rounded_{dtype}", to=_number("float32"))
            self.narrow[tensor, dtype] = self.narrow[wide, dtype] = wide
        return self.narrow[tensor, dtype]

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add an operation; the name of its output, which is its own."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def weight(self, array: np.ndarray, name: str) -> str:
        """Add an array; its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def named(self, name: str, **arrays: np.ndarray) -> list[str]:
        """Add the arrays of an operation; their names."""
        return [self.weight(array, f"{name}/{kind}") for kind, array in arrays.items()]

    def end(self, tensor: str, name: str, function: str | None) -> None:
        """Add the last operation of an output."""
        axis = {"axis": 1} if function == "softmax" else {}
        self.node((function or "identity").capitalize(), [tensor], name, **axis)


def _convolution(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
    # what "same" adds to a side that is a multiple of the stride, as all sides of patches are
    along = zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    total = [max((side - 1) * apart + 1 - stride, 0) for side, stride, apart in along]
    total = total if layer.padding == "same" else [0] * len(total)
    before = [both // 2 for both in total]
    after = [both - first for both, first in zip(total, before, strict=True)]
    return writer.node(
        "Conv",
        _with_kernel(writer, layer, inputs, name),
        name,
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=layer.groups,
        pads=[*before, *after],
    )


def _transposed(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
    _refuse_unless(layer, tuple(layer.kernel_size) == tuple(layer.strides))
    sides = {"kernel_shape": layer.kernel_size, "strides": layer.strides}
    return writer.node("ConvTranspose", _with_kernel(writer, layer, inputs, name), name, **sides)


def _with_kernel(writer: _Writer, layer: Any, inputs: list[str], name: str) -> list[str]:
    """The inputs, a kernel with its channels first and the bias, if there is one."""
    _refuse_unless(layer, layer.activation is keras.activations.linear)
    kernel, *bias = (_rounded(one, writer.dtype(layer)) for one in layer.get_weights())
    kernel = np.moveaxis(kernel, (-1, -2), (0, 1))
    return [
        *inputs,
        *writer.named(name, kernel=kernel),
        *(writer.weight(one, f"{name}/bias") for one in bias),
    ]


def _refuse_unless(layer: Any, known: bool) -> None:
    if not known:
        raise InputError(
            f"the layer {layer.name} has settings without a translation to ONNX:"
            f" {layer.get_config()}. Use the engine keras."
        )


def _group_norm(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
    gamma, beta = layer.get_weights()
    operator, settings = "InstanceNormalization", {"epsilon": layer.epsilon}
    if layer.groups in (-1, len(gamma)):
        affine = writer.named(name, gamma=gamma, beta=beta)
        return writer.node(operator, [*inputs, *affine], name, **settings)
    joined = writer.named(name, groups=np.array([0, layer.groups, -1]))
    shape = writer.node("Shape", inputs, f"{name}/shape")
    grouped = writer.node("Reshape", [*inputs, *joined], f"{name}/grouped")
    ones = np.ones(layer.groups, np.float32)
    plain = writer.named(name, ones=ones, zeros=0 * ones)
    normed = writer.node(operator, [grouped, *plain], f"{name}/normed", **settings)
    apart = writer.node("Reshape", [normed, shape], f"{name}/apart")
    sides = [1] * (len(layer.input.shape) - 2)
    scale, shift = writer.named(
        name, gamma=gamma.reshape(-1, *sides), beta=beta.reshape(-1, *sides)
    )
    return writer.node("Add", [writer.node("Mul", [apart, scale], f"{name}/scaled"), shift], name)


def _batch_norm(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
    gamma, beta, mean, variance = layer.get_weights()
    weights = writer.named(name, gamma=gamma, beta=beta, mean=mean, variance=variance)
    return writer.node("BatchNormalization", [*inputs, *weights], name, epsilon=layer.epsilon)


def _pool(operator: str) -> Write:
    def write(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
        sides = {"kernel_shape": layer.pool_size, "strides": layer.strides}
        return writer.node(operator, inputs, name, **sides)

    return write


def _whole_pool(operator: str) -> Write:
    def write(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
        return writer.node("Flatten", [writer.node(operator, inputs, f"{name}/pool")], name)

    return write


def _dense(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
    kernel, bias = (_rounded(one, writer.dtype(layer)) for one in layer.get_weights())
    return writer.node("Gemm", [*inputs, *writer.named(name, kernel=kernel, bias=bias)], name)


def _leaky(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
    return writer.node(
        "LeakyRelu", inputs, name, alpha=_rounded(layer.negative_slope, writer.dtype(layer)).item()
    )


def _plain(operator: str, **attributes: Any) -> Write:
    def write(writer: _Writer, layer: Any, inputs: list[str], name: str) -> str:
        return writer.node(operator, inputs, name, **attributes)

    return write


_EXACT = {"Concat", "Identity", "MaxPool", "Relu"}
"""Operators that give some of the values that they take."""
_LAYERS: dict[str, Write] = {
    "Add": _plain("Sum"),
    "Average": _plain("Mean"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _plain("Concat", axis=1),
    "Dense": _dense,
    "GroupNormalization": _group_norm,
    "Identity": _plain("Identity"),
    "LeakyReLU": _leaky,
    "ReLU": _plain("Relu"),
    **{f"AveragePooling{count}D": _pool("AveragePool") for count in (2, 3)},
    **{f"MaxPooling{count}D": _pool("MaxPool") for count in (2, 3)},
    **{f"Conv{count}D": _convolution for count in (2, 3)},
    **{f"Conv{count}DTranspose": _transposed for count in (2, 3)},
    **{f"GlobalAveragePooling{count}D": _whole_pool("GlobalAveragePool") for count in (2, 3)},
    **{f"GlobalMaxPooling{count}D": _whole_pool("GlobalMaxPool") for count in (2, 3)},
    **{f"SpatialDropout{count}D": _plain("Identity") for count in (2, 3)},
}
"""What writes each kind of Keras layer; dropout acts in training alone."""
