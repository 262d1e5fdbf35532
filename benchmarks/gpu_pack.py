"""The shards of a clone in one file, for a machine without the cohort.

    python -m benchmarks.gpu_pack CLONE COHORT.npz [COARSE]

CLONE is a clone of this repository in which a preset was applied and `dvc repro preprocess split`
ran. Images are kept as the 8-bit codes of `resident.encoded`, rounded to multiples of COARSE (1, 2
or 4; 4 are 0.16 standard deviations), which makes the file smaller.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.core.catalogue import Catalogue
from pipeline.core.folds import Split
from pipeline.core.records import read_json
from pipeline.core.schema import Schema
from pipeline.network.batches.resident import CODES_PER_SD, encoded
from pipeline.preparation import shards
from pipeline.preparation.shards import Shard

PARTS = ("train", "val", "test")


class Cohort(NamedTuple):
    """Schema, median spacing, the cases of each part of a split, and the patient of each case."""

    schema: Schema
    spacing_mm: tuple[float, float, float]
    parts: dict[str, list[Shard]]
    patients: dict[str, str]


def pack(clone: Path, file: Path, coarse: int) -> None:
    """Write the cases of all parts one after the other."""
    catalogue = read_json(clone / "data/raw/catalogue.json", Catalogue)
    split = read_json(clone / "data/split.json", Split)
    folder = clone / "data/shards"
    cases = [shards.read(folder, name) for part in PARTS for name in getattr(split, part)]
    about = {
        "schema": catalogue.cohort.model_dump(mode="json"),
        "spacing_mm": shards.median_spacing_mm(folder, split.train),
        "names": [case.name for case in cases],
        "patients": {case.case: case.patient for case in catalogue.cases},
        "counts": [len(getattr(split, part)) for part in PARTS],
    }
    codes = [encoded(np.asarray(case.image), "uint8") for case in cases]
    images = np.concatenate([image.reshape(-1, image.shape[-1]) for image in codes])
    rounded = np.clip(np.rint(images / np.float32(coarse)) * coarse, 1, 255)
    np.savez_compressed(
        file,
        about=json.dumps(about),
        images=np.where(images > 0, rounded, 0).astype(np.uint8),
        classes=np.concatenate([np.asarray(case.classes).reshape(-1) for case in cases]),
        shapes=[case.classes.shape for case in cases],
    )


def read(file: Path) -> Cohort:
    """What `pack` wrote; images as z-scores in float16."""
    with np.load(file, allow_pickle=False) as packed:
        images, classes, shapes = (packed[name] for name in ("images", "classes", "shapes"))
        about = json.loads(str(packed["about"]))
    cases, first = [], 0
    for name, shape in zip(about["names"], shapes.tolist(), strict=True):
        here = slice(first, first + int(np.prod(shape)))
        codes = images[here].reshape(*shape, -1)
        # exactly 0 is outside the brain only
        values = np.where(codes == 128, 1e-3, (codes - 128.0) / CODES_PER_SD)
        values = np.where(codes > 0, values, 0).astype(np.float16)
        cases.append(Shard(name, values, classes[here].reshape(shape)))
        first = here.stop
    rest = iter(cases)
    parts = {
        part: [next(rest) for _ in range(count)]
        for part, count in zip(PARTS, about["counts"], strict=True)
    }
    schema = Schema.model_validate_json(json.dumps(about["schema"]))
    return Cohort(schema, tuple(about["spacing_mm"]), parts, about["patients"])


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]), int((*sys.argv, 1)[3]))
