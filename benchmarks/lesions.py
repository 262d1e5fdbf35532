"""Lesion-wise scores and instance matching, beside BraTS 2023 done as published, panoptica and
MONAI, on the same masks and core.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks import cohorts
from benchmarks.measuring import ROOT, Figure, apart, watched
from benchmarks.nnunet import ENVIRONMENT
from pipeline.core.boxes import bounding_box
from pipeline.core.catalogue import Catalogue
from pipeline.core.records import read_json
from pipeline.core.schema import Schema
from pipeline.formats import nifti, raw_cases

REPEATS = 3
SPECKS = 200
SPACING_MM = (1.0, 1.0, 1.0)
AFFINE = np.diag([*SPACING_MM, 1.0])


@dataclass(frozen=True)
class Peer:
    """What others take for the same: `compared` must agree to `tolerance`, `at_least` so many times
    as long is the target.
    """

    name: str
    ours: str
    compared: tuple[str, ...]
    tolerance: float
    at_least: float | None
    at_most_runs: int = 9


PEERS = {
    "published": Peer(
        "BraTS 2023 done as published",
        "lesions",
        ("lesion_dice", "lesion_hd95_mm", "lesions", "false_positives"),
        1e-6,
        20,
    ),
    "panoptica-counts": Peer("panoptica", "instances", ("f1", "sq", "pq"), 1e-9, 5),
    "panoptica": Peer(
        "panoptica with distances of what matches", "lesions", ("f1", "sq", "pq"), 1e-9, None
    ),
    "monai": Peer(
        "MONAI", "lesions", ("f1", "pq"), 1e-4, 5, at_most_runs=1
    ),  # it adds 1e-6 to denominators and sums in 32 bits
}


def figures(repeats: int) -> Iterator[Figure]:
    """Processor seconds of a case, how many times as many others take, and whether the scores are
    the same.
    """
    for name, (reference, prediction) in pairs().items():
        with tempfile.TemporaryDirectory() as folder:
            for part, classes in (("reference", reference), ("prediction", prediction)):
                nifti.write(Path(folder) / f"{part}.nii.gz", classes, AFFINE)
            (taken, rows), _ = apart(once, folder, repeats, cores=1)
            pieces = int(ndimage.label(prediction, np.ones((3, 3, 3)))[1])
            yield Figure(
                f"lesions, {name}",
                "cpu s/case",
                taken["lesions"],
                note=f"{len(rows)} regions, {pieces} pieces predicted",
            )
            yield Figure(f"instances alone, {name}", "cpu s/case", taken["instances"])
            yield from (_beside(name, peer, Path(folder), taken, rows, repeats) for peer in PEERS)


def _beside(
    name: str,
    peer: str,
    folder: Path,
    taken: dict[str, list[float]],
    rows: list[dict],
    repeats: int,
) -> Figure:
    other, interpreter = PEERS[peer], ENVIRONMENT / "bin/python"
    title = f"{other.ours}, {name}: {other.name}"
    if not interpreter.is_file():
        return Figure(
            title,
            "",
            [],
            note="skipped: benchmarks/requirements.txt is not installed in .venv-peers",
        )
    command = [
        str(interpreter),
        str(ROOT / "benchmarks/lesions_peers.py"),
        peer,
        str(folder),
        str(min(repeats, other.at_most_runs)),
    ]
    found = json.loads(watched(command, cores=1).lines[-1][1])
    differences = [
        abs(row[score] - found["scores"][row["name"]][score])
        for row in rows
        for score in other.compared
        if row[score] is not None
    ]
    same = "same" if max(differences) <= other.tolerance else "OTHER"
    own = statistics.median(taken[other.ours])
    return Figure(
        title,
        "x ours",
        [seconds / own for seconds in found["cpu_seconds"]],
        at_least=other.at_least,
        note=(
            f"{statistics.median(found['cpu_seconds']):.2f} cpu s; {same}"
            f" {', '.join(other.compared)}, to {max(differences):.0e}"
        ),
    )


def once(folder: str, repeats: int) -> tuple[dict[str, list[float]], list[dict]]:
    """Processor seconds of each run, and the rows of the regions; what is undefined is None."""
    from pipeline.metrics.instances import instance_rows
    from pipeline.metrics.lesionwise import lesion_rows

    reference, prediction = (
        np.asarray(nifti.read(Path(folder) / f"{part}.nii.gz").voxels, np.uint8)
        for part in ("reference", "prediction")
    )
    schema = schema_of_pairs()

    def both() -> list[dict]:
        lesions, _ = lesion_rows(reference, prediction, schema, SPACING_MM)
        return [
            row | matched
            for row, matched in zip(
                lesions, instance_rows(reference, prediction, schema), strict=True
            )
        ]

    taken = {
        "lesions": cpu_seconds(both, repeats),
        "instances": cpu_seconds(lambda: instance_rows(reference, prediction, schema), repeats),
    }
    rows = both()
    return taken, [
        {key: None if value != value else value for key, value in row.items()} for row in rows
    ]


def cpu_seconds(action: Callable, repeats: int) -> list[float]:
    """Processor seconds of each run of an action, but for a first one that warms up."""
    action()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        action()
        taken.append(time.process_time() - started)
    return taken


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Class maps of cases of 240x240x155 voxels and predictions of them; of the real ones, if there
    are any, that of the largest tumour.

    A typical prediction is the reference bent at random by some voxels, so that its rim frays and
    small islands come and go; a speckled one has 200 specks besides, of one to four voxels a side,
    all over; several lesions are two cases in one, one mirrored, with specks.
    """
    rng = np.random.default_rng(2026)
    one, other = islice(_references(cohorts.phantoms(4)), 2)
    several = np.where(one == 0, other[::-1], one)
    typical = _bent(rng, one)
    found = {
        "typical": (one, typical),
        f"{SPECKS} specks": (one, _speckled(rng, typical, SPECKS)),
        "several lesions": (_speckled(rng, several, 12), _speckled(rng, _bent(rng, several), 28)),
    }
    raw = cohorts.real()
    if raw is not None:
        real = max(_references(raw), key=np.count_nonzero)
        bent = _bent(rng, real)
        found |= {
            "real": (real, bent),
            f"real, {SPECKS} specks": (real, _speckled(rng, bent, SPECKS)),
        }
    return found


