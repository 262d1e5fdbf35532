"""A network in 8-bit integers, calibrated on training cases and checked on validation cases."""

import copy
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..network.card import Card
from ..preparation import shards
from . import runner

LEAST_DICE = 0.995
"""Of the labels in int8 with those in float32."""
WINDOWS = 64
"""For calibration, spread over the training cases."""
PERCENTILE = 99.99
"""Of the values of a tensor, whose range int8 covers: a few outliers would coarsen all others."""


def check_data(card: Card, data: Path) -> None:
    """Raise InputError unless the shards of the cases are there that the network has seen."""
    for case in (*card.members[0].trained_on[:1], *card.members[0].validated_on[:1]):
        shards.read(data / "shards", case)
    if not card.members[0].validated_on:
        raise InputError("the network has no validation cases, which int8 is checked on.")


def quantized(graph: Any, pipeline: Mapping[str, Any], card: Card, data: Path) -> Any:
    """A graph as of `narrowed`, calibrated on windows of the training cases."""
    return narrowed(graph, _windows(pipeline, card.members[0].trained_on, data / "shards"))


def narrowed(graph: Any, windows: Iterator[np.ndarray]) -> Any:
    """An ONNX graph (`onnx.ModelProto`) in which convolutions but the first and the last take
    integers of 8 bits, in the ranges that windows (C, *patch) float32 give.

    What is rounded further would move twice as many voxels (docs/benchmarks.md): the results of
    convolutions, and transposed ones. Activations are unsigned: OpenVINO 2026.4 computes other
    logits of signed ones than onnxruntime.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    class Windows(CalibrationDataReader):
        """One window at a time."""

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next input of the graph; None at the end."""
            window = next(windows, None)
            return None if window is None else {"image": window[None]}

    names = [node.name for node in graph.graph.node if node.op_type == "Conv"]
    graph = copy.deepcopy(graph)  # which is taken apart
    add_pre_process_metadata(graph)  # there is nothing to fold or infer in it
    with tempfile.TemporaryDirectory() as place, redirect_stdout(io.StringIO()):
        path = Path(place) / "int8.onnx"
        quantize_static(
            graph,
            path,
            Windows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[names[0], names[-1]],
            calibrate_method=CalibrationMethod.Percentile,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "CalibPercentile": PERCENTILE,
                "OpTypesToExcludeOutputQuantization": ["Conv"],
            },
        )
        return onnx.load(path)


def _windows(
    pipeline: Mapping[str, Any], cases: Sequence[str], folder: Path
) -> Iterator[np.ndarray]:
    """Windows (slices * C, *patch) float32, evenly spread over the brains of cases."""
    each = -(-WINDOWS // len(cases))
    patch, slices = pipeline["patch"], pipeline["slices"]
    for case in cases:
        image = shards.read(folder, case).image
        origins = runner.occupied(image, patch, pipeline["overlap"])
        for number in np.unique(np.linspace(0, len(origins) - 1, each).astype(int)):
            yield runner.window_at(image, origins[number], patch, slices)


def agreement(
    one: runner.Network, other: runner.Network, pipeline: Mapping[str, Any], card: Card, data: Path
) -> dict[str, float]:
    """Dice of each region between the labels of two networks, the mean over validation cases, on
    the prepared grid.
    """
    voxel_ml = prod(card.spacing_mm) / 1000
    scores: dict[str, list[float]] = {region: [] for region in card.cohort.regions}
    for case in card.members[0].validated_on:
        image = shards.read(data / "shards", case).image
        labels = [
            runner.to_classes(*runner.predict(network, pipeline, image), pipeline)
            for network in (one, other)
        ]
        labels = [runner.postprocess(each, pipeline, voxel_ml) for each in labels]
        for region, values in scores.items():
            first, second = (np.isin(each, card.cohort.classes_of(region)) for each in labels)
            both = int(first.sum() + second.sum())
            values.append(2 * int((first & second).sum()) / both if both else 1.0)
    return {region: float(np.mean(values)) for region, values in scores.items()}
