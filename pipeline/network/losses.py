"""Training losses: the one that params.yaml names, always in float32."""

from collections.abc import Callable, Mapping
from typing import Any

from . import registry
from .backend import keras


def build(output: str, train: Mapping[str, Any], code: str | None = None) -> keras.losses.Loss:
    """Build the loss of a training.

    Parameters
    ----------
    output : {"regions", "labels"}
        What the channels of target and logits are.
    train : mapping
        The section `train` of params.yaml as plain values. `loss` names a callable
        ``(output, train) -> loss``, and the loss maps a target (B, *spatial, O) of zeros and ones
        and float32 logits of the same shape to a scalar.
    code : str, optional
        As in `registry.load`.

    Returns
    -------
    keras.losses.Loss
    """
    factory = registry.load(registry.LOSSES, train["loss"], "train.loss", code)
    loss = factory(output, train)
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


class _FunctionLoss(keras.losses.Loss):
    """A plain function as a loss."""

    def __init__(self, function: Callable):
        super().__init__(name=getattr(function, "__name__", "own_loss"), dtype="float32")
        self.function = function

    def call(self, target, logits):
        return self.function(target, logits)
