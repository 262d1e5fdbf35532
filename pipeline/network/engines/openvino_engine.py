"""The forward pass by OpenVINO, on a CPU: with AMX about half of the time that TensorFlow takes."""

import logging
import sys
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from ...core.cores import usable_cores
from .. import backend
from ..backend import keras
from ..layers.exchange import convertible
from . import keras_engine
from .engine import Activation, Forward

log = logging.getLogger(__name__)


def forward(model: keras.Model, activation: Activation) -> Forward:
    """As `engine.forward`. The windows of a batch are predicted side by side, on as many cores as
    divide their number; each core by itself is faster than all on one window.
    """
    _announce()
    # OpenVINO computes channels first; a softmax over the last axis would be 20 times slower
    network = backend.compiled(keras_engine.probabilities_of(convertible(model), activation, 1))
    narrow = any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    precision = "bf16" if narrow else "f32"  # a CPU without bfloat16 computes in float32 anyway

    @lru_cache(maxsize=2)
    def program(shape: tuple[int, ...]) -> list[Any]:
        streams = next(n for n in range(usable_cores(), 0, -1) if shape[0] % n == 0)
        return _requests(network, (shape[0] // streams, *shape[1:]), streams, precision)

    def run(windows):
        windows = keras.ops.convert_to_numpy(windows)
        requests = program(windows.shape)
        for request, part in zip(requests, np.split(windows, len(requests)), strict=True):
            request.start_async({0: part}, share_inputs=True)
        for request in requests:
            request.wait()
        found = [
            np.concatenate([request.get_output_tensor(number).data for request in requests])
            for number in range(len(model.outputs))
        ]
        return np.moveaxis(found[0], 1, -1), found[1] if len(found) > 1 else None

    return run


@cache
def _announce() -> None:
    """Log once that Keras, which `backend` names, hands the network over."""
    log.info("OpenVINO %s runs the network", version("openvino"))


def _requests(network: Forward, shape: tuple[int, ...], streams: int, precision: str) -> list[Any]:
    """As many requests of a network, each for windows (B, *patch, C), as run side by side."""
    # OpenVINO reports every import and conversion to its makers; it does not without this package
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino  # here, since it takes half a second and a GPU needs none of it

    converted = openvino.convert_model(network, example_input=np.zeros(shape, np.float32))
    compiled = openvino.Core().compile_model(
        converted,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": usable_cores(),
            "ENABLE_CPU_PINNING": False,  # two runs at once would share a core
        },
    )
    return [compiled.create_infer_request() for _ in range(streams)]
