"""Lesion-wise scores of the BraTS evaluation of 2025 and 2026, beside the challenges' own package:
whether every number agrees on made and random masks, and processor seconds on the same core.

The package needs an environment of its own, `.venv-panoptica` (docs/benchmarks.md);
TUMORFLOW_PANOPTICA names another folder.
"""

import json
import math
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import lesions
from benchmarks.measuring import ROOT, Figure, apart, watched
from pipeline.cohorts.registry import SOURCES
from pipeline.core.schema import Schema
from pipeline.phantom.random_fields import normal_field

REPEATS = 3
RANDOM_PAIRS = 300
SAME = 1e-9
ENVIRONMENT = Path(os.environ.get("TUMORFLOW_PANOPTICA", ROOT / ".venv-panoptica"))
SPACINGS_MM = ((1.0, 1.0, 1.0), (0.5, 0.5, 3.0), (0.9375, 0.9375, 1.5), (2.0, 1.0, 1.0))
GROUPS = {
    "gli": {
        **{name: name.lower() for name in ("WT", "TC", "ET", "RC")},
        "necrotic": "netc",
        "edema": "snfh",
    },
    "mets": {name: name.lower() for name in ("WT", "TC", "ET", "RC")},
}
"""Our regions and labels to the package's groups."""
COLUMNS = {
    "tp": "all_instance_tp",
    "fp": "all_instance_fp",
    "fn": "all_instance_fn",
    "matched_f1": "all_instance_f1",
    "matched_precision": "all_instance_prec",
    "matched_recall": "all_instance_rec",
    "whole_dice": "global_dsc",
    "whole_hd95_voxels": "global_hd95",
    "whole_nsd": "global_nsd",
}
_LESIONWISE = {
    "dice": "lesionwise_dsc_mean",
    "hd95_mm": "lesionwise_hd95_mean",
    "nsd": "lesionwise_nsd_mean",
}
OF_CHALLENGE = {
    "gli": COLUMNS | {f"matched_{own}": other for own, other in _LESIONWISE.items()},
    "mets": COLUMNS
    | {f"penalised_{own}": other for own, other in _LESIONWISE.items()}
    | {
        f"{size}_{own}": f"{size}_instance_{other}"
        for size in ("large", "small")
        for own, other in (("f1", "f1"), ("found", "tp"))
    },
}
"""Our columns to those of the package's table."""


def figures(repeats: int) -> Iterator[Figure]:
    """Largest differences, how many values the package leaves out, and how many times as long it
    takes.
    """
    if not (ENVIRONMENT / "bin/python").is_file():
        yield Figure("protocol", "", [], note=f"skipped: no environment {ENVIRONMENT.name}")
        return
    small = [*edge_pairs().values(), *random_pairs(RANDOM_PAIRS)]
    for challenge in GROUPS:
        yield from _beside(f"{len(small)} small pairs", challenge, small, 1)
    for name, (reference, prediction) in lesions.pairs().items():
        pair = reference, prediction, lesions.SPACING_MM
        yield from _beside(name, "gli", [pair], repeats)


