"""What runs a trained network on a CPU: Keras, OpenVINO, onnxruntime, and int8, by turns on the
same windows, and how far their logits and labels are from Keras in float32.

The first network is that of models/ in this clone with windows of its validation cases, if it has
been trained; the others are untrained, with windows of noise.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import ROOT, Figure, apart

REPEATS = 5
NETWORKS = {
    "2D of models/": None,
    "2D 80x96": {"patch": (80, 96), "batch": 16, "dimensions": 2, "filters": 16, "depth": 5},
    "3D 64": {"patch": (64, 64, 64), "batch": 2, "dimensions": 3, "filters": 16, "depth": 4},
}
REFERENCE = "keras float32"
Run = Callable[[np.ndarray], np.ndarray]


def figures(repeats: int) -> Iterator[Figure]:
    """Seconds a batch of every engine, and the agreement with Keras in float32."""
    for name, settings in NETWORKS.items():
        if settings is None and not (ROOT / "models/network.keras").is_file():
            yield Figure(f"engines {name}", "s/batch", (), note="skipped: models/ is not trained")
            continue
        found, _ = apart(by_turns, settings, repeats)
        base = statistics.median(found[REFERENCE]["wall"])
        for engine, taken in found.items():
            parity = (
                f"logits up to {taken['logits']:.2g} apart, Dice {taken['dice']:.5f} of labels"
                if engine != REFERENCE
                else "the reference"
            )
            yield Figure(
                f"engines {name}: {engine}",
                "s/batch",
                taken["wall"],
                beside=(base, REFERENCE),
                note=f"{statistics.median(taken['cpu']):.2f} cpu s; {parity}",
            )


def by_turns(settings: dict[str, Any] | None, repeats: int) -> dict[str, dict[str, Any]]:
    """Wall and processor seconds of a batch by every engine, in turns, and the agreement: the
    largest difference of a logit, and the Dice of all voxels whose logit is above 0.
    """
    make, windows = _trained() if settings is None else _drawn(settings)
    runs = _engines(make, windows)
    first = {name: run(windows) for name, run in runs.items()}  # compiles
    taken: dict[str, dict[str, Any]] = {name: {"wall": [], "cpu": []} for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(windows)
            taken[name]["wall"].append(time.perf_counter() - wall)
            taken[name]["cpu"].append(time.process_time() - cpu)
    exact = first[REFERENCE]
    for name, probabilities in first.items():
        one, other = probabilities > 0.5, exact > 0.5
        taken[name]["logits"] = float(np.abs(_logits(probabilities) - _logits(exact)).max())
        taken[name]["dice"] = float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
    return taken


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Those between -8 and 8: beyond, float32 keeps no digits of a probability near 1."""
    wide = np.clip(probabilities.astype(np.float64), 3.4e-4, 1 - 3.4e-4)
    return np.log(wide) - np.log1p(-wide)


def _engines(make: Callable[[str], Any], windows: np.ndarray) -> dict[str, Run]:
    """Every engine in every precision."""
    from pipeline.network.engines import engine

    def run_by(model: Any, name: Any) -> Run:
        forward = engine.forward(model, "sigmoid", name)
        return lambda batch: np.asarray(forward(batch)[0])

    runs = {}
    for precision in ("float32", "mixed_bfloat16"):
        model = make(precision)
        for name in ("keras", "openvino", "onnx"):
            runs[f"{name} {precision.removeprefix('mixed_')}"] = run_by(model, name)
    return runs | _narrow(make("float32"), windows)


def _narrow(model: Any, windows: np.ndarray) -> dict[str, Run]:
    """Both engines in int8, calibrated on the windows themselves: a bound of what int8 can do."""
    import tempfile

    from pipeline.core.cores import usable_cores
    from pipeline.export import folder, quantized, runner
    from pipeline.network.engines.onnx_graph import graph_of

    given = np.ascontiguousarray(np.moveaxis(windows, -1, 1))
    graph = quantized.narrowed(graph_of(model, windows.shape[1:-1]), iter(given[:4]))
    runs: dict[str, Run] = {}
    for form in ("onnx", "openvino"):
        with tempfile.TemporaryDirectory() as place:
            files = folder.network_files(graph, form)
            for name, raw in files.items():
                (Path(place) / name).write_bytes(raw)
            pipeline = {"network": {"file": min(files, key=lambda n: n[-4:] == ".bin")}}
            pipeline["network"] |= {"sha256": {}, "precision": "int8"}
            network = runner.open_network(Path(place), pipeline, usable_cores())
        runs[f"{form} int8"] = _probabilities_of(network)
    return runs


def _probabilities_of(network: Any) -> Run:
    def run(batch: np.ndarray) -> np.ndarray:
        logits = network(np.ascontiguousarray(np.moveaxis(batch, -1, 1)))[0]
        return np.moveaxis(1 / (1 + np.exp(-logits)), 1, -1)

    return run


def _trained() -> tuple[Callable[[str], Any], np.ndarray]:
    """The network of models/, and windows in the middle of its validation cases."""
    from pipeline.network import backend, predictor, saving, unet
    from pipeline.network.architectures import inference_network
    from pipeline.network.card import read_card
    from pipeline.network.layers.exchange import fast
    from pipeline.preparation import shards

    card = read_card(ROOT / "models")
    trained = saving.load_model(ROOT / "models/network.keras")

    def make(precision: str) -> Any:
        backend.prepare(0, precision)
        network = unet.build(card.network, trained.inputs[0].shape[-1], predictor.outputs_of(card))
        model = fast(inference_network(network))
        model.set_weights(trained.get_weights())
        return model

    images = [
        shards.read(ROOT / "data/shards", case).image for case in card.members[0].validated_on
    ]
    windows = [_middle(image, card.patch, level) for image in images for level in range(-2, 2)]
    return make, np.stack(windows)


def _middle(image: np.ndarray, patch: tuple[int, ...], level: int) -> np.ndarray:
    from pipeline.preparation.patches import cut

    box = (*patch, 1)[:3]
    x, y, z = ((length - side) // 2 for length, side in zip(image.shape[:3], box, strict=True))
    return cut(image, (x, y, z + 3 * level), patch).astype(np.float32)


def _drawn(settings: dict[str, Any]) -> tuple[Callable[[str], Any], np.ndarray]:
    """An untrained network and windows of noise."""
    from pipeline.core import params
    from pipeline.network import backend, unet
    from pipeline.network.layers.exchange import fast
    from pipeline.network.params import NetworkParams

    values = params.read(ROOT / "params.yaml")["network"]
    shape = NetworkParams.model_validate(
        values
        | {key: settings[key] for key in ("dimensions", "filters", "depth")}
        | {"max_filters": 320, "output": "regions", "deep_supervision": False}
    )

    def make(precision: str) -> Any:
        backend.prepare(0, precision)
        return fast(unet.build(shape, 4, 3))

    batch = (settings["batch"], *settings["patch"], 4)
    return make, np.random.default_rng(0).normal(size=batch).astype(np.float32)
