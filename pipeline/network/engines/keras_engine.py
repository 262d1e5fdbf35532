"""The forward pass by Keras, on whatever device it found."""

from .. import backend
from ..backend import keras
from .engine import Activation, Forward

ops = keras.ops


def forward(model: keras.Model, activation: Activation) -> Forward:
    """As `engine.forward`."""
    return backend.compiled(probabilities_of(model, activation), model)


def probabilities_of(model: keras.Model, activation: Activation, axis: int = -1) -> Forward:
    """The forward pass, not compiled; the outputs of a voxel are along an axis of the result."""

    def run(windows):
        outputs = model(windows, training=False)
        logits, types = outputs if isinstance(outputs, list) else (outputs, None)
        types = None if types is None else ops.softmax(ops.cast(types, "float32"))
        logits = ops.moveaxis(ops.cast(logits, "float32"), -1, axis)
        activated = ops.sigmoid(logits) if activation == "sigmoid" else ops.softmax(logits, axis)
        return activated, types

    return run
