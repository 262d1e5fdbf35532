"""The choice of an engine. Each is a module here with a function `forward`, found by its name."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, Literal

from .. import backend
from ..settings import Engine, check_engine, takes_openvino

Activation = Literal["sigmoid", "softmax"]
Forward = Callable[[Any], tuple[Any, Any]]
"""From windows (B, *patch, C) float32 to probabilities (B, *patch, O) float32, and of a type head
(B, O - 1) or None."""


def chosen(engine: Engine, architecture: str) -> Engine:
    """The engine for a network of this machine: `engine`, and for "auto" OpenVINO on a CPU.

    Raises InputError as `check_engine`.
    """
    check_engine(engine, architecture, backend.name())
    if engine == "auto":
        takes = takes_openvino(architecture, backend.name())
        return "openvino" if takes and not backend.on_accelerator() else "keras"
    return engine


def forward(model: Any, activation: Activation, engine: Engine) -> Forward:
    """The forward pass of a network by an engine, compiled for every shape of windows."""
    return import_module(f".{engine}_engine", __package__).forward(model, activation)


def versions(engine: Engine) -> dict[str, str]:
    """Version of an engine that `chosen` gave; nothing of Keras, whose `backend` has its own."""
    package = {"onnx": "onnxruntime"}.get(engine, engine)
    return {} if engine == "keras" else {package: version(package)}
