"""The forward pass by Keras, on whatever device it found."""

from .. import backend
from ..backend import keras
from . import Activation, Forward

ops = keras.ops


def forward(model: keras.Model, activation: Activation) -> Forward:
    """As `engines.forward`."""
    activate = ops.sigmoid if activation == "sigmoid" else ops.softmax

    def probabilities_of(windows):
        outputs = model(windows, training=False)
        logits, types = outputs if isinstance(outputs, list) else (outputs, None)
        types = None if types is None else ops.softmax(ops.cast(types, "float32"))
        return activate(ops.cast(logits, "float32")), types

    return backend.compiled(probabilities_of, model)
