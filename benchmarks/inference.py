"""Segmenting whole held-out cases with a network of params.yaml, with and without mirroring, and
with one of nnU-Net's size beside nnU-Net's own predictor.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import cohorts, nnunet
from benchmarks.measuring import ROOT, Figure, apart, timed

REPEATS = 3
CASES = 3
PRECISIONS = ("mixed_bfloat16", "float32")
PARTS = ("read", "prepare", "network", "restore", "write")


def figures(repeats: int) -> Iterator[Figure]:
    """Seconds per case in the network and as a whole, and what mirroring costs."""
    (plain, mirrored), ran = apart(once, str(cohorts.phantoms(8)), repeats)
    for name, runs, beside in (
        ("inference", plain, None),
        ("inference, mirrored", mirrored, plain),
    ):
        for part in ("network", "whole"):
            others = ", ".join(
                f"{other} {_median(runs, other):.2f}" for other in PARTS if other != "network"
            )
            yield Figure(
                f"{name}: {part}",
                "s/case",
                [run[part] for run in runs],
                beside=beside and (_median(beside, part), "without mirroring"),
                note=f"{_median(runs, 'cpu'):.1f} cpu s; {others}"
                if part == "whole"
                else f"{CASES} phantoms, 2 cores",
            )
    yield Figure("inference, memory", "GB", [ran.process_gb])
    yield from _beside_nnunet(cohorts.phantoms(8), repeats)


def _beside_nnunet(raw: Path, repeats: int) -> Iterator[Figure]:
    """One case from its files to labels on its grid, by turns, as each does it on a CPU: nnU-Net
    in float32, this pipeline in the precision of its presets and in float32.
    """
    from pipeline.network.params import NetworkParams

    name = "inference beside nnU-Net"
    if not nnunet.installed():
        yield Figure(name, "s/case", (), note=nnunet.MISSING)
        return
    shape = NetworkParams.model_validate(_planned()["network"])
    theirs: list[dict[str, float]] = []
    ours: dict[str, list[dict[str, float]]] = {precision: [] for precision in PRECISIONS}
    with nnunet.segmenting(raw, shape, _planned()["train"]["patch"]) as segment_there:
        for _ in range(repeats):
            for precision in PRECISIONS:
                ours[precision].append(apart(planned_size, str(raw), precision)[0])
            theirs.append(segment_there())
    for precision, runs in ours.items():
        for part, at_least in (("whole", 3), ("network", None)):
            spent, there = _median(runs, part), _median(theirs, part)
            yield Figure(
                f"{name}, {precision}: {part}",
                "times as fast",
                [peer[part] / own[part] for own, peer in zip(runs, theirs, strict=True)],
                at_least=at_least,
                note=f"{spent:.1f} s/case against {there:.1f}, 2 cores, without writing",
            )


def _planned() -> dict[str, dict]:
    """params.yaml with the sections that the preset brats2021 changes: the network that nnU-Net
    plans for BraTS, with labels as outputs, which is what nnU-Net predicts without regions.
    """
    from pipeline.core import params

    values = params.read(ROOT / "params.yaml")
    preset = params.read_yaml(ROOT / "presets/brats2021.yaml", "Restore it with git.")
    merged = {
        section: {**values[section], **preset[section]}
        for section in ("network", "train", "preprocess")
    }
    merged["network"] |= {"output": "labels", "deep_supervision": False}
    return merged | {"evaluate": values["evaluate"] | {"mirror": False, "batch_size": 2}}


def planned_size(raw: str, precision: str) -> dict[str, float]:
    """Seconds of each part for the first case, after a run that compiles."""
    catalogue, network, card, settings = _untrained(raw, _planned(), precision)
    _segment(raw, catalogue.cases[0], network, card, settings)
    taken = _segment(raw, catalogue.cases[0], network, card, settings)
    return taken | {"whole": taken["whole"] - taken["write"]}


def _median(runs: list[dict[str, float]], part: str) -> float:
    return statistics.median(run[part] for run in runs)


def once(raw: str, repeats: int) -> list[list[dict[str, float]]]:
    """Mean seconds per case of every part: a list of runs without mirroring, and one with."""
    from pipeline.core import params

    values = params.read(ROOT / "params.yaml")
    catalogue, network, card, settings = _untrained(raw, values, values["train"]["precision"])
    found = []
    for mirror in (False, True):
        asked = settings.model_copy(update={"mirror": mirror})
        _segment(raw, catalogue.cases[0], network, card, asked)  # compiles the network
        runs = [
            [_segment(raw, entry, network, card, asked) for entry in catalogue.cases[:CASES]]
            for _ in range(repeats)
        ]
        found.append(
            [{part: statistics.mean(case[part] for case in run) for part in run[0]} for run in runs]
        )
    return found


def _untrained(raw: str, values: dict, precision: str) -> tuple:
    """The catalogue of a folder, a network with random weights, and what segmentation reads of its
    card and settings.
    """
    from pipeline.core import params
    from pipeline.core.catalogue import Catalogue
    from pipeline.core.records import read_json
    from pipeline.network import backend, unet
    from pipeline.network.card import Card
    from pipeline.network.layers.exchange import fast
    from pipeline.network.params import NetworkParams
    from pipeline.preparation.params import PreprocessingConfig
    from pipeline.scoring.params import EvaluateParams

    path = ROOT / "params.yaml"
    catalogue = read_json(Path(raw) / "catalogue.json", Catalogue)
    shape, config = (
        params.value(values, key, kind, path)
        for key, kind in (("network", NetworkParams), ("preprocess", PreprocessingConfig))
    )
    settings = params.value(values, "evaluate", EvaluateParams, path)
    schema = catalogue.cohort
    outputs = len(schema.regions) if shape.output == "regions" else len(schema.labels) + 1
    backend.prepare(0, precision)
    network = fast(unet.build(shape, len(schema.modalities), outputs))
    # the card of an untrained network: what segmentation reads of it, and no more
    card = Card.model_construct(
        cohort=schema, preprocess=config, network=shape, patch=tuple(values["train"]["patch"])
    )
    return catalogue, network, card, settings


def _segment(raw, entry, network, card, settings) -> dict[str, float]:
    """Seconds of each part for one case, as `predict` goes through it."""
    from pipeline.core.regions import classes_to_values
    from pipeline.formats import nifti, raw_cases
    from pipeline.network import predictor
    from pipeline.preparation.preprocessing import prepare

    taken: dict[str, float] = {}
    files = raw_cases.found_in(Path(raw), entry)
    reference = raw_cases.read(files, card.cohort).classes
    cpu = time.process_time()
    with timed(taken, "read"):
        case = raw_cases.read(replace(files, labels=None), card.cohort)
    with timed(taken, "prepare"):
        prepared = prepare(case, card.preprocess)
    with timed(taken, "network"):
        prediction = predictor.predict(
            network, card, settings, prepared.image, geometry=prepared.geometry
        )
    with timed(taken, "restore"):
        predictor.raw_classes(prediction, card, settings)
    with tempfile.TemporaryDirectory() as folder, timed(taken, "write"):
        # the reference in place of an untrained network's noise, which gzip would be slow to pack
        nifti.write(
            Path(folder) / "out.nii.gz", classes_to_values(reference, card.cohort), case.grid.affine
        )
    return taken | {"whole": sum(taken.values()), "cpu": time.process_time() - cpu}
