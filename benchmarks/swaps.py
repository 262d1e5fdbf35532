"""Whether exchanged modalities are noticed: every case as declared, then with its files under each
other's names in all 23 ways.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import cohorts
from benchmarks.measuring import Figure
from pipeline.cohorts.brats import read_folder
from pipeline.formats import nifti
from pipeline.verification.modality_swaps import relations, suspicions

REPEATS = 1
CASES = 4
WORDS = ("t1n", "t1c", "t2w", "t2f")
SHARED = cohorts.REAL.parent
REAL = ("brats2018/*", "brats2021/*", "brats2023/*", "unlabelled/*")


def figures(repeats: int) -> Iterator[Figure]:
    """Shares of exchanges that are noticed, and of cases in order that are suspected, by the
    modalities present.
    """
    folders = {
        "phantoms": sorted(path for path in cohorts.phantoms(CASES).iterdir() if path.is_dir())
    }
    if SHARED.is_dir():
        folders["real cases"] = [
            folder for pattern in REAL for folder in sorted(SHARED.glob(pattern))
        ]
    for kind, cases in folders.items():
        images = [_image(folder) for folder in cases]
        taken, measured = [], []
        for image in images:
            started = time.process_time()
            measured.append(relations(image, (1, 1, 1)))
            taken.append(time.process_time() - started)
        yield Figure(f"relations, {kind}", "cpu s/case", taken)
        for count in (4, 3, 2):
            for chosen in itertools.combinations(range(4), count):
                yield from _noticed(
                    kind,
                    np.stack(measured)[:, chosen][:, :, chosen],
                    [WORDS[index] for index in chosen],
                )


def _image(folder: Path) -> np.ndarray:
    images = read_folder(folder)[1].images
    return np.stack([nifti.read(images[name]).voxels for name in WORDS], axis=-1)


def _noticed(kind: str, measured: np.ndarray, names: Sequence[str]) -> Iterator[Figure]:
    """Each case by itself, without the help of a cohort."""
    alarms = sum(bool(suspicions(own[None], names, ["case"])) for own in measured)
    orders = list(itertools.permutations(range(len(names))))[1:]
    hits = sum(
        bool(suspicions(own[order, :][:, order][None], names, ["case"]))
        for own in measured
        for order in orders
    )
    label, total = f"{kind}, {' '.join(names)}", len(measured) * len(orders)
    yield Figure(
        f"{label}: noticed",
        "of exchanges",
        [hits / total],
        note=f"{hits} of {total}; false alarms: {alarms} of {len(measured)}",
    )