def _beside(name: str, challenge: str, pairs: list[tuple], repeats: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        for number, (reference, prediction, spacing_mm) in enumerate(pairs):
            place = Path(folder) / f"{number:04}.npz"
            np.savez(place, reference=reference, prediction=prediction, spacing_mm=spacing_mm)
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(apart(once, folder, challenge, cores=1)[0])
            program = str(ROOT / "benchmarks/protocol_oracle.py")
            command = [str(ENVIRONMENT / "bin/python"), program, folder, challenge]
            theirs.append(json.loads(watched(command, cores=1).lines[-1][1]))
    counts, largest = compared(ours[0]["rows"], theirs[0]["rows"], challenge)
    yield Figure(
        f"{challenge}, {name}: largest difference",
        "",
        [largest],
        at_most=SAME,
        note=", ".join(f"{count} {what}" for what, count in counts.items()),
    )
    seconds = [statistics.median(found["cpu_seconds"]) for found in ours]
    yield Figure(f"{challenge}, {name}", "cpu s/pair", seconds)
    yield Figure(
        f"{challenge}, {name}: BraTS_evaluation by panoptica",
        "x ours",
        [
            statistics.median(other["cpu_seconds"]) / own
            for other, own in zip(theirs, seconds, strict=True)
        ],
        at_least=1,
        note=f"{statistics.median(theirs[0]['cpu_seconds']):.3f} cpu s",
    )


def once(folder: str, challenge: str) -> dict[str, list]:
    """Processor seconds and rows of each pair, as the oracle gives them."""
    from pipeline.metrics.matched import matched_rows

    schema, taken, rows = schema_of(challenge), [], []
    for path in sorted(Path(folder).glob("*.npz")):
        pair = np.load(path)
        masks, spacing_mm = (pair["reference"], pair["prediction"]), pair["spacing_mm"].tolist()
        started = time.process_time()
        found, _ = matched_rows(*masks, schema, tuple(spacing_mm))
        taken.append(time.process_time() - started)
        in_voxels, _ = matched_rows(*masks, schema, lesions.SPACING_MM)
        row = {}
        for own, other in zip(found, in_voxels, strict=True):
            group = GROUPS[challenge][own["name"]]
            own["whole_hd95_voxels"] = other["whole_hd95_mm"]
            row |= {
                f"{theirs}_{group}": None if math.isnan(own[ours]) else own[ours]
                for ours, theirs in OF_CHALLENGE[challenge].items()
            }
        rows.append(row)
    return {"cpu_seconds": taken, "rows": rows}


def compared(ours: list[dict], theirs: list[dict], challenge: str) -> tuple[Counter, float]:
    """Count values by how they compare, and find the largest difference of two numbers."""
    counts: Counter = Counter(values=0)
    largest = 0.0
    for row, other in zip(ours, theirs, strict=True):
        for column, own in row.items():
            reading = other[column]
            counts["values"] += 1
            if own is None or reading is None:
                both = own is reading
                what = "undefined in both" if both else "undefined there, defined here"
                if own is None and not both:
                    what = "UNDEFINED HERE ALONE"
                counts[what] += 1
            elif math.isinf(reading):
                counts["infinite there, 373 mm here"] += own == 373
                largest = max(largest, 0.0 if own == 373 else math.inf)
            else:
                largest = max(largest, abs(own - reading))
                counts["OTHER"] += abs(own - reading) > SAME
    return +counts, largest


def schema_of(challenge: str) -> Schema:
    """Labels 1 to 4 as after treatment, scored by the challenge's rules."""
    schema = next(
        schema
        for source in SOURCES.values()
        for schema in source.schemas
        if schema.cohort == "brats-gli2024"
    )
    return schema.model_copy(update={"lesion_rules": f"brats2025-{challenge}"})


def edge_pairs() -> dict[str, tuple[np.ndarray, np.ndarray, tuple[float, float, float]]]:
    """Made geometry, enhancing tumour unless said otherwise."""
    empty = np.zeros((32, 30, 28), np.uint8)

    def boxes(*corners: tuple[int, int, int, int], label: int = 3) -> np.ndarray:
        drawn = empty.copy()
        for x, y, z, edge in corners:
            drawn[x : x + edge, y : y + edge, z : z + edge] = label
        return drawn

    one, two = boxes((4, 4, 4, 8)), boxes((4, 4, 4, 8), (18, 18, 16, 6))
    halves = one.copy()
    halves[7] = 0
    made = {
        "both empty": (empty, empty),
        "missed": (one, empty),
        "false": (empty, one),
        "apart": (one, boxes((20, 20, 18, 5))),
        "equal": (two, two),
        "one to many": (one, halves),
        "many to one": (halves, one),
        "three thin slices": (one, np.where(np.arange(32)[:, None, None] % 3 == 0, 0, one)),
        "touching at a corner": (boxes((4, 4, 4, 4), (8, 8, 8, 4)), boxes((4, 4, 4, 4))),
        "touching faces": (boxes((4, 4, 4, 4), (9, 4, 4, 4)), boxes((4, 4, 4, 4), (8, 4, 4, 4))),
        "a bridge": (boxes((4, 4, 4, 5), (12, 4, 4, 5)), boxes((5, 4, 4, 4), (8, 4, 4, 5))),
        "one common voxel": (boxes((4, 4, 4, 6)), boxes((9, 9, 9, 6))),
        "single voxels": (boxes((4, 4, 4, 1), (10, 10, 10, 1)), boxes((4, 4, 4, 1), (20, 4, 4, 1))),
        "19, 20 and 21 voxels": (_of_sizes(empty, 19, 20, 21), _of_sizes(empty, 19, 20, 10)),
        "at the border": (boxes((0, 0, 0, 6)), boxes((0, 1, 0, 6))),
        "the whole image": (boxes((0, 0, 0, 32)), boxes((0, 0, 0, 32))),
        "cavity alone": (boxes((4, 4, 4, 8), label=4), boxes((5, 4, 4, 8), label=4)),
        "other label": (boxes((4, 4, 4, 8), label=1), boxes((5, 4, 4, 8), label=2)),
        "large one drawn as a speck": (boxes((4, 4, 4, 10)), boxes((6, 6, 6, 2))),
    }
    return {
        f"{name}, {spacing_mm}": (*pair, spacing_mm)
        for name, pair in made.items()
        for spacing_mm in SPACINGS_MM[:2]
    }


def _of_sizes(empty: np.ndarray, *voxels: int) -> np.ndarray:
    drawn = empty.copy()
    for number, count in enumerate(voxels):
        block = np.zeros(27, np.uint8)
        block[:count] = 3
        drawn[8 * number + 2 : 8 * number + 5, 4:7, 4:7] = block.reshape(3, 3, 3)
    return drawn


def random_pairs(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[float, float, float]]]:
    """Lumps of all labels, some with specks; a prediction is another threshold of a field that is
    more or less like that of the reference, shifted, or with other labels.
    """
    rng = np.random.default_rng(2026)
    for number in range(count):
        shape = tuple(rng.integers(20, 44, 3).tolist())
        field, noise = (normal_field(rng, shape, rng.uniform(3, 9)) for _ in range(2))
        alike = rng.uniform(0.1, 1)
        other = alike * field + math.sqrt(1 - alike**2) * noise
        cuts = rng.uniform(0.6, 1.8) + np.array([0, 0.3, 0.6, 0.9])
        drawn, predicted = (
            np.digitize(values, cuts + shift).astype(np.uint8)
            for values, shift in ((field, 0), (np.roll(other, rng.integers(0, 3), 0), 0.1))
        )
        if rng.random() < 0.3:  # labels in another order from the rim to the core
            table = np.array([0, *rng.permutation(4) + 1], np.uint8)
            drawn, predicted = table[drawn], table[predicted]
        for classes in (drawn, predicted):
            specks = rng.random(shape) < rng.choice([0, 0.0005, 0.004])
            classes[specks] = rng.integers(1, 5, np.count_nonzero(specks))
        yield drawn, predicted, SPACINGS_MM[number % len(SPACINGS_MM)]
