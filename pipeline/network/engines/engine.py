"""The choice of an engine. Each is a module here with a function `forward`, found by its name."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, Literal

from ...core.errors import InputError
from .. import backend
from ..settings import Engine

Activation = Literal["sigmoid", "softmax"]
Forward = Callable[[Any], tuple[Any, Any]]
"""From windows (B, *patch, C) float32 to probabilities (B, *patch, O) float32, and of a type head
(B, O - 1) or None."""


def chosen(engine: Engine, architecture: str) -> Engine:
    """The engine for a network of this machine: `engine`, and for "auto" OpenVINO on a CPU.

    Raises
    ------
    InputError
        If OpenVINO is asked for a network that it is not known to take: one of your own code, whose
        layers no test has compared, or one on JAX, from which it converts too few operations.
    """
    foreign = ":" in architecture
    takes = backend.name() == "tensorflow" and not foreign
    if engine == "openvino" and not takes:
        why = f"{architecture} is your own" if foreign else f"Keras runs on {backend.name()}"
        raise InputError(
            "evaluate.engine: openvino takes the networks of this project on TensorFlow, but"
            f" {why}. Set keras."
        )
    if engine == "auto":
        return "openvino" if takes and not backend.on_accelerator() else "keras"
    return engine


def forward(model: Any, activation: Activation, engine: Engine) -> Forward:
    """The forward pass of a network by an engine, compiled for every shape of windows."""
    return import_module(f".{engine}_engine", __package__).forward(model, activation)


def versions(engine: Engine) -> dict[str, str]:
    """Version of an engine that `chosen` gave; nothing of Keras, whose `backend` has its own."""
    return {} if engine == "keras" else {engine: version(engine)}
