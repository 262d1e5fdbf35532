"""Stage 4: make recorded, replayable copies of the training shards.

Reads split.json, the catalogue (modality names) and shards/<case>.*.npy of train. Writes
augmented/<case>~<copy>.image.npy and .classes.npy, shapes and dtypes as the shard's, and
augmented/table.csv: one row per copy with every number drawn for it (`Draw`). The draws of a copy
depend on (seed, case, copy) alone. Without copies the table is empty.
"""

from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Annotated

from .augmentation.copies import Draw, apply, draw
from .augmentation.params import AugmentParams
from .core.catalogue import Catalogue
from .core.folds import Split
from .core.records import read_json, write_csv
from .core.rng import generator
from .preparation import shards
from .runtime import costs, stage
from .runtime.parallel import over_cases


def augment(
    catalogue: Path,
    split: Path,
    shards: Path,
    augmented: Path,
    params: Annotated[AugmentParams, stage.Key("augment")],
    code: Annotated[str, stage.Key("own_code.augment")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Make copies of the training shards: draw and record first, then apply."""
    modalities = read_json(catalogue, Catalogue).cohort.modalities
    parts = read_json(split, Split)
    parts.check(str(split))
    transforms = params.transforms(code)
    draws = {
        (case, copy): draw(
            generator(seed, case, "augment", copy), transforms, _shape(shards, case), modalities
        )
        for case in parts.train
        for copy in range(1, params.copies + 1)
    }
    rows = [
        {"name": f"{case}~{copy}", "case": case, "copy": copy} | drawn.row()
        for (case, copy), drawn in draws.items()
    ]
    write_csv(augmented / "table.csv", rows)
    work = partial(
        _apply, params=params, code=code, root=Path.cwd(), folder=shards, augmented=augmented
    )
    over_cases(work, draws.items(), "augment")


def _shape(folder: Path, case: str) -> tuple[int, ...]:
    return shards.read(folder, case).image.shape


def _apply(
    drawn: tuple[tuple[str, int], Draw],
    params: AugmentParams,
    code: str,
    root: Path,
    folder: Path,
    augmented: Path,
) -> None:
    (case, copy), parameters = drawn
    with chdir(root):  # a worker may have been started elsewhere
        transforms = params.transforms(code)
    shard = shards.read(folder, case)
    spacing_mm = shards.read_geometry(folder, case).spacing_mm
    copied = apply(parameters, transforms, shard.image, shard.classes, spacing_mm)
    shards.write(augmented, f"{case}~{copy}", *copied)


if __name__ == "__main__":
    stage.main(augment, recorded=costs.recorded)
