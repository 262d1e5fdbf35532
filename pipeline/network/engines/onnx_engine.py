"""The forward pass by onnxruntime, on a CPU, in float32 that rounds as the training did."""

import logging
from functools import cache
from importlib.metadata import version

import numpy as np

from ...core.cores import usable_cores
from ..backend import keras
from .engine import Activation, Forward
from .onnx_graph import graph_of

log = logging.getLogger(__name__)


def forward(model: keras.Model, activation: Activation) -> Forward:
    """As `engine.forward`. Raises InputError as `onnx_graph.graph_of`."""
    graph = graph_of(model, activation=activation).SerializeToString()
    import onnxruntime  # here, since it takes a tenth of a second

    _announce()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])

    def run(windows):
        windows = np.moveaxis(keras.ops.convert_to_numpy(windows), -1, 1)
        found = session.run(None, {"image": np.ascontiguousarray(windows)})
        return np.moveaxis(found[0], 1, -1), found[1] if len(found) > 1 else None

    return run


@cache
def _announce() -> None:
    """Log once that Keras, which `backend` names, hands the network over."""
    log.info("onnxruntime %s runs the network", version("onnxruntime"))