def _references(raw: Path) -> Iterator[np.ndarray]:
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    yield from (
        raw_cases.read(raw_cases.found_in(raw, entry), catalogue.cohort).classes
        for entry in catalogue.cases
    )


def schema_of_pairs() -> Schema:
    """The cohort schema of the generated cases; of the real ones the label names and class indices
    are the same.
    """
    return read_json(cohorts.phantoms(4) / "catalogue.json", Catalogue).cohort


def _bent(rng: np.random.Generator, classes: np.ndarray, voxels: float = 1.5) -> np.ndarray:
    box = bounding_box(classes, 8)
    crop = classes[box]
    fields = [ndimage.gaussian_filter(rng.normal(size=crop.shape), 2) for _ in range(crop.ndim)]
    places = [
        index + voxels * field / field.std()
        for index, field in zip(np.indices(crop.shape), fields, strict=True)
    ]
    bent = classes.copy()
    bent[box] = ndimage.map_coordinates(crop, places, order=0)
    return bent


def _speckled(rng: np.random.Generator, classes: np.ndarray, specks: int) -> np.ndarray:
    speckled = classes.copy()
    for _ in range(specks):
        corner, size = (
            [rng.integers(20, length - 24) for length in classes.shape],
            rng.integers(1, 5, classes.ndim),
        )
        speckled[
            tuple(slice(start, start + length) for start, length in zip(corner, size, strict=True))
        ] = rng.integers(1, 4)
    return speckled
