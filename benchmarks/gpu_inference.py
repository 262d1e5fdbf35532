"""Seconds to segment a case of BraTS's grid on a GPU, from its files to a file.

    python -m benchmarks.gpu_inference OUT

A brain of noise and an untrained network of the size that nnU-Net plans for BraTS. The reference is
written in place of what it predicts, which is noise that gzip would be slow to pack, and
postprocessing is off. The first run, which compiles, is apart.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import gpu_setup
from benchmarks.gpu_results import record
from benchmarks.gpu_setup import PATCH, SCHEMA, TINY, VOLUMES
from benchmarks.measuring import timed
from pipeline.core import params
from pipeline.core.regions import classes_to_values
from pipeline.formats import nifti, raw_cases
from pipeline.network import architectures, predictor
from pipeline.network.card import Card
from pipeline.preparation.params import Postprocess, PreprocessingConfig
from pipeline.preparation.preprocessing import prepare

GRID, HALVES = ((24, 24, 18), (9, 11, 8)) if TINY else ((240, 240, 155), (70, 88, 70))
RUNS, WINDOWS = (1, 2) if TINY else (3, 4)
NONE = Postprocess(
    thresholds={}, temperature=1, min_component_ml=0, fill_holes=False, min_innermost_ml=0
)


def main() -> None:
    out, path = Path(sys.argv[1]), gpu_setup.ROOT / "params.yaml"
    made = gpu_setup.setup(VOLUMES, {"patch": PATCH}, {})
    config = params.value(params.read(path), "preprocess", PreprocessingConfig, path)
    card = Card.model_construct(
        cohort=SCHEMA,
        preprocess=config.model_copy(update={"spacing_mm": None}),
        network=made.network,
        patch=made.train.patch,
    )
    network = architectures.inference_network(made.model())
    with tempfile.TemporaryDirectory() as folder:
        found, classes = _written(Path(folder))
        for mirror in (False, True):
            settings = predictor.Settings(
                overlap=0.5, mirror=mirror, batch_size=WINDOWS, engine="keras", postprocess=NONE
            )
            runs = [_seconds(found, classes, network, card, settings) for _ in range(RUNS + 1)]
            parts = {
                f"{part}_s": statistics.median(run[part] for run in runs[1:]) for part in runs[0]
            }
            first = runs[0]["whole"]
            name = f"whole case{', mirrored' * mirror}"
            record(out, "inference", name, grid=str(GRID), first_s=first, **parts)


def _written(folder: Path) -> tuple[raw_cases.Found, np.ndarray]:
    """Files of a brain of noise, and the classes of its nested labels."""
    square, affine = gpu_setup.ellipsoid(GRID, HALVES), np.diag([-1.0, -1.0, 1.0, 1.0])
    brain, numbers = square < 1, np.random.default_rng(0)
    files = {name: folder / f"case-{name}.nii.gz" for name in SCHEMA.modalities}
    for file in files.values():
        voxels = numbers.integers(100, 1000, GRID).astype(np.int16)
        nifti.write(file, voxels * brain, affine)
    classes = np.digitize(-square, [-0.12, -0.06, -0.02]).astype(np.uint8)
    return raw_cases.Found("case", "case", folder, files, None), classes


def _seconds(found, classes, network, card, settings) -> dict[str, float]:
    """Seconds of each part, as `predict` goes through it."""
    taken: dict[str, float] = {}
    with timed(taken, "whole"):
        with timed(taken, "read"):
            case = raw_cases.read(found, SCHEMA)
        with timed(taken, "prepare"):
            prepared = prepare(case, card.preprocess)
        with timed(taken, "network"):
            prediction = predictor.predict(
                network, card, settings, prepared.image, geometry=prepared.geometry
            )
        with timed(taken, "restore"):
            predictor.raw_classes(prediction, card, settings)
        with timed(taken, "write"):
            values = classes_to_values(classes, SCHEMA)
            nifti.write(found.folder / "labels.nii.gz", values, case.grid.affine)
    return taken


if __name__ == "__main__":
    main()
