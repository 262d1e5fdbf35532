"""Write a trained network as a folder that needs neither Keras nor TumorFlow.

    python -m pipeline export --model models --out exported
    python -m pipeline export --model models --out exported --format openvino --precision int8

The folder holds the network (network.onnx, or network.xml and network.bin), pipeline.json with all
that preparation, windows, thresholds and postprocessing need, run.py, which segments a case with
NumPy, nibabel and onnxruntime or OpenVINO, and README.txt. The network takes and gives float32.

With --precision trained, the default, its layers round as those of the training, so that labels are
those of `predict`: to bfloat16 after `train.precision: mixed_bfloat16`. With --precision float32
they do not.

With --precision int8 convolutions compute in 8-bit integers. They are calibrated on training cases
of --data, and the labels compared with those of float32 on its validation cases; if the Dice of a
region is below 0.995, nothing is written and the exit status is 1. Research use only, not for
diagnosis.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from ..export import folder, quantized, runner
from ..network.card import Card, network_file, read_card
from ..network.settings import Settings, read_settings
from ..runtime.model_folder import add_model, model_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_model(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--format", choices=("onnx", "openvino"), default="onnx", help="default: onnx"
    )
    parser.add_argument(
        "--precision",
        choices=("trained", "float32", "int8"),
        default="trained",
        help="of the layers: that of the training, which gives the labels of `predict`; float32; or"
        " int8 (default: trained)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        metavar="FOLDER",
        help="with the shards of the training, for int8 (default: data)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the folder and print what it holds; 1 if int8 changes the labels."""
    folder.check(arguments.out)
    place = model_folder(arguments.model)
    card, settings = read_card(place), read_settings(place)
    if arguments.precision == "int8":
        quantized.check_data(card, arguments.data)
    precision = _precision(arguments, card)
    # OpenVINO rounds by itself
    rounded = arguments.format == "onnx" and arguments.precision == "trained"
    graph = _graph(card, place, rounded)
    if precision == "int8":
        files, found = _narrowed(graph, arguments, card, settings)
        text = ", ".join(f"{region} {dice:.4f}" for region, dice in found.items())
        print(f"Dice of int8 with float32 on validation cases: {text}")
        if min(found.values()) < quantized.LEAST_DICE:
            print(f"below {quantized.LEAST_DICE}: nothing is written. Use --precision float32.")
            return 1
    else:
        files = folder.network_files(graph, arguments.format)
    pipeline = folder.described(card, settings, files, precision)
    folder.write(arguments.out, files, pipeline)
    size = sum(map(len, files.values())) / 1e6
    print(f"{arguments.out}: {', '.join(files)} ({size:.1f} MB), pipeline.json, run.py, README.txt")
    return 0


def _precision(arguments: argparse.Namespace, card: Card) -> folder.Precision:
    """What the layers compute in."""
    if arguments.precision != "trained":
        return arguments.precision
    trained = card.train["precision"].removeprefix("mixed_")
    # as by `predict`, OpenVINO computes in float32 what was trained in float16
    openvino = arguments.format == "openvino"
    return "float32" if openvino and trained == "float16" else trained


def _graph(card: Card, place: Path, rounded: bool) -> Any:
    from ..network import backend, saving
    from ..network.engines.onnx_graph import graph_of

    backend.prepare(card.seed, card.train["precision"])
    network = saving.load_model(network_file(place), card.network.architecture)
    return graph_of(network, card.patch, rounded=rounded)


def _narrowed(
    graph: Any, arguments: argparse.Namespace, card: Card, settings: Settings
) -> tuple[dict[str, bytes], dict[str, float]]:
    """The files of a network in int8, and the Dice of each region with the labels in float32."""
    with tempfile.TemporaryDirectory() as place:
        files = folder.network_files(graph, arguments.format)
        pipeline = folder.described(card, settings, files, "float32")
        folder.write(Path(place) / "float32", files, pipeline)
        wide = runner.open_network(Path(place) / "float32", pipeline)
        narrow_graph = quantized.quantized(graph, pipeline, card, arguments.data)
        files = folder.network_files(narrow_graph, arguments.format)
        pipeline = folder.described(card, settings, files, "int8")
        folder.write(Path(place) / "int8", files, pipeline)
        narrow = runner.open_network(Path(place) / "int8", pipeline)
        return files, quantized.agreement(wide, narrow, pipeline, card, arguments.data)
